"""The target as the copier sees it: one connection, a few file operations, typed failures.

Paths are absolute POSIX strings made by `copyagent.transfer.layout`. Every operation either did
what it says or raises a `TargetError`; a connection that raised `LinkLost` is of no further use.
`tests/conformance/test_target.py` is the definition of a correct implementation.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol


class TargetError(Exception):
    """The target did not do what it was asked to; *next_step* is advice to the operator.

    *unreachable* is true of failures that concern the target itself, not one tape: then no other
    tape's copy would get further.
    """

    unreachable: ClassVar[bool] = False
    advice: ClassVar[str] = "look at the target's system log"

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step or self.advice


class TargetUnreachable(TargetError):
    """No connection came about: no such host, refused, no answer in time."""

    unreachable = True
    advice = "check that the target runs and that its SSH port can be reached from here"


class LinkLost(TargetError):
    """The connection ended, or nothing came back for too long."""

    unreachable = True
    advice = "check the line and the target; the copy is tried again"


class HostKeyRejected(TargetError):
    """The server's host key is not the pinned one, or no pinned key could be read."""

    unreachable = True
    advice = (
        "find out why before anything else: if the target got a new host key, compare it over "
        "another channel and put it into the known_hosts file of this target"
    )


class LoginRefused(TargetError):
    """The server does not let our user in with our key, or the key cannot be used."""

    unreachable = True
    advice = "put the public half of the key into authorized_keys of that user at the target"


class TargetFull(TargetError):
    """There is no room at the target."""

    advice = "make room in the target's vault"


class TargetRefused(TargetError):
    """The server answered that it would not do *what*, and *why*."""

    advice = "check owner and permissions of the vault's directories at the target"

    def __init__(self, what: str, why: str, next_step: str = "") -> None:
        super().__init__(f"{what}: {why}", next_step)


class TargetMissing(TargetRefused):
    """The path, or the directory above it, does not exist at the target."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "no such file or directory")


class TargetLacks(TargetRefused):
    """The server cannot do *what* at all; a safe copy needs it."""

    advice = (
        "use an OpenSSH server as target; its SFTP extensions posix-rename and fsync are needed"
    )


class EntryKind(StrEnum):
    """What kind of thing a name at the target stands for; symbolic links are not followed."""

    FILE = "file"
    DIRECTORY = "directory"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """A name at the target. *size* in bytes, *mtime* in whole seconds since the epoch."""

    kind: EntryKind
    size: int
    mtime: int
    mode: int


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command at the target ended, and what it wrote to its standard output."""

    status: int | None
    output: str


class TargetFile(Protocol):
    """An open file at the target. Reads and writes may be in flight together, at any offsets.

    `write` and `read` wait as long as the link lives: the caller, who knows what else is in flight,
    watches the progress.
    """

    async def write(self, offset: int, data: bytes) -> None:
        """Write *data*, at most `Target.max_block` bytes, all of it."""

    async def read(self, offset: int, size: int) -> bytes:
        """Read up to *size* bytes; less only before the end of the file, nothing at its end."""

    async def size(self) -> int:
        """Return the file's size in bytes."""

    async def set_attributes(self, *, mode: int, atime: int, mtime: int) -> None:
        """Set permissions and times; the next write would undo the latter."""

    async def sync(self) -> None:
        """Return when the content, or the directory's entries, are on stable storage."""

    async def close(self) -> None:
        """Return when the server has answered: no write of ours is outstanding any more."""


class Target(Protocol):
    """One logged-in connection."""

    max_block: int

    async def lstat(self, path: str) -> TargetEntry | None:
        """Describe what *path* names, without following a symbolic link; None if nothing."""

    async def list_names(self, path: str) -> list[str]:
        """List a directory, without ``.`` and ``..``."""

    async def make_directory(self, path: str, mode: int) -> None:
        """Make one directory with exactly *mode*; one that is there already is left as it is."""

    async def create(self, path: str) -> TargetFile:
        """Create a file (mode 0600) that was not there, for writing and reading."""

    async def open(self, path: str) -> TargetFile:
        """Open a file for reading, or a directory for `TargetFile.sync`."""

    async def rename(self, old: str, new: str) -> None:
        """Give *old* the name *new*, in one step, replacing what had it (POSIX rename)."""

    async def remove(self, path: str) -> None:
        """Remove a file; one that is not there is fine."""

    async def run(self, command: str, patience_s: float) -> CommandResult | None:
        """Run a shell command; None where the server runs none. *patience_s* bounds it."""
