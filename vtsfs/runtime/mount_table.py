"""What is mounted where, by the kernel's table, and whether a mount of ours answers.

The table is that of the process's own mount namespace (proc_pid_mountinfo(5)); reading it touches no
file system, so it never waits for one. Whether a mount answers can only be asked of the mount itself,
and who asks a frozen one is held by the kernel: so a child asks, and nobody waits for it.
"""

import errno
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: What `MountProbe` answers for a mount that lost its overlay: every access of it fails so.
DEAD: Final = frozenset({errno.ENOTCONN, errno.ECONNABORTED})

#: Seconds in which a mount has to answer.
PATIENCE_S: Final = 3.0

_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOUNTINFO = Path("/proc/self/mountinfo")

#: Ends with the errno of a statfs, which the kernel never answers from its caches.
_ASK = """
import os, sys
try:
    os.statvfs(sys.argv[1])
except OSError as error:
    sys.exit(error.errno)
"""


@dataclass(frozen=True, slots=True)
class Layer:
    """One mount on a mount point: its type, its source and its device as ``major:minor``."""

    fstype: str
    source: str
    device: str


def source_of(vault: str) -> str:
    """Return the name under which the vault's mount appears in df(1) and mountinfo."""
    return f"vtsfs#{vault}"


def layers_at(mountpoint: Path, table: str | None = None) -> list[Layer]:
    """List what is mounted at *mountpoint*, the topmost last; touches none of it.

    *table* is the text of a mountinfo file (proc_pid_mountinfo(5)), by default our own.
    """
    if table is None:
        table = _MOUNTINFO.read_bytes().decode("utf-8", errors="surrogateescape")
    wanted = os.path.join(os.path.realpath(mountpoint.parent), mountpoint.name)
    layers = []
    # The kernel ends lines with a line feed alone, and leaves other ends of lines in names as they are:
    # whoever may mount anything anywhere must not have a line of ours taken for two.
    for line in table.removesuffix("\n").split("\n"):
        fields, _, rest = line.partition(" - ")
        head = fields.split(" ")
        if _plain(head[4]) == wanted:
            fstype, source, *_ = map(_plain, rest.split(" "))
            layers.append(Layer(fstype, source, head[2]))
    return layers


def is_ours(layer: Layer, vault: str) -> bool:
    """Tell whether *layer* is a mount of ours for *vault*."""
    return layer.fstype.startswith("fuse") and layer.source == source_of(vault)


class MountProbe:
    """Asks one mount point whether it answers; blocks for *patience_s* seconds at most.

    A call that a frozen overlay has begun to serve cannot be ended, not even by SIGKILL, so the child
    is not waited for, and has none of our descriptors that somebody could wait for. While one hangs
    no other is started.
    """

    def __init__(self, mountpoint: Path, patience_s: float = PATIENCE_S) -> None:
        self._mountpoint = mountpoint
        self._patience_s = patience_s
        self._child: subprocess.Popen[bytes] | None = None

    def ask(self) -> int | None:
        """Return the errno of a statfs there, 0 for success, None if there is no answer in time."""
        child = self._child or subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _ASK, str(self._mountpoint)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )
        self._child = child
        try:
            answer = child.wait(self._patience_s)
        except subprocess.TimeoutExpired:
            return None
        self._child = None
        return answer

    def give_up(self) -> None:
        """Leave a child that hangs to itself: it ends when the kernel lets it."""
        if self._child is not None:
            self._child.kill()
            # Popen must not complain when it is collected.
            self._child.returncode = 0
            self._child = None


def _plain(text: str) -> str:
    """Blanks, and also the ``#`` of our own source, are written as octal numbers there."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
