import hashlib
import os
import tarfile
from pathlib import Path

import pytest

from tests.demo.content import BLOCK, NoContent, blocks, pack, room, sha256, write_tape


@pytest.fixture
def files(tmp_path: Path) -> Path:
    top = tmp_path / "files"
    for name in ("b", "a/late", "a/early", "c"):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(100_000))
    (top / "link").symlink_to("b")
    return top


def test_an_archive_holds_regular_files_in_the_order_of_their_names(
    tmp_path: Path, files: Path
) -> None:
    made = pack(tmp_path / "one.tar", files, 10_000_000)
    again = pack(tmp_path / "two.tar", files, 10_000_000)
    with tarfile.open(made.path) as archive:
        names = [Path(name).name for name in archive.getnames()]
    assert names == ["b", "c", "early", "late"]
    assert made.files == len(names)
    assert made.size == made.path.stat().st_size
    assert sha256(made.path) == sha256(again.path)


def test_an_archive_keeps_to_its_limit(tmp_path: Path, files: Path) -> None:
    made = pack(tmp_path / "small.tar", files, 400_000)
    assert made.files == 2
    assert made.size <= 400_000


def test_nothing_to_archive_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoContent, match="no files under"):
        pack(tmp_path / "none.tar", tmp_path / "nowhere", 10_000_000)


def test_no_room_is_said_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(NoContent, match="VTS_TEST_SCRATCH"):
        room(Path("/proc"), 1 << 30)
    assert room(tmp_path, 1000) == 1000


@pytest.mark.parametrize("number", [1, 2, 99, 111, 112, 113])
def test_a_tape_is_an_archive_with_its_label_in_front(
    tmp_path: Path, files: Path, number: int
) -> None:
    made = pack(tmp_path / "one.tar", files, 10_000_000)
    tape = tmp_path / "X00001"
    digest = write_tape(tape, made.path, "X00001", number)
    assert digest == sha256(tape)
    with tarfile.open(tape) as archive:
        members = archive.getmembers()
        label = archive.extractfile(members[0])
        assert label is not None
        assert label.read().startswith(f"VOL1X00001 generation {number}\n".encode())
    assert len(members) == made.files + 1


def test_two_generations_have_hardly_a_block_in_common(tmp_path: Path, files: Path) -> None:
    made = pack(tmp_path / "one.tar", files, 10_000_000)
    first, second = (
        {hashlib.sha256(block).digest() for block in blocks(made.path, "X00001", number)}
        for number in (1, 2)
    )
    # The last one holds the zeros at the end of an archive.
    assert len(first & second) <= 1
    assert len(first) >= made.size // BLOCK
