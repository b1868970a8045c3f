"""The target's storage is full or read-only: a clear cause, and the published tape stays."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone, CopyFailed
from tests.support.copy_rig import CopyRig
from tests.support.mountpoint import unmounted_after

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small tmpfs takes root"),
]

MIB = 1024 * 1024


@pytest.fixture
def small_vault(rig: CopyRig) -> Iterator[Path]:
    """Put an 8 MiB tmpfs where the target's vault lies."""
    with unmounted_after(rig.vault):
        mount("-t", "tmpfs", "-o", "size=8m,nr_inodes=32", "tmpfs", str(rig.vault))
        yield rig.vault


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


async def test_a_full_target_says_so_and_keeps_what_it_has(rig: CopyRig, small_vault: Path) -> None:
    rig.write(b"old")
    base = await rig.copy()
    assert isinstance(base, CopyDone)
    rig.write(os.urandom(20 * MIB))
    job = replace(rig.job(generation=2), base=base.copy)
    failed = await rig.copy(job)
    assert isinstance(failed, CopyFailed)
    assert "no room" in failed.cause
    assert not failed.unreachable
    assert rig.published().read_bytes() == b"old"
    assert rig.staged() == [], "the room it took is given back"
    rig.write(b"smaller")
    again = await rig.copy(replace(rig.job(generation=3), base=base.copy))
    assert isinstance(again, CopyDone)


async def test_a_target_without_inodes_says_so(rig: CopyRig, small_vault: Path) -> None:
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    for index in range(32):
        try:
            (small_vault / f"filler{index}").touch()
        except OSError:
            break
    rig.write(b"tape", "X00002")
    failed = await rig.copy(rig.job("X00002"))
    assert isinstance(failed, CopyFailed)
    assert "no room" in failed.cause


async def test_a_read_only_target_says_so(rig: CopyRig, small_vault: Path) -> None:
    rig.write(b"old")
    base = await rig.copy()
    assert isinstance(base, CopyDone)
    mount("-o", "remount,ro", str(small_vault))
    rig.write(b"new")
    failed = await rig.copy(replace(rig.job(generation=2), base=base.copy))
    assert isinstance(failed, CopyFailed)
    assert "read-only file system" in failed.cause
    assert rig.published().read_bytes() == b"old"


async def test_a_pool_on_another_file_system_says_so(rig: CopyRig, small_vault: Path) -> None:
    pool = small_vault / "BILL"
    pool.mkdir()
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(pool))
    rig.write(b"tape")
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "two file systems" in failed.next_step
    assert rig.staged() == []
