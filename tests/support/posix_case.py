"""What the cases of the POSIX suite are made with: their register, other users, descriptors."""

import ctypes
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

Case = Callable[[Path], None]

ALL: dict[str, Case] = {}

#: Users and groups that own nothing else here; any numbers will do.
USER, GROUP, OTHER_GROUP = 54_321, 54_322, 54_323
STRANGER, STRANGERS_GROUP = 54_331, 54_332

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who uses the file system: with supplementary groups, or with none."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def does(self, function: Callable[[], None]) -> None:
        """Run *function* in a child process as this person; its failure is ours."""
        as_user(function, uid=self.uid, gid=self.gid, groups=self.groups)


ROOT = Person("root", 0, 0)
ALONE = Person("user", USER, GROUP)
MEMBER = Person("member", USER, GROUP, (OTHER_GROUP,))
OUTSIDER = Person("outsider", STRANGER, STRANGERS_GROUP)
#: Not the user, but in a group of theirs.
COLLEAGUE = Person("colleague", STRANGER, STRANGERS_GROUP, (GROUP,))
PEOPLE = (ROOT, ALONE, MEMBER)


def case(function: Case) -> Case:
    """Enter *function* into the suite, to be run as whoever runs the tests."""
    ALL[function.__name__] = function
    return function


def for_everyone(function: Case) -> Case:
    """Enter *function* into the suite, as ourselves and as users with and without groups.

    Each of the latter runs it in a process of their own, in a directory of their own.
    """

    def as_person(person: Person) -> Case:
        def run(top: Path) -> None:
            needs_root()
            os.chown(top, person.uid, person.gid)
            person.does(lambda: function(top))

        return run

    for person in (ALONE, MEMBER):
        ALL[f"{function.__name__}, {person.name}"] = as_person(person)
    return case(function)


def fails_with(*numbers: int) -> "pytest.RaisesExc[OSError]":
    """Expect an OSError of exactly that errno, or one of those."""

    def is_it(error: OSError) -> bool:
        return error.errno in numbers

    return pytest.raises(OSError, check=is_it)


@contextmanager
def may_be_refused(*numbers: int) -> Iterator[None]:
    """Let the block do what not every file system can do, or be refused with one of those errnos."""
    try:
        yield
    except OSError as error:
        if error.errno not in numbers:
            raise


def can(function: Callable[[], object], *numbers: int) -> bool:
    """Call *function*; False if it is refused with one of those errnos."""
    try:
        function()
    except OSError as error:
        if error.errno not in numbers:
            raise
        return False
    return True


def as_user(
    function: Callable[[], None], *, uid: int = USER, gid: int = GROUP, groups: Iterable[int] = ()
) -> None:
    """Run *function* in a child process of that user; its failure is ours."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0 or (uid, gid) != (os.geteuid(), os.getegid()):
                os.setgroups(list(groups))
                os.setresgid(gid, gid, gid)
                os.setresuid(uid, uid, uid)
            function()
            status = 0
        except BaseException:  # noqa: BLE001 - the child must end here, whatever happened
            traceback.print_exc(file=sys.stderr)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    assert status == 0, "the part that runs in another process failed; its traceback is above"


def apart(function: Callable[[], None]) -> None:
    """Run *function* in a child process: for what changes the process (its directory, limits)."""
    as_user(function, uid=os.geteuid(), gid=os.getegid(), groups=os.getgroups())


@contextmanager
def opened(
    path: Path | str | bytes, flags: int, mode: int = 0o666, *, dir_fd: int | None = None
) -> Iterator[int]:
    """Open a descriptor for the length of the block."""
    fd = os.open(path, flags, mode, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


def close_dead(fd: int) -> None:
    """Close a descriptor whose file system died; the descriptor goes, whatever close(2) says."""
    with suppress(OSError):
        os.close(fd)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    """Set the umask for the length of the block."""
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)


def needs_root() -> None:
    """Skip a case that acts as several users where we cannot."""
    if os.geteuid() != 0:
        pytest.skip("acts as several users, which takes root")


def sysctl(name: str) -> int:
    """Return a setting of the kernel, as ``fs.protected_hardlinks``."""
    return int(Path("/proc/sys", *name.split(".")).read_text(encoding="ascii"))


def libc_call(name: str, *arguments: object) -> int:
    """Call a function of the C library that Python has none for; OSError if it returns -1."""
    function = getattr(_libc, name)
    function.restype = ctypes.c_int
    result: int = function(*arguments)
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
