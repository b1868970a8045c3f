"""Hands that change tapes in every way there is, at random: writes, names, holes, maps, copies.

Each *stroke* takes its choices from a `random.Random`, so a history is a list of names and numbers
that can be played again. A stroke may fail as the system call does (the tape is not there, the
mount knows no fallocate); what never may come is the errno of a broken mount.

Run as a program, it is one process among several:
``python -m tests.support.tape_hands SEED STROKES DIRECTORY...``.
"""

import ctypes
import errno
import mmap
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from tests.support.posix_case import opened

#: Few, so that strokes meet: three tapes, and a name that is none (renamed, it becomes one).
NAMES = ("X00001", "X00002", "X00003", "a.tmp")
#: No tape grows beyond it by much, so that writes meet.
SPAN = 100_000
PAGE = mmap.PAGESIZE

_BROKEN = {errno.EIO, errno.ENOTCONN, errno.ECONNABORTED, errno.ESTALE, errno.ENOSYS}
_RENAME_NOREPLACE, _RENAME_EXCHANGE = 1, 2
_KEEP_SIZE, _PUNCH_HOLE, _COLLAPSE, _ZERO = 1, 2, 8, 16
_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

Stroke = Callable[["Hands", Random], None]
STROKES: dict[str, Stroke] = {}


def stroke(function: Stroke) -> Stroke:
    """Enter a way to change tapes into the list."""
    STROKES[function.__name__] = function
    return function


class Hands:
    """One process's open handles, on the tapes below some pool directories."""

    def __init__(self, pools: Sequence[Path]) -> None:
        self.pools = pools
        self.handles: list[int] = []
        self.maps: list[mmap.mmap] = []

    def play(self, history: Sequence[tuple[str, int]]) -> None:
        """Do what the list says."""
        for name, seed in history:
            with _failing_properly():
                STROKES[name](self, Random(seed))

    def let_go(self) -> None:
        """Close whatever is open."""
        for mapped in self.maps:
            mapped.close()
        for fd in self.handles:
            os.close(fd)
        self.maps, self.handles = [], []

    def path(self, random: Random) -> Path:
        """Choose a name, and rather one that there is."""
        paths = [random.choice(self.pools) / random.choice(NAMES) for _ in range(3)]
        return next(filter(os.path.exists, paths), paths[0])

    def handle(self, random: Random) -> int:
        """Choose an open handle; where there is none, open one for writing."""
        if not self.handles:
            self.handles.append(os.open(self.path(random), os.O_RDWR | os.O_CREAT, 0o600))
        return random.choice(self.handles)


@contextmanager
def _failing_properly() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _BROKEN:
            raise


def _offset(random: Random) -> int:
    return random.choice([0, random.randrange(SPAN), random.randrange(SPAN // PAGE) * PAGE])


def _data(random: Random) -> bytes:
    return random.randbytes(random.choice([1, 13, 512, PAGE, 5000, 28_672]))


# ------------------------------------------------------------------------------------------ opening


@stroke
def open_it(hands: Hands, random: Random) -> None:
    flags = random.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR])
    for flag in (os.O_CREAT, os.O_TRUNC, os.O_APPEND, os.O_EXCL, os.O_SYNC):
        if random.random() < 0.3:
            flags |= flag
    hands.handles.append(os.open(hands.path(random), flags, 0o600))


@stroke
def close_it(hands: Hands, random: Random) -> None:
    if hands.handles:
        os.close(hands.handles.pop(random.randrange(len(hands.handles))))


@stroke
def close_all(hands: Hands, _random: Random) -> None:
    hands.let_go()


@stroke
def duplicate(hands: Hands, random: Random) -> None:
    fd = hands.handle(random)
    hands.handles.append(os.dup(fd))
    hands.handles.remove(fd)
    os.close(fd)


# ------------------------------------------------------------------------------------------ writing


@stroke
def write(hands: Hands, random: Random) -> None:
    fd = hands.handle(random)
    os.lseek(fd, _offset(random), os.SEEK_SET)
    os.write(fd, _data(random))


@stroke
def write_on(hands: Hands, random: Random) -> None:
    fd = hands.handle(random)
    for _ in range(random.randrange(1, 8)):
        os.write(fd, _data(random))


@stroke
def pwrite(hands: Hands, random: Random) -> None:
    os.pwrite(hands.handle(random), _data(random), _offset(random))


@stroke
def writev(hands: Hands, random: Random) -> None:
    data = [_data(random) for _ in range(random.randrange(1, 4))]
    os.pwritev(hands.handle(random), data, _offset(random))


@stroke
def append(hands: Hands, random: Random) -> None:
    with opened(hands.path(random), os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, _data(random))


@stroke
def write_directly(hands: Hands, random: Random) -> None:
    with mmap.mmap(-1, PAGE) as block, opened(hands.path(random), os.O_RDWR | os.O_DIRECT) as fd:
        block[:] = random.randbytes(PAGE)
        os.pwritev(fd, [block], random.randrange(SPAN // PAGE) * PAGE)


@stroke
def copy_in(hands: Hands, random: Random) -> None:
    with opened(hands.path(random), os.O_RDONLY) as source:
        target = hands.handle(random)
        at, to = _offset(random), _offset(random)
        os.copy_file_range(source, target, random.randrange(1, 40_000), at, to)


@stroke
def send_in(hands: Hands, random: Random) -> None:
    with opened(hands.path(random), os.O_RDONLY) as source:
        target = hands.handle(random)
        os.lseek(target, _offset(random), os.SEEK_SET)
        os.sendfile(target, source, _offset(random), random.randrange(1, 40_000))


@stroke
def splice_in(hands: Hands, random: Random) -> None:
    target = hands.handle(random)
    reading, writing = os.pipe()
    try:
        sent = os.write(writing, random.randbytes(random.randrange(1, 10_000)))
        os.splice(reading, target, sent, offset_dst=_offset(random))
    finally:
        os.close(reading)
        os.close(writing)


# --------------------------------------------------------------------------------- sizes and holes


@stroke
def truncate_handle(hands: Hands, random: Random) -> None:
    os.ftruncate(hands.handle(random), _offset(random))


@stroke
def truncate_path(hands: Hands, random: Random) -> None:
    os.truncate(hands.path(random), _offset(random))


@stroke
def truncate_by_opening(hands: Hands, random: Random) -> None:
    flags = random.choice([os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
    hands.handles.append(os.open(hands.path(random), flags | os.O_TRUNC))


@stroke
def allocate(hands: Hands, random: Random) -> None:
    os.posix_fallocate(hands.handle(random), _offset(random), random.randrange(1, 20_000))


@stroke
def fallocate(hands: Hands, random: Random) -> None:
    mode = random.choice([0, _KEEP_SIZE, _PUNCH_HOLE | _KEEP_SIZE, _COLLAPSE, _ZERO])
    done = _libc.fallocate(hands.handle(random), mode, random.randrange(SPAN // PAGE) * PAGE, PAGE)
    assert done == 0 or ctypes.get_errno() not in _BROKEN


@stroke
def new_times(hands: Hands, random: Random) -> None:
    os.utime(hands.path(random), ns=(random.randrange(2**60), random.randrange(2**60)))


# -------------------------------------------------------------------------------------------- maps


@stroke
def map_in_a_child(hands: Hands, random: Random) -> None:
    """Another process maps the tape, writes, and ends in one of several ways.

    Also by SIGBUS: somebody else may cut the tape under it.
    """
    path = hands.path(random)
    child = os.fork()
    if child == 0:
        with suppress(BaseException):
            _write_by_map(path, random)
        os._exit(0)
    os.waitpid(child, 0)


def _write_by_map(path: Path, random: Random) -> None:
    fd = os.open(path, os.O_RDWR)
    mapped = mmap.mmap(fd, 0)
    if random.random() < 0.5:
        os.close(fd)
    for _ in range(random.randrange(1, 5)):
        at = random.randrange(len(mapped))
        data = random.randbytes(random.choice([1, 13, 5000]))[: len(mapped) - at]
        mapped[at : at + len(data)] = data
    match random.randrange(4):
        case 0:
            mapped.flush()
        case 1:
            mapped.close()
        case 2:
            os.kill(os.getpid(), 9)


@stroke
def keep_a_map(hands: Hands, random: Random) -> None:
    """Write through a map that outlives its descriptor; when it goes, the kernel tells the rest."""
    with opened(hands.path(random), os.O_RDWR) as fd:
        if os.fstat(fd).st_size < PAGE:
            os.ftruncate(fd, PAGE)
        try:
            mapped = mmap.mmap(fd, PAGE)
        except ValueError:
            return  # somebody has cut it meanwhile
    hands.maps.append(mapped)
    mapped[:100] = random.randbytes(100)
    if len(hands.maps) > 3:
        hands.maps.pop(0).close()


# ------------------------------------------------------------------------------------------- names


@stroke
def rename(hands: Hands, random: Random) -> None:
    os.rename(hands.path(random), hands.path(random))


@stroke
def rename_specially(hands: Hands, random: Random) -> None:
    old, new = os.fsencode(hands.path(random)), os.fsencode(hands.path(random))
    flags = random.choice([_RENAME_NOREPLACE, _RENAME_EXCHANGE, _RENAME_EXCHANGE])
    if _libc.renameat2(-100, old, -100, new, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@stroke
def unlink(hands: Hands, random: Random) -> None:
    os.unlink(hands.path(random))


@stroke
def write_anew(hands: Hands, random: Random) -> None:
    """What cp --remove-destination does: the name goes, and comes back with another file."""
    path = hands.path(random)
    with suppress(FileNotFoundError):
        os.unlink(path)
    with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600) as fd:
        os.write(fd, _data(random))


@stroke
def write_aside_and_rename(hands: Hands, random: Random) -> None:
    """What editors do."""
    path = hands.path(random)
    aside = path.with_name(f"{path.name}.{os.getpid()}.new")
    with opened(aside, os.O_WRONLY | os.O_CREAT, 0o600) as fd:
        os.write(fd, _data(random))
        if random.random() < 0.5:
            os.rename(aside, path)
            os.write(fd, _data(random))
            return
    os.rename(aside, path)


@stroke
def link(hands: Hands, random: Random) -> None:
    old, new = hands.path(random), hands.path(random)
    if new.exists() and not old.samefile(new):
        os.unlink(new)
    os.link(old, new)


@stroke
def make_node(hands: Hands, random: Random) -> None:
    os.mknod(hands.path(random), 0o600)


@stroke
def rename_pool(hands: Hands, random: Random) -> None:
    """Pools change their names while tapes in them are open."""
    first, second = random.choice(hands.pools), random.choice(hands.pools)
    _libc.renameat2(-100, os.fsencode(first), -100, os.fsencode(second), _RENAME_EXCHANGE)


#: Strokes that take names away, give them, or put another file under them. After most of these all
#: of a tape is copied anew, which hides what the extents would have missed.
OF_NAMES = frozenset(
    function.__name__
    for function in (
        link,
        make_node,
        rename,
        rename_pool,
        rename_specially,
        unlink,
        write_anew,
        write_aside_and_rename,
    )
)
_OFTEN = {"close_all": 12, "close_it": 8, "pwrite": 8, "write": 8, "writev": 6, "rename_pool": 1}
#: Every stroke, as often as it is to come; and those that leave the names alone.
WILD = [name for name in sorted(STROKES) for _ in range(_OFTEN.get(name, 4))]
CALM = [name for name in WILD if name not in OF_NAMES]


def history(deck: Sequence[str], random: Random, length: int) -> list[tuple[str, int]]:
    """Make up a history: strokes and the numbers that their choices are taken from."""
    return [(random.choice(deck), random.randrange(2**32)) for _ in range(length)]


def main(arguments: Sequence[str]) -> None:
    seed, strokes, *pools = arguments
    hands = Hands([Path(pool) for pool in pools])
    hands.play(history(WILD, Random(int(seed)), int(strokes)))
    hands.let_go()


if __name__ == "__main__":
    main(sys.argv[1:])
