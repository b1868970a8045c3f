"""What the cases of the POSIX suite are made with: their register, other users, descriptors."""

import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

Case = Callable[[Path], None]

ALL: dict[str, Case] = {}

#: A user and two groups that own nothing else here; any numbers will do.
USER, GROUP, OTHER_GROUP = 54_321, 54_322, 54_323


def case(function: Case) -> Case:
    """Enter *function* into the suite."""
    ALL[function.__name__] = function
    return function


def fails_with(*numbers: int) -> "pytest.RaisesExc[OSError]":
    """Expect an OSError of exactly that errno, or one of those."""

    def is_it(error: OSError) -> bool:
        return error.errno in numbers

    return pytest.raises(OSError, check=is_it)


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
    assert status == 0, "the part that runs as another user failed; its traceback is above"


@contextmanager
def opened(path: Path | str, flags: int, mode: int = 0o666) -> Iterator[int]:
    """Open a descriptor for the length of the block."""
    fd = os.open(path, flags, mode)
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
