import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from vtsfs.overlay.caller import Caller, acting_for, keep_capabilities

OTHER = Caller(uid=54_321, gid=54_322, pid=1)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for others")


def in_thread(function: Callable[[], None]) -> None:
    """Run in a thread of its own: what is tried here sticks to the thread."""
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


@root_only
def test_what_is_made_belongs_to_the_caller_and_needs_no_permission_of_theirs(
    tmp_path: Path,
) -> None:
    os.chmod(tmp_path, 0o700)

    def make() -> None:
        assert keep_capabilities()
        with acting_for(OTHER):
            (tmp_path / "theirs").write_bytes(b"x")
        with acting_for(OTHER, gid=7):
            (tmp_path / "with-group").mkdir()
        (tmp_path / "ours").write_bytes(b"x")

    in_thread(make)
    found = {path.name: (path.stat().st_uid, path.stat().st_gid) for path in tmp_path.iterdir()}
    assert found == {
        "theirs": (54_321, 54_322),
        "with-group": (54_321, 7),
        "ours": (0, os.getegid()),
    }


@root_only
def test_an_error_ends_the_acting(tmp_path: Path) -> None:
    def fail() -> None:
        keep_capabilities()
        with pytest.raises(FileNotFoundError), acting_for(OTHER):
            (tmp_path / "none" / "x").write_bytes(b"")
        (tmp_path / "ours").write_bytes(b"x")

    in_thread(fail)
    assert (tmp_path / "ours").stat().st_uid == 0


def test_modes_come_out_as_given_and_our_umask_stays(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with acting_for(Caller(os.geteuid(), os.getegid(), 1)):
            (tmp_path / "theirs").mkdir(mode=0o777)
        (tmp_path / "ours").mkdir(mode=0o777)
    finally:
        os.umask(before)
    assert (tmp_path / "theirs").stat().st_mode & 0o777 == 0o777
    assert (tmp_path / "ours").stat().st_mode & 0o777 == 0o700
