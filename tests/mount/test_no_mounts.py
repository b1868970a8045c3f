"""What looks at a tape, or keeps it open, and what that is told as.

Nothing that only looks may seem to be a writer, and no session may end as long as anything that can
still write is alive, wherever the descriptor went.
"""

import array
import fcntl
import itertools
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, Follower, Vault, attached_vault
from tests.support.posix_case import opened
from tests.support.scratch import scratch_directory
from vtsfs.contract.signals import Access, Kind, Signal

SIZE = 200_000

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with scratch_directory() as top, attached_vault(top) as attached:
        yield attached


@pytest.fixture
def feed(vault: Vault) -> Iterator[Follower]:
    with vault.follow_from_now() as follower:
        yield follower


@pytest.fixture
def tape(vault: Vault) -> Path:
    """A tape that lay there before anybody listened, and that the kernel knows nothing of."""
    path = vault.backing / POOL / f"X{next(_NUMBERS):05}"
    path.write_bytes(os.urandom(SIZE))
    return vault.pool / path.name


def told(vault: Vault, feed: Follower) -> list[Signal]:
    """Return what was told up to now: up to a mark that is set with another tape."""
    mark = vault.pool / f"MARK{next(_NUMBERS)}"
    os.mknod(mark)
    return feed.up_to(Kind.CHANGED, mark.name)[:-1]


def writers(signals: list[Signal]) -> list[Signal]:
    """Return what is not a mere reader's."""
    return [s for s in signals if not (s.session and s.access is Access.READ)]


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def _path_only(tape: Path, _: Path) -> None:
    with opened(tape, os.O_PATH) as fd:
        assert os.fstat(fd).st_size == SIZE


def _attributes(tape: Path, _: Path) -> None:
    os.stat(tape)
    assert os.access(tape, os.W_OK)
    os.statvfs(tape)
    run("ls", "-l", str(tape.parent))
    run("stat", str(tape))


def _mode_and_owner(tape: Path, _: Path) -> None:
    os.chmod(tape, 0o640)
    os.chown(tape, os.geteuid(), os.getegid())


def _extended_attributes(tape: Path, _: Path) -> None:
    with pytest.raises(OSError, match="not supported"):
        os.listxattr(tape)


def _access_time(tape: Path, _: Path) -> None:
    # Without -c it opens the file for writing: what that is told as, `test_what_happens` says.
    run("touch", "-c", "-a", str(tape))


def _times_set_back(tape: Path, _: Path) -> None:
    found = os.stat(tape)
    os.utime(tape, ns=(found.st_atime_ns, found.st_mtime_ns))


def _directory(tape: Path, _: Path) -> None:
    with opened(tape.parent, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)
        assert tape.name in os.listdir(fd)


def _without_access_time(tape: Path, _: Path) -> None:
    with opened(tape, os.O_RDONLY | os.O_NOATIME) as fd:
        assert len(os.read(fd, SIZE)) == SIZE


def _mapped_for_reading(tape: Path, _: Path) -> None:
    with opened(tape, os.O_RDONLY) as fd, mmap.mmap(fd, SIZE, mmap.MAP_PRIVATE) as view:
        view[0:4] = b"mine"  # a private copy of the page


def _digest(tape: Path, _: Path) -> None:
    run("sha256sum", str(tape))


def _copy(tape: Path, aside: Path) -> None:
    run("cp", "-a", str(tape), str(aside / "copy"))


def _archive(tape: Path, aside: Path) -> None:
    where = ["-C", str(tape.parent), tape.name]
    run("tar", "cf", str(aside / "archive"), *where)
    run("tar", "cf", str(aside / "again"), "--atime-preserve=replace", *where)


def _backup_of_the_pool(tape: Path, aside: Path) -> None:
    """With O_NOATIME, as a backup tool reads."""
    for path in tape.parent.iterdir():
        with opened(path, os.O_RDONLY | os.O_NOATIME | os.O_NOFOLLOW) as fd:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
            (aside / path.name).write_bytes(os.read(fd, SIZE))
    run("cp", "-a", str(tape.parent), str(aside / "all"))


def _locks(tape: Path, _: Path) -> None:
    with opened(tape, os.O_RDONLY) as fd:
        fcntl.flock(fd, fcntl.LOCK_EX)
        fcntl.lockf(fd, fcntl.LOCK_SH)


LOOKS: list[Callable[[Path, Path], None]] = [
    _path_only,
    _attributes,
    _mode_and_owner,
    _extended_attributes,
    _access_time,
    _times_set_back,
    _directory,
    _without_access_time,
    _mapped_for_reading,
    _digest,
    _copy,
    _archive,
    _backup_of_the_pool,
    _locks,
]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look.__name__.strip("_"))
def test_looking_is_no_mount(
    vault: Vault, feed: Follower, tape: Path, tmp_path: Path, look: Callable[[Path, Path], None]
) -> None:
    look(tape, tmp_path)
    assert writers(told(vault, feed)) == []


def still_open(vault: Vault, feed: Follower, session: str) -> bool:
    """Tell whether the session's end was not told yet."""
    return all(s.session != session for s in told(vault, feed) if s.kind is Kind.DISMOUNTED)


def begun(feed: Follower) -> str:
    # Readers of the test before are told of half a second later.
    while (mounted := feed.next()).access is Access.READ:
        pass
    assert mounted.kind is Kind.MOUNTED
    return mounted.session


def ends(feed: Follower, session: str) -> Signal:
    while (ended := feed.next()).session != session:
        pass
    assert ended.kind is Kind.DISMOUNTED
    return ended


def test_a_duplicate_keeps_the_session(vault: Vault, feed: Follower, tape: Path) -> None:
    fd = os.open(tape, os.O_WRONLY)
    session = begun(feed)
    twin = os.dup(fd)
    os.close(fd)
    assert still_open(vault, feed, session)
    os.write(twin, b"late")
    os.close(twin)
    assert ends(feed, session).extents == ((0, 4),)


def test_a_child_keeps_the_session(vault: Vault, feed: Follower, tape: Path) -> None:
    """The descriptor is inherited over fork and exec; the parent has closed it long ago."""
    fd = os.open(tape, os.O_WRONLY)
    session = begun(feed)
    program = f"import os, sys; sys.stdin.read(); os.write({fd}, b'from the child')"
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, pass_fds=[fd], text=True
    )
    os.close(fd)
    try:
        assert still_open(vault, feed, session)
    finally:
        child.communicate("", timeout=20)
    dismounted = ends(feed, session)
    assert dismounted.bytes_written == len("from the child")


def test_a_descriptor_on_its_way_keeps_the_session(
    vault: Vault, feed: Follower, tape: Path
) -> None:
    """Nobody has it open but a message in a socket (SCM_RIGHTS)."""
    fd = os.open(tape, os.O_WRONLY)
    session = begun(feed)
    here, there = socket.socketpair()
    with here, there:
        rights = array.array("i", [fd])
        here.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
        os.close(fd)
        assert still_open(vault, feed, session)
        _, ((_, _, data),), _, _ = there.recvmsg(1, socket.CMSG_SPACE(rights.itemsize))
        received = array.array("i", data)[0]
        os.write(received, b"received")
        os.close(received)
    assert ends(feed, session).bytes_written == len("received")


def test_a_mapping_keeps_the_session(vault: Vault, feed: Follower, tape: Path) -> None:
    fd = os.open(tape, os.O_RDWR)
    session = begun(feed)
    with mmap.mmap(fd, SIZE, mmap.MAP_SHARED) as view:
        os.close(fd)
        assert still_open(vault, feed, session)
        view[100] = (view[100] + 1) % 256
    dismounted = ends(feed, session)
    assert dismounted.wrote
    assert dismounted.extents is not None
    assert any(start <= 100 < end for start, end in dismounted.extents)


def test_several_processes_are_one_session(vault: Vault, feed: Follower, tape: Path) -> None:
    program = (
        "import os, sys; fd = os.open(sys.argv[1], os.O_WRONLY); print('open', flush=True);"
        "sys.stdin.read(); os.pwrite(fd, b'x', int(sys.argv[2]))"
    )
    children = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tape), str(at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for at in (10, 20, 30)
    ]
    try:
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "open\n"
        session = begun(feed)
        for child in children[:-1]:
            child.communicate("", timeout=20)
        assert still_open(vault, feed, session)
    finally:
        children[-1].communicate("", timeout=20)
    assert ends(feed, session).extents == ((10, 11), (20, 21), (30, 31))
