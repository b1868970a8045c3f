"""Write-only handles bypass the kernel's pages of a file; nobody may see the difference."""

import errno
import itertools
import mmap
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.attached_vault import Vault
from tests.support.posix_case import as_user, fails_with, needs_root, opened

PAGE = 4096
BLOCKS = 300
PAGES = 16


def test_a_reader_sees_every_write_past_the_pages(vault: Vault) -> None:
    path = vault.pool / "X00001"
    path.write_bytes(bytes(16 * PAGE))
    with (
        opened(path, os.O_WRONLY) as writer,
        opened(path, os.O_RDONLY) as reader,
        mmap.mmap(reader, 16 * PAGE, prot=mmap.PROT_READ) as mapped,
    ):
        for n in range(BLOCKS):
            wanted = n.to_bytes(2, "big") * (PAGE // 2)
            offset = n % 15 * PAGE + 100
            os.pwrite(writer, wanted, offset)
            assert os.pread(reader, PAGE, offset) == wanted
            assert mapped[offset : offset + PAGE] == wanted


def test_no_stale_page_stays_after_a_reader_in_between(vault: Vault) -> None:
    """Pages that are fetched while they are being overwritten are gone when the write returns.

    Four requests carry one write, so the last pages are there to be fetched for a while.
    """
    path = vault.pool / "X00001"
    size = 4 << 20
    path.write_bytes(bytes(size))
    with opened(path, os.O_WRONLY) as writer, opened(path, os.O_RDONLY) as reader:
        with mmap.mmap(reader, size, prot=mmap.PROT_READ) as mapped:
            with _meanwhile(lambda: mapped[-PAGE::-PAGE]):
                for n in range(1, 40):
                    wanted = n.to_bytes(2, "big") * (size // 2)
                    os.pwrite(writer, wanted, 0)
                    assert mapped[:] == wanted
                    assert os.pread(reader, size, 0) == wanted


def test_a_tail_follows_blocks_that_end_within_a_page(vault: Vault) -> None:
    path = vault.pool / "X00001"
    with opened(path, os.O_WRONLY | os.O_CREAT) as writer, opened(path, os.O_RDONLY) as reader:
        for n in range(BLOCKS):
            block = bytes([n % 251]) * 777
            os.write(writer, block)
            assert os.read(reader, 10_000) == block


def test_stores_through_a_mapping_and_writes_beside_it_both_stay(vault: Vault) -> None:
    path = vault.pool / "X00001"
    size = PAGES * PAGE
    path.write_bytes(bytes(size))
    with (
        opened(path, os.O_RDWR) as shared,
        mmap.mmap(shared, size) as mapped,
        opened(path, os.O_WRONLY) as writer,
    ):
        stores = itertools.count(1)

        def store() -> None:
            mapped[::PAGE] = bytes([next(stores) % 256]) * PAGES

        with _meanwhile(store):
            for n in range(1, 60):
                wanted = bytes([n % 256]) * 100
                for page in range(PAGES):
                    os.pwrite(writer, wanted, page * PAGE + 200)
                mapped.flush()
                for page in range(PAGES):
                    at = page * PAGE + 200
                    assert mapped[at : at + 100] == os.pread(shared, 100, at) == wanted
        last = bytes([(next(stores) - 1) % 256]) * PAGES
        assert mapped[::PAGE] == last
    assert (vault.backing / "BILL" / "X00001").read_bytes()[::PAGE] == last


def test_a_handle_that_came_later_is_not_mapped_beside_one_that_bypasses(vault: Vault) -> None:
    """The one difference that can be seen, and it is refused rather than wrong."""
    path = vault.pool / "X00001"
    path.write_bytes(bytes(PAGE))
    with opened(path, os.O_WRONLY) as writer, opened(path, os.O_RDWR) as other:
        with fails_with(errno.ENODEV):
            mmap.mmap(other, PAGE)
        os.pwrite(writer, b"one", 0)
        os.pwrite(other, b"two", 3)
        assert os.pread(other, 6, 0) == b"onetwo"
    with opened(path, os.O_RDWR) as alone, mmap.mmap(alone, PAGE) as mapped:
        assert mapped[:6] == b"onetwo"


def test_set_id_bits_that_came_after_the_open_go_with_the_next_write(vault: Vault) -> None:
    needs_root()
    path: Path = vault.pool / "X00001"
    path.touch()
    path.chmod(0o777)

    def write() -> None:
        with opened(path, os.O_WRONLY) as fd:
            told.set()
            allowed.wait()
            os.write(fd, b"x")

    # The bits are set by root while an ordinary user has the file open.
    told, allowed = _Flag(), _Flag()

    def set_bits() -> None:
        told.wait()
        path.chmod(0o4777)
        allowed.set()

    thread = threading.Thread(target=set_bits)
    thread.start()
    as_user(write)
    thread.join()
    assert stat.S_IMODE(path.stat().st_mode) == 0o777


@contextmanager
def _meanwhile(step: Callable[[], object]) -> Iterator[None]:
    """Repeat *step* in another thread for the length of the block."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.is_set():
            step()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _Flag:
    """An event that a forked process can set and wait for."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()

    def set(self) -> None:
        os.write(self._write, b"x")

    def wait(self) -> None:
        assert os.read(self._read, 1) == b"x"
