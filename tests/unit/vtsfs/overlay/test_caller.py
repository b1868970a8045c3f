import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.posix_case import as_user
from vtsfs.overlay.caller import (
    Caller,
    acting_for,
    give_back,
    give_up_resource_capability,
    keep_capabilities,
    take,
)

OTHER = Caller(uid=54_321, gid=54_322, pid=1)

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act for others")


#: CAP_SYS_RESOURCE in the numbers of proc_pid_status(5).
RESOURCE_BIT = 1 << 24


def thread_status() -> dict[str, str]:
    text = Path("/proc/thread-self/status").read_text(encoding="ascii", errors="replace")
    return dict(line.split(":", 1) for line in text.splitlines())


def fsuid() -> int:
    return int(thread_status()["Uid"].split()[3])


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


@root_only
def test_the_resource_capability_is_gone_for_good_and_the_others_are_kept() -> None:
    def give_up() -> None:
        seen = [thread_status()]
        keep_capabilities()
        give_up_resource_capability()
        give_up_resource_capability()
        seen.append(thread_status())
        in_thread(lambda: seen.append(thread_status()))
        before, *later = seen
        assert len(later) == 2
        for status in later:
            assert not int(status["CapInh"], 16) & RESOURCE_BIT
            for name in ("CapEff", "CapPrm", "CapBnd"):
                assert int(status[name], 16) == int(before[name], 16) & ~RESOURCE_BIT, name
            assert status["Groups"].split() == []

    # A process of its own: setgroups(2) reaches every thread.
    as_user(give_up, uid=0, gid=0, groups=[OTHER.gid])


@root_only
def test_room_is_taken_as_the_caller_and_given_back() -> None:
    seen: list[int] = []

    def write() -> None:
        keep_capabilities()
        assert take(OTHER.uid)
        seen.append(fsuid())
        give_back()
        seen.append(fsuid())
        assert not take(0)
        seen.append(fsuid())

    in_thread(write)
    assert seen == [OTHER.uid, 0, 0]
