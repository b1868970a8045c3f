"""The digest of what was published is read from the tape only while that is still the same."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.transfer.chunks import MapBuilder
from copyagent.transfer.own_digest import digest_here
from copyagent.transfer.source import identity_of
from vtsfs.contract.naming import TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")
CONTENT = os.urandom(5_000_000)


def root_of(content: bytes) -> str:
    builder = MapBuilder(len(content))
    for start in range(0, len(content), 1 << 20):
        builder.feed(start, content[start : start + (1 << 20)])
    return builder.result().root


@pytest.fixture
def tape(tmp_path: Path) -> Path:
    path = tmp_path / "BILL" / "X00001"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def published(tape: Path) -> PublishedCopy:
    source = identity_of(tape.stat())
    stamp = TargetStamp(len(CONTENT), 1)
    return PublishedCopy(1, source, len(CONTENT), "", stamp, "readback", root=root_of(CONTENT))


def test_the_tape_is_still_what_was_published(tape: Path) -> None:
    told: list[int] = []
    digest = digest_here(tape.parent.parent, TAPE, published(tape), told.append)
    assert digest == sha256(CONTENT).hexdigest()
    assert told[-1] == len(CONTENT)
    without_root = replace(published(tape), root="")
    assert digest_here(tape.parent.parent, TAPE, without_root, told.append) == digest


def test_it_is_another_one_now(tape: Path) -> None:
    record = published(tape)
    tape.write_bytes(CONTENT + b"more")
    assert digest_here(tape.parent.parent, TAPE, record, lambda _: None) == ""


def test_it_was_changed_and_its_date_set_back(tape: Path) -> None:
    record, seen = published(tape), tape.stat()
    with tape.open("r+b") as file:
        file.write(b"X")
    os.utime(tape, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert digest_here(tape.parent.parent, TAPE, record, lambda _: None) == ""


def test_it_is_changed_while_it_is_read(tape: Path) -> None:
    record = replace(published(tape), root="")

    def touch(_: int) -> None:
        os.utime(tape, ns=(1, 1))

    assert digest_here(tape.parent.parent, TAPE, record, touch) == ""


def test_there_is_none_to_read(tape: Path) -> None:
    record = published(tape)
    tape.unlink()
    assert digest_here(tape.parent.parent, TAPE, record, lambda _: None) == ""
    tape.symlink_to("/dev/zero")
    assert digest_here(tape.parent.parent, TAPE, record, lambda _: None) == ""
