"""Starting a program of ours as this process was started: same interpreter, same modules.

A package's launchers isolate the interpreter (``-I -B``); a child of it must not be less so, or a
PYTHONPATH of whoever typed the command would lend it modules. From source the child finds this
package where we found it, wherever that is.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Flags(Protocol):
    """What of ``sys.flags`` a child has to have, too."""

    @property
    def isolated(self) -> int:
        """Whether neither the environment nor the working directory counts (``-I``)."""

    @property
    def dont_write_bytecode(self) -> int:
        """Whether the installed files stay as they are (``-B``)."""


def own_command(module: str, *arguments: str, flags: Flags = sys.flags) -> list[str]:
    """Return the command line that runs *module* of ours with *arguments*."""
    options = ["-I"] * bool(flags.isolated) + ["-B"] * bool(flags.dont_write_bytecode)
    return [sys.executable, *options, "-m", module, *arguments]


def own_environment(environment: Mapping[str, str], flags: Flags = sys.flags) -> dict[str, str]:
    """Return *environment* for such a command.

    An isolated interpreter needs nothing of it, and would hand on what we added to the programs of
    the site that it starts.
    """
    if flags.isolated:
        return dict(environment)
    package = str(Path(__file__).resolve().parents[2])
    paths = [package, *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(paths)}
