"""What is mounted where, by the kernel's table, and whether a mount of ours answers.

The table is that of the process's own mount namespace (proc_pid_mountinfo(5)); reading it touches no
file system, so it never waits for one. Whether a mount answers can only be asked of the mount itself,
and who asks a frozen one is held by the kernel: so a child asks, and nobody waits for it.
"""

import errno
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

#: What `MountProbe` answers for a mount that lost its overlay: every access of it fails so.
DEAD: Final = frozenset({errno.ENOTCONN, errno.ECONNABORTED})

#: Seconds in which a mount has to answer.
PATIENCE_S: Final = 3.0

_ESCAPE = re.compile(r"\\([0-7]{3})")
_MOUNTINFO = Path("/proc/self/mountinfo")

#: How the C library tells each error, which is what ends a message of coreutils.
_ERRORS: Final = {os.strerror(number): number for number in errno.errorcode}

#: More than any message with the longest path.
_WORDS: Final = 16384


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
    no other is started. The child is stat(1), whose statfs the kernel never answers from its caches:
    while a package is replaced, no program of our own version is sure to be there.
    """

    def __init__(self, mountpoint: Path, patience_s: float = PATIENCE_S) -> None:
        self._mountpoint = mountpoint
        self._patience_s = patience_s
        self._child: subprocess.Popen[bytes] | None = None
        # Not a pipe: nobody has to read while the child hangs, or close it under a reader.
        self._words = -1

    def ask(self) -> int | None:
        """Return the errno of a statfs there, 0 for success, None if there is no answer in time."""
        child = self._child or self._start()
        self._child = child
        try:
            status = child.wait(self._patience_s)
        except subprocess.TimeoutExpired:
            return None
        self._child = None
        told = os.pread(self._words, _WORDS, 0)
        self._forget()
        return _error_in(told) if status else 0

    def _start(self) -> subprocess.Popen[bytes]:
        self._words = os.memfd_create("stat")
        return subprocess.Popen(
            ["stat", "--file-system", "--", str(self._mountpoint)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._words,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
        )

    def give_up(self) -> None:
        """Leave a child that hangs to itself: it ends when the kernel lets it."""
        if self._child is not None:
            self._child.kill()
            # Popen must not complain when it is collected.
            self._child.returncode = 0
            self._child = None
        self._forget()

    def _forget(self) -> None:
        if self._words >= 0:
            os.close(self._words)
            self._words = -1


def _error_in(told: bytes) -> int:
    """Return the errno that stat(1) ended for; one that nobody knows is an error all the same."""
    cause = os.fsdecode(told).rstrip("\n").rpartition(": ")[2]
    return _ERRORS.get(cause, errno.EIO)


def _plain(text: str) -> str:
    """Blanks, and also the ``#`` of our own source, are written as octal numbers there."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), text)
