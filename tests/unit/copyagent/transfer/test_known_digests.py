"""What was read once is known for good, and a damaged line costs one reading more."""

import os
import stat
from pathlib import Path

import pytest

from copyagent.transfer import known_digests
from copyagent.transfer.known_digests import KnownDigests


def digest(number: int) -> str:
    return f"{number:064x}"


def test_what_was_read_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "digests"
    known = KnownDigests.read(path)
    assert known.of(digest(1)) == ""
    known.add(digest(1), digest(2))
    known.add(digest(1), digest(3))
    known.add("", digest(3))
    assert known.of(digest(1)) == digest(2)
    assert KnownDigests.read(path).known == {digest(1): digest(2)}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_damage_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "digests"
    path.write_bytes(
        f"{digest(1)} {digest(2)}\n{digest(3)} {digest(4)[:20]}".encode()
        + b"\xff\n\n"
        + f"{digest(5)} {digest(6)}\n".encode()
    )
    assert KnownDigests.read(path).known == {digest(1): digest(2), digest(5): digest(6)}


def test_where_nothing_can_be_written_nothing_fails(tmp_path: Path) -> None:
    known = KnownDigests.read(tmp_path / "none" / "digests")
    known.add(digest(1), digest(2))
    assert known.of(digest(1)) == digest(2)
    assert not (tmp_path / "none").exists()


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "digests").symlink_to(tmp_path / "elsewhere")
    KnownDigests.read(tmp_path / "digests").add(digest(1), digest(2))
    assert (tmp_path / "elsewhere").read_text() == ""


def test_what_root_adds_belongs_to_whom_the_directory_does(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 65534, 65534)
    KnownDigests.read(tmp_path / "digests").add(digest(1), digest(2))
    assert (tmp_path / "digests").stat().st_uid == 65534


def test_it_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_digests, "MOST", 10)
    known = KnownDigests.read(tmp_path / "digests")
    for number in range(12):
        known.add(digest(number), digest(99))
    assert len(KnownDigests.read(tmp_path / "digests").known) == 5
    kept = KnownDigests.read(tmp_path / "digests")
    assert kept.of(digest(11)) == digest(99)
    assert kept.of(digest(0)) == ""
