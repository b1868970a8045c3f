from pathlib import Path

from vtsfs.fuse.mounting import is_dead


def test_what_is_no_mount_is_not_dead(tmp_path: Path) -> None:
    assert not is_dead(tmp_path)
    assert not is_dead(tmp_path / "missing")
