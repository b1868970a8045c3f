"""What a writer was promised: which bytes must be below after a crash, and which after a power cut.

Each writer owns one tape and keeps its ledger in the memory of the test, which no crash reaches.
"""

import errno
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.posix_case import close_dead

TAPE_SIZE = 256 << 10
_WHOLE = (0, 2 * TAPE_SIZE)
BLOCKS = (1, 512, 4096, 28_672, 57_344)

#: What tells one state of a file from another: inode number, size, mtime in nanoseconds.
Look = tuple[int, int, int]


def look_at(path: Path | int) -> Look:
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


@dataclass
class Ledger:
    """The state of one tape as its writer knows it. Ranges are half-open."""

    #: What every acknowledged write has made of it.
    content: bytearray = field(default_factory=bytearray)
    #: What is on the disk at least, and where it may already be newer.
    durable: bytearray = field(default_factory=bytearray)
    doubt: list[tuple[int, int]] = field(default_factory=list)
    #: What is being written now: it may be there wholly, in part, or not.
    in_flight: tuple[int, int] | None = None
    #: Whether another file may stand under the name, whole, or be on its way there.
    replacing: bytes | None = None
    name_in_doubt: bool = False
    #: What the tape held when it looked like that.
    history: dict[Look, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: int = 0
    synced: int = 0

    def begin(self, start: int, end: int) -> None:
        """A write begins; if it lies beyond the end, it makes a hole of zeros before it."""
        with self.lock:
            start = min(start, len(self.content))
            self.in_flight = (start, end)
            self.doubt.append((start, end))

    def written(self, start: int, data: bytes) -> None:
        with self.lock:
            self.content.extend(bytes(max(0, start + len(data) - len(self.content))))
            self.content[start : start + len(data)] = data
            # The rest, if there is one, may have been written without being acknowledged.
            end = 0 if self.in_flight is None else self.in_flight[1]
            self.in_flight = (start + len(data), end) if end > start + len(data) else None
            self.acknowledged += 1

    def made_durable(self, *, name: bool = False) -> None:
        """A sync was acknowledged: of the file, or, as at a session's end, of its *name* as well."""
        with self.lock:
            self.durable = bytearray(self.content)
            self.doubt.clear()
            self.synced += 1
            self.name_in_doubt = self.name_in_doubt and not name
            if self.name_in_doubt:
                self.doubt.append(_WHOLE)

    def about_to_replace(self, data: bytes) -> None:
        """Another file is being renamed over it.

        Until its directory is synced either may be there after a cut: the file's own fsync says
        nothing of its name.
        """
        with self.lock:
            self.replacing = data
            self.name_in_doubt = True
            self.doubt.append(_WHOLE)

    def replaced(self, data: bytes) -> None:
        with self.lock:
            self.content = bytearray(data)
            self.replacing = None

    def remember(self, look: Look) -> None:
        with self.lock:
            self.history[look] = bytes(self.content)

    def complaint_after_kill(self, found: bytes) -> str:
        """Compare the backing file with every acknowledged byte."""
        if self.replacing is not None and found == self.replacing:
            return ""
        return _differ(bytes(self.content), found, [self.in_flight] if self.in_flight else [])

    def complaint_after_cut(self, found: bytes) -> str:
        """Compare what a power cut left with every byte that was said to be durable."""
        return _differ(bytes(self.durable), found, self.doubt)


def _differ(wanted: bytes, found: bytes, doubtful: list[tuple[int, int]]) -> str:
    exempt = bytearray(max(len(wanted), len(found)))
    for start, end in doubtful:
        exempt[start:end] = b"\1" * (min(end, len(exempt)) - min(start, len(exempt)))
    if wanted == found:
        return ""
    for at in range(len(exempt)):
        if wanted[at : at + 1] != found[at : at + 1] and not exempt[at]:
            return f"byte {at} differs (of {len(wanted)} promised, {len(found)} there)"
    return ""


class TapeWriter(threading.Thread):
    """Writes one tape until the overlay is gone or it is told to stop."""

    def __init__(self, pool: Path, backing: Path, label: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.label = label
        self.ledger = Ledger()
        self.error: BaseException | None = None
        self._path = pool / label
        self._incoming = pool / f".{label}"
        self._below = backing / label
        self._chance = random.Random(seed)
        self._over = threading.Event()
        self._told = threading.Condition()
        self._durable_look: Look | None = None

    def stop(self) -> None:
        self._over.set()
        with self._told:
            self._told.notify_all()

    def was_told_durable(self, look: Look) -> None:
        """Somebody heard that a session has ended, durably, leaving the tape like that."""
        with self._told:
            self._durable_look = look
            self._told.notify_all()

    def run(self) -> None:
        try:
            while not self._over.is_set():
                if self._chance.random() < 0.15:
                    self._replace()
                else:
                    self._session()
        except OSError as error:
            self.error = error

    def _session(self) -> None:
        with _descriptor(self._path, os.O_RDWR | os.O_CREAT) as fd:
            for _ in range(self._chance.randint(1, 12)):
                self._write(fd)
                if self._chance.random() < 0.2:
                    self._sync(fd)
                if self._over.is_set():
                    break
        # Nobody else writes it, so what is below now is what there is.
        look = look_at(self._below)
        self.ledger.remember(look)
        if self._chance.random() < 0.5:
            with self._told:
                self._told.wait_for(lambda: self._durable_look == look or self._over.is_set(), 5)
                is_durable = self._durable_look == look
            if is_durable:
                self.ledger.made_durable(name=True)

    def _write(self, fd: int) -> None:
        size = self._chance.choice(BLOCKS)
        sequential = self._chance.random() < 0.5
        start = len(self.ledger.content) if sequential else self._chance.randrange(TAPE_SIZE)
        start = min(start, TAPE_SIZE)
        data = self._chance.randbytes(size)
        self.ledger.begin(start, start + size)
        written = os.pwrite(fd, data, start)
        # A part of it is acknowledged when the overlay dies between two requests of one write.
        self.ledger.written(start, data[:written])
        if written < size:
            raise OSError(errno.ENOTCONN, "only a part was written")

    def _sync(self, fd: int) -> None:
        if self._chance.random() < 0.5:
            os.fsync(fd)
        else:
            os.fdatasync(fd)
        self.ledger.made_durable()

    def _replace(self) -> None:
        data = self._chance.randbytes(self._chance.randrange(1, TAPE_SIZE))
        with _descriptor(self._incoming, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
            os.write(fd, data)
        self.ledger.about_to_replace(data)
        os.rename(self._incoming, self._path)
        self.ledger.replaced(data)
        self.ledger.remember(look_at(self._below))


@contextmanager
def _descriptor(path: Path, flags: int) -> Iterator[int]:
    """Like `opened`, but a close that fails because the overlay died is no error of its own."""
    fd = os.open(path, flags, 0o644)
    try:
        yield fd
    except BaseException:
        close_dead(fd)
        raise
    with suppress(OSError):
        os.close(fd)
