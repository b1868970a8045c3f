"""The target as the copier sees it: one connection, a few file operations, typed failures.

Paths are absolute POSIX strings made by `copyagent.transfer.layout`. Every operation either did
what it says or raises a `TargetError`; a connection that raised `LinkLost` is of no further use.
`tests/conformance/test_target.py` is the definition of a correct implementation.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol


class TargetError(Exception):
    """The target did not do what it was asked to; *next_step* is advice to the operator.

    *unreachable* is true of failures that concern the target itself, not one tape: then no other
    tape's copy would get further. *whole_vault* is true of those by which no copy into the same
    vault would. *permanent*: it will not pass by itself, somebody has to mend something.
    """

    unreachable: ClassVar[bool] = False
    whole_vault: ClassVar[bool] = False
    permanent: ClassVar[bool] = False
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
    permanent = True
    advice = "put the public half of the key into authorized_keys of that user at the target"


class TargetFull(TargetError):
    """There is no room at the target, or our user's share of it is used up."""

    permanent = True
    advice = "make room in the target's vault"


class TargetRefused(TargetError):
    """The server answered that it would not do *what*, and *why*."""

    permanent = True
    advice = "check owner and permissions of the vault's directories at the target"

    def __init__(self, what: str, why: str, next_step: str = "") -> None:
        super().__init__(f"{what}: {why}", next_step)
        self.why = why


class TargetMissing(TargetRefused):
    """The path, or the directory above it, does not exist at the target."""

    def __init__(self, what: str) -> None:
        super().__init__(what, "no such file or directory")


class VaultUnfit(TargetRefused):
    """The vault at the target cannot take copies as it is: missing, read-only, in two pieces."""

    whole_vault = True


class TargetLacks(VaultUnfit):
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
    """A name at the target. *size* in bytes, *mtime* in whole seconds since the epoch.

    *links* is the number of names the inode has; None where nobody told: SFTP version 3 tells it
    only in the long line of a directory listing, and there for people to read.
    """

    kind: EntryKind
    size: int
    mtime: int
    mode: int
    uid: int = 0
    gid: int = 0
    links: int | None = None


@dataclass(frozen=True, slots=True)
class Space:
    """A file system at the target: *total* bytes, of which our user may still use *free*.

    *files_free* is how many more files our user may make there; None where the file system sets no
    number (btrfs and others make inodes as they go).
    """

    total: int
    free: int
    files_free: int | None


@dataclass(frozen=True, slots=True)
class Abilities:
    """What the server offers besides plain SFTP version 3.

    *copy_data*: ranges of one file are copied into another without crossing the line. *commands*:
    shell commands are run; None until one was tried.
    """

    posix_rename: bool
    sync: bool
    copy_data: bool
    hard_links: bool
    space: bool
    commands: bool | None


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command at the target ended, and what it wrote to its standard output."""

    status: int | None
    output: str


class Writer(Protocol):
    """Many writes in flight at once; made by `TargetFile.writing`."""

    async def put(self, offset: int, data: bytes | memoryview) -> None:
        """Send *data*, at most `Target.max_block` bytes; wait for room only, not for the answer.

        Raises the first failure of any write so far (`TargetError`).
        """


class TargetFile(Protocol):
    """An open file at the target. Reads and writes may be in flight together, at any offsets.

    `write` and `read` wait as long as the link lives: the caller, who knows what else is in flight,
    watches the progress.
    """

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write *data*, at most `Target.max_block` bytes, all of it."""

    def writing(
        self, *, patience_s: float, acknowledged: Callable[[int, int], None]
    ) -> AbstractAsyncContextManager[Writer]:
        """Write much, with as much in flight as the line needs.

        When the block is left without an error, every write was answered; else the first failure is
        raised: `LinkLost` also if for *patience_s* seconds nothing was answered. *acknowledged* is
        told the start and the end of each range that the server has written, in the task that
        writes.
        """

    async def read(self, offset: int, size: int) -> bytes:
        """Read up to *size* bytes; less only before the end of the file, nothing at its end."""

    async def size(self) -> int:
        """Return the file's size in bytes."""

    async def set_size(self, size: int) -> None:
        """Cut the file, or lengthen it with a hole."""

    async def set_attributes(self, *, mode: int, atime: int, mtime: int) -> None:
        """Set permissions and times; the next write would undo the latter."""

    async def sync(self) -> None:
        """Return when the content, or the directory's entries, are on stable storage."""

    async def finish(
        self, content: bytes = b"", at: int = 0, *, attributes: tuple[int, int, int] | None = None
    ) -> "TargetEntry | None":
        """Write *content*, set *attributes*, make durable and `close`; in this order, but at once.

        *attributes* are permissions and the times of access and change. Every write before must
        have been answered. Raises the first failure, after which it counts as closed as well.
        Returns what its path names then, as `Target.lstat` does.
        """

    async def close(self) -> None:
        """Return when the server has answered: no write of ours is outstanding any more.

        For a file that was opened for reading alone nothing is waited for. Only then can no server process still write into the file. However many channels the file's
        writes were spread over, all have answered.
        """


@dataclass(frozen=True, slots=True)
class Draft:
    """A small file that nobody knows yet: *file*, created at *path*, is to hold *content*."""

    file: TargetFile
    path: str
    content: bytes


class Target(Protocol):
    """One attempt's own conversation with a target: its server processes serve nobody else.

    When it has ended, whatever it left unanswered may still be executed by a server process that
    lost us (a late write goes into the inode, whatever its name is by then).
    """

    #: The most bytes of one `write` or `read`. It may be small until the first answer has come.
    max_block: int

    @property
    def can(self) -> Abilities:
        """What the server offers."""

    def side(self) -> "AbstractAsyncContextManager[Target]":
        """Start one more server process on the same connection, for what takes long.

        A server works off one conversation's requests one by one: copying 64 MiB keeps all others
        waiting. Files belong to the conversation they were opened in. Leaving the block closes
        them without proof: see `TargetFile.close`.
        """

    async def hold(self, path: str) -> None:
        """Have one more server process keep the file *path* open until this conversation has ended.

        Then removing its last name takes no time: its blocks are freed when that process ends, for
        which nobody waits.
        """

    async def lstat(self, path: str) -> TargetEntry | None:
        """Describe what *path* names, without following a symbolic link; None if nothing."""

    async def list_names(self, path: str) -> list[str]:
        """List a directory, without ``.`` and ``..``."""

    async def list_entries(self, path: str) -> list[tuple[str, TargetEntry]]:
        """List a directory with what its names stand for, without ``.`` and ``..``."""

    async def space(self, path: str) -> Space | None:
        """Measure the file system that *path* is on; None where the server cannot."""

    async def make_directories(
        self,
        paths: Sequence[str],
        mode: int,
        *,
        opening: Sequence[str] = (),
        durably: Sequence[TargetFile] = (),
    ) -> Sequence[TargetFile]:
        """Make directories with exactly *mode*; those that are there already are left as they are.

        One after the other, then open those of *opening*, which are returned, and make the open
        ones of *durably* durable: all without another round trip. Raises the first failure, which
        keeps nothing from being done that comes after it.
        """

    async def create(self, path: str) -> TargetFile:
        """Create a file (mode 0600) that was not there, for writing and reading."""

    async def open(self, path: str) -> TargetFile:
        """Open a file for reading, or a directory for `TargetFile.sync`."""

    async def reopen(self, path: str) -> TargetFile:
        """Open a file that is there for writing and reading, as it is."""

    async def copy_data(
        self, source: TargetFile, start: int, length: int, into: TargetFile, at: int
    ) -> None:
        """Copy *length* bytes from *start* of *source* to offset *at* of *into*, at the target.

        Both were opened here. More than the source has is copied short, without an error, and
        holes arrive as zeros that take room. *length* is more than 0 (which would mean: to the
        end) and best not more than 64 MiB. Raises `TargetLacks` where the server cannot.
        """

    async def link(self, existing: str, new: str) -> None:
        """Give the file *existing* one more name, which nothing may have yet."""

    async def rename(self, old: str, new: str, *, durably: Sequence[TargetFile] = ()) -> None:
        """Give *old* the name *new*, in one step, replacing what had it (POSIX rename).

        Then make the open directories *durably* durable, without another round trip.
        """

    async def put_in_place(self, drafts: Mapping[str, Draft], directory: TargetFile) -> None:
        """Finish *drafts* and give them the names that are their keys, without another round trip.

        All are written, made durable and closed, then renamed (POSIX rename), and then the open
        *directory* is made durable: one after the other, as the server does what it is asked.
        Raises the first failure, which keeps nothing from being done that comes after it: a name
        may stand for less than *content* then.
        """

    async def remove(self, path: str) -> None:
        """Remove a file; one that is not there is fine."""

    async def remove_directory(self, path: str) -> None:
        """Remove an empty directory; one that is not there is fine."""

    async def warm_up(self) -> None:
        """Begin with what `run` will need: a shell's start-up files can take longer than a copy.

        Nothing is waited for, and no failure is told.
        """

    async def run(self, command: str, patience_s: float) -> CommandResult | None:
        """Run a shell command; None where the server runs none. *patience_s* bounds it."""
