import fcntl
import mmap
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from copyagent.transfer.lease import Writers, owner_hint, probe_writers, read_lease


@pytest.fixture
def tape(scratch: Path) -> Path:
    path = scratch / "X00001"
    path.write_bytes(b"tape")
    return path


@pytest.fixture
def reader(tape: Path) -> Iterator[int]:
    fd = os.open(tape, os.O_RDONLY)
    yield fd
    os.close(fd)


def test_nobody_can_write_a_tape_that_is_only_read(tape: Path, reader: int) -> None:
    with tape.open("rb"):
        assert probe_writers(reader) is Writers.NONE


@pytest.mark.parametrize("mode", ["ab", "r+b"])
def test_an_open_writer_is_seen_until_it_closes(tape: Path, reader: int, mode: str) -> None:
    with tape.open(mode):
        assert probe_writers(reader) is Writers.SOME
    assert probe_writers(reader) is Writers.NONE


def test_a_shared_mapping_is_seen_after_its_descriptor_is_closed(tape: Path, reader: int) -> None:
    with tape.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert probe_writers(reader) is Writers.SOME
    mapped.close()
    assert probe_writers(reader) is Writers.NONE


def test_the_lease_is_given_back_at_once(tape: Path, reader: int) -> None:
    assert probe_writers(reader) is Writers.NONE
    assert fcntl.fcntl(reader, fcntl.F_GETLEASE) == fcntl.F_UNLCK
    writer = os.open(tape, os.O_WRONLY | os.O_NONBLOCK)
    os.close(writer)


def test_a_writer_that_comes_in_between_cannot_end_the_agent(tape: Path, reader: int) -> None:
    with read_lease(reader):
        # The kernel signals the holder, us; by default that would be a deadly SIGIO.
        assert fcntl.fcntl(reader, fcntl.F_GETSIG) == signal.SIGURG
        with pytest.raises(BlockingIOError):
            os.open(tape, os.O_WRONLY | os.O_NONBLOCK)
    assert probe_writers(reader) is Writers.NONE


def test_where_there_are_no_leases_nothing_is_claimed() -> None:
    ours, theirs = os.pipe()
    try:
        assert probe_writers(ours) is Writers.UNKNOWN
        assert owner_hint(ours)
    finally:
        os.close(ours)
        os.close(theirs)
