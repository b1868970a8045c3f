import os
import subprocess
from pathlib import Path

import pytest

from tests.support.mountpoint import (
    mounts_under,
    remove_tree,
    unmount_under,
    unmounted_after,
    why_no_fuse,
)

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a tmpfs")

TABLE = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:40 / /srv/vault\\040one rw - fuse.vtsfs VAULT00 rw
41 22 0:41 / /srv/vault rw - tmpfs tmpfs rw
42 41 0:42 / /srv/vault/inner rw - tmpfs tmpfs rw
43 22 0:43 / /srv/vault rw - tmpfs tmpfs rw
"""


def mount_tmpfs(point: Path) -> None:
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "probe", point], check=True)


def test_mounts_are_listed_last_mounted_first() -> None:
    vault = Path("/srv/vault")
    assert mounts_under(vault, TABLE) == [vault, vault / "inner", vault]


def test_a_name_that_merely_begins_alike_is_not_under_it() -> None:
    assert mounts_under(Path("/srv/vau"), TABLE) == []


def test_blanks_in_names_are_understood() -> None:
    assert mounts_under(Path("/srv/vault one"), TABLE) == [Path("/srv/vault one")]


@needs_root
def test_everything_under_a_directory_is_taken_off(scratch: Path) -> None:
    mount_tmpfs(scratch / "a")
    mount_tmpfs(scratch / "a" / "b")
    mount_tmpfs(scratch / "a")
    unmount_under(scratch)
    assert mounts_under(scratch) == []


@needs_root
def test_a_mount_in_use_is_taken_off_lazily(scratch: Path) -> None:
    mount_tmpfs(scratch / "busy")
    with (scratch / "busy" / "file").open("wb"):
        unmount_under(scratch)
        assert mounts_under(scratch) == []


@needs_root
def test_it_happens_after_a_failure_too(scratch: Path) -> None:
    with pytest.raises(ZeroDivisionError), unmounted_after(scratch):  # noqa: PT012 - what happens before the failure is the case
        mount_tmpfs(scratch / "a")
        raise ZeroDivisionError
    assert mounts_under(scratch) == []


@needs_root
def test_a_mounted_tree_is_not_removed(scratch: Path) -> None:
    mount_tmpfs(scratch / "a")
    (scratch / "a" / "kept").touch()
    with pytest.raises(RuntimeError, match="is a mount point: unmount it first"):
        remove_tree(scratch)
    assert (scratch / "a" / "kept").exists()


@needs_root
def test_immutable_directories_are_removed_too(scratch: Path) -> None:
    bare = scratch / "tree" / "VAULT00"
    bare.mkdir(parents=True)
    if subprocess.run(["chattr", "+i", bare], capture_output=True, check=False).returncode != 0:
        pytest.skip("this file system knows no immutable directories")
    remove_tree(scratch / "tree")
    assert not (scratch / "tree").exists()


def test_a_missing_device_is_the_reason(tmp_path: Path) -> None:
    reason = why_no_fuse(tmp_path / "fuse")
    assert reason == f"{tmp_path}/fuse cannot be opened: No such file or directory"


@needs_root
def test_a_device_that_is_not_fuse_is_refused_by_the_kernel() -> None:
    reason = why_no_fuse(Path("/dev/null"))
    assert reason is not None
    assert reason.startswith("mount(2) of a FUSE file system: ")


@pytest.mark.mount
def test_where_mount_tests_run_the_probe_finds_nothing_wrong_and_leaves_nothing() -> None:
    before = Path("/proc/self/mountinfo").read_text(encoding="utf-8").count("fuse.probe")
    assert why_no_fuse() is None
    after = Path("/proc/self/mountinfo").read_text(encoding="utf-8").count("fuse.probe")
    assert after == before
