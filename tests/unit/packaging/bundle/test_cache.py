"""What is kept is whole, is made once, and does not grow for ever."""

import os
from pathlib import Path

import pytest

from bundling.cache import cache_root, forget_all_but, kept


def make_nothing(to: Path) -> None:
    assert to.is_dir()


def test_a_result_is_made_once(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(to: Path) -> None:
        made.append(to)
        (to / "x").write_text("1")

    place = tmp_path / "kind" / "key"
    assert kept(place, make) == place
    assert kept(place, make) == place
    assert len(made) == 1
    assert (place / "x").read_text() == "1"


def test_half_a_result_is_not_kept(tmp_path: Path) -> None:
    def fail(to: Path) -> None:
        (to / "x").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        kept(tmp_path / "kind" / "key", fail)
    assert list((tmp_path / "kind").iterdir()) == []


def test_another_build_may_have_been_quicker(tmp_path: Path) -> None:
    place = tmp_path / "key"

    def make(to: Path) -> None:
        (to / "x").write_text("ours")
        place.mkdir()
        (place / "x").write_text("theirs")

    assert (kept(place, make) / "x").read_text() == "theirs"


def test_what_was_not_used_for_long_is_forgotten(tmp_path: Path) -> None:
    for number in range(5):
        kept(tmp_path / str(number), make_nothing)
        os.utime(tmp_path / str(number), (number, number))
    kept(tmp_path / "0", make_nothing)
    forget_all_but(2, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "4"]


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTS_PACKAGES_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_root() == Path("/x/vts-autocopy")
    monkeypatch.setenv("VTS_PACKAGES_CACHE", "/y")
    assert cache_root() == Path("/y")
