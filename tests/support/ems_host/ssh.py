"""An OpenSSH server in front of the scripted host: whoever logs in finds himself at its TACL."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.support.ems_host import bridge
from tests.support.sshd import Sshd


def ssh_front(directory: Path, shell_port: int, *, options: Sequence[str] = ()) -> Sshd:
    """Make an SSH server that carries every session to the host's *shell_port*; start it yourself.

    A program that is forced on each session joins the two (ForceCommand, sshd_config(5)). It runs
    without site packages, since a log-in waits for its start.
    """
    command = [sys.executable, "-I", "-S", str(Path(bridge.__file__)), str(shell_port)]
    return Sshd(directory, options=[*options, f"ForceCommand {shlex.join(command)}"])
