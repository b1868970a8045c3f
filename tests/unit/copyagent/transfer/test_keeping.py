"""Former generations at a real server: how many stay, what goes for room, and what is never touched."""

import logging
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone
from copyagent.transfer import manifest
from tests.support.copy_rig import CopyRig
from tests.support.disks import mounted_disk
from tests.support.expected_logs import ExpectedLogs
from tests.support.mountpoint import unmounted_after
from tests.support.sshd import Sshd
from tests.unit.copyagent.transfer.test_forwarding import History

pytestmark = pytest.mark.ssh

MIB = 1 << 20


async def generations(history: History, count: int, size: int = 1000) -> CopyDone:
    for _ in range(count):
        await history.copy(history.change((0, os.urandom(size))))
    assert history.done is not None
    return history.done


@pytest.mark.parametrize("keep", [0, 1, 3])
async def test_as_many_stay_as_are_asked_for(rig: CopyRig, keep: int) -> None:
    history = History(rig, keep)
    for generation in range(1, 6):
        done = await history.copy(history.change((0, os.urandom(1000))))
        expected = list(range(generation - 1, max(0, generation - 1 - keep), -1))
        assert [copy.generation for copy in done.kept] == expected


async def test_fewer_are_kept_when_fewer_are_asked_for(rig: CopyRig) -> None:
    history = History(rig, keep=3)
    await generations(history, 4)
    history.keep = 1
    done = await generations(history, 1)
    assert [copy.generation for copy in done.kept] == [4]


async def test_the_manifest_lists_what_is_kept(rig: CopyRig) -> None:
    history = History(rig, keep=2)
    done = await generations(history, 3)
    layout = rig.layout()
    found = manifest.decode(layout.tape, rig.at(layout.manifest).read_bytes())
    assert found is not None
    assert found.copy == done.copy
    assert found.kept == done.kept
    for copy in (done.copy, *done.kept):
        assert rig.at(layout.map(copy.root)).exists()


async def test_a_lost_state_finds_what_was_kept_in_the_manifest(rig: CopyRig) -> None:
    history = History(rig, keep=2)
    done = await generations(history, 3)
    history.change((0, b"fourth"))
    job = replace(rig.job(generation=4), keep=2)
    again = await rig.copy(job)
    assert isinstance(again, CopyDone)
    assert [copy.generation for copy in again.kept] == [3, 2]
    assert again.kept[1].name == done.kept[0].name


async def test_a_record_that_names_another_tapes_file_does_not_cost_it(rig: CopyRig) -> None:
    history = History(rig, keep=1)
    done = await generations(history, 2)
    layout = rig.layout()
    others = done.kept[0].name.replace("X00001", "X00002")
    rig.at(layout.kept(others)).write_bytes(b"of another tape")
    forged = [replace(done.kept[0], name=others), *done.kept]
    rig.at(layout.manifest).write_bytes(manifest.encode(layout.tape, done.copy, forged))
    history.change((0, b"third"))
    assert isinstance(await rig.copy(replace(rig.job(generation=3), keep=0)), CopyDone)
    assert rig.at(layout.kept(others)).read_bytes() == b"of another tape"


async def test_a_server_without_hard_links_keeps_none(rig: CopyRig) -> None:
    options = ["ForceCommand internal-sftp -P hardlink"]
    with Sshd(rig.sshd.directory / "poor", options=options) as poor:
        rig.sshd = poor
        done = await generations(History(rig), 3)
    assert done.kept == ()


async def test_a_link_that_is_refused_costs_the_former_generation_alone(
    rig: CopyRig, expect_log: ExpectedLogs
) -> None:
    history = History(rig)
    await generations(history, 1)
    rig.at(rig.layout().kept_directory).rmdir()
    expect_log("the former generation of .* is not kept", logging.WARNING)
    history.change((0, b"second"))
    done = await rig.copy(history.order(rig.job(generation=2)))
    assert isinstance(done, CopyDone), done
    assert done.kept == ()
    assert rig.published().read_bytes() == history.content


async def test_maps_go_with_their_generations(rig: CopyRig) -> None:
    history = History(rig, keep=2)
    done = await generations(history, 6)
    layout = rig.layout()
    names = {path.name for path in Path(layout.records).glob("*.map")}
    wanted = {Path(layout.map(copy.root)).name for copy in (done.copy, *done.kept)}
    assert names == wanted


async def test_the_oldest_go_while_less_is_free_than_shall_be(rig: CopyRig) -> None:
    history = History(rig, keep=5)
    done = await generations(history, 3)
    assert len(done.kept) == 2
    rig.keep_free = 1.0
    done = await generations(history, 1)
    assert done.kept == ()
    assert history.kept() == []


@pytest.fixture
def disk(rig: CopyRig) -> Iterator[Path]:
    """Put a disk of 16 MiB where the target's vault lies."""
    with unmounted_after(rig.vault), mounted_disk(rig.vault.parent / "image", rig.vault):
        yield rig.vault


@pytest.mark.mount
async def test_former_generations_make_room_for_the_next(rig: CopyRig, disk: Path) -> None:
    history = History(rig, keep=5)
    for _ in range(2):
        await history.copy(history.change((0, os.urandom(4 * MIB))))
    assert len(history.kept()) == 1
    history.change((0, os.urandom(4 * MIB)))
    done = await rig.copy(history.order(rig.job(generation=3)))
    assert isinstance(done, CopyDone), done
    history.done = done
    history.change((0, os.urandom(8 * MIB)))
    last = await rig.copy(history.order(rig.job(generation=4)))
    assert isinstance(last, CopyDone), last
    assert rig.published().read_bytes() == history.content
    assert [copy.generation for copy in last.kept] == [3]
