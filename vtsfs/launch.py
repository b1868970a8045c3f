"""Starting the daemon in the background: it tells its readiness as it would tell systemd."""

import os
import secrets
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click

from vtsfs.contract.errors import AttachError
from vtsfs.runtime.interpreter import own_command, own_environment

#: Seconds from the start of the process until it must serve the vault.
START_LIMIT_S = 60.0


def start_in_background(vault: str, config: Path, log: Path, options: Sequence[str] = ()) -> int:
    """Start the daemon with *options*, return 0 when it serves the vault; its own exit status if it ends before.

    What it has to say goes to *log*, and its last words also to standard error if it ends.
    Raises `AttachError` when it neither serves nor ends in time, or *log* cannot be written.
    """
    command = own_command("vtsfs", "--config", str(config), "attach", vault)
    address = f"\0vtsfs-{os.getpid()}-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready, _append_to(log) as sink:
        ready.bind(address)
        ready.settimeout(0.05)
        before = sink.tell()
        child = subprocess.Popen(
            [*command, "--foreground", *options],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd="/",
            env=_environment(address),
            start_new_session=True,
        )
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if _said_ready(ready):
                # It lives on without us; Popen must not complain when it is collected.
                child.returncode = 0
                return 0
            status = child.poll()
            if status is not None:
                click.echo(_words_since(log, before), nl=False, err=True)
                return status if status > 0 else AttachError.exit_code
        child.terminate()
    raise AttachError(f"vault {vault}: not attached within {START_LIMIT_S:g} s; see {log}")


def _append_to(log: Path) -> BinaryIO:
    """The run directory may belong to the agent's user, who is not to choose where root writes."""
    try:
        fd = os.open(
            log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
        )
    except OSError as error:
        raise AttachError(
            f"{log}, for the overlay's messages, cannot be written: {error.strerror}; remove it"
        ) from error
    return os.fdopen(fd, "ab")


def _environment(address: str) -> dict[str, str]:
    """The child notifies nobody but us."""
    kept = {k: v for k, v in os.environ.items() if k not in {"WATCHDOG_USEC", "JOURNAL_STREAM"}}
    return own_environment({**kept, "NOTIFY_SOCKET": "@" + address[1:]})


def _said_ready(ready: socket.socket) -> bool:
    try:
        return b"READY=1" in ready.recv(4096).split(b"\n")
    except TimeoutError:
        return False


def _words_since(log: Path, offset: int) -> str:
    with log.open("rb") as file:
        file.seek(offset)
        return file.read(65536).decode("utf-8", errors="replace")
