"""Published copies looked at again on real servers: damaged, cut, replaced, without a map."""

import hashlib
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone, PublishedCopy
from copyagent.transfer.chunks import SMALLEST_CHUNK, ChunkMap, MapBuilder, encode
from copyagent.transfer.published import Looked, Reader, Result, look, read_map
from copyagent.transfer.same_content import differs
from copyagent.transfer.source import open_tape
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh

CHUNK = SMALLEST_CHUNK
SIZE = 6 * CHUNK + 1000


@dataclass
class Case:
    """A tape that was copied to a target."""

    rig: CopyRig
    content: bytes
    copy: PublishedCopy

    def damage(self, offset: int) -> None:
        with self.rig.published().open("r+b") as file:
            file.seek(offset)
            (byte,) = file.read(1)
            file.seek(offset)
            file.write(bytes([byte ^ 1]))

    async def look(
        self,
        copy: PublishedCopy | None = None,
        *,
        share: float | None = None,
        with_map: bool = True,
        seed: int = 1,
    ) -> Looked:
        copy = copy or self.copy
        layout = self.rig.layout()
        async with self.rig.connect() as target:
            chunk_map = await read_map(target, layout, copy.root) if with_map else None
            reader = Reader(target, 10.0, lambda _: None)
            chance = random.Random(seed)
            return await look(
                reader, layout.destination, copy, chunk_map, share=share, chance=chance
            )


async def case_of(rig: CopyRig) -> Case:
    content = os.urandom(SIZE)
    rig.write(content)
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    return Case(rig, content, done.copy)


@pytest.fixture
async def case(rig: CopyRig) -> Case:
    return await case_of(rig)


@pytest.fixture
def appliance(scratch: Path) -> Iterator[Sshd]:
    with Sshd(scratch / "appliance", sftp_only=True) as server:
        yield server


@pytest.fixture
async def locked(scratch: Path, appliance: Sshd, bridge: None) -> Case:
    """Tell of a target that runs no commands."""
    return await case_of(CopyRig(scratch / "locked", appliance))


async def test_what_stands_as_it_was_is_good(case: Case) -> None:
    found = await case.look()
    assert (found.result, found.detail) == (Result.GOOD, "")
    assert (await case.look(share=0.3)).how == "readback of 30%"
    assert (await case.look(with_map=False)).result is Result.GOOD


async def test_a_digest_on_record_saves_reading_it_back(case: Case, locked: Case) -> None:
    for each, how in ((case, "sha256"), (locked, "readback")):
        named = replace(each.copy, sha256=hashlib.sha256(each.content).hexdigest())
        assert (await each.look(named)).how == how
        each.damage(3 * CHUNK)
        found = await each.look(named)
        assert found.result is Result.WRONG
        assert list(found.wrong or ()) == [(3 * CHUNK, 4 * CHUNK)]
        without = replace(named, root="")
        assert (await each.look(without, with_map=False)).result is Result.WRONG


@pytest.mark.parametrize("seed", range(4))
async def test_damage_anywhere_is_found(locked: Case, seed: int) -> None:
    offset = random.Random(seed).randrange(SIZE)
    locked.damage(offset)
    found = await locked.look()
    assert found.result is Result.WRONG
    assert found.wrong is not None
    assert found.wrong.covers(offset, offset + 1)
    assert found.wrong.total() <= CHUNK
    assert (await locked.look(with_map=False)).detail == "its content is another one"


async def test_what_is_cut_grown_replaced_or_gone(case: Case) -> None:
    path = case.rig.published()
    os.truncate(path, SIZE - 1)
    assert (await case.look()).detail == f"it has {SIZE - 1} bytes, {SIZE} were published"
    os.truncate(path, SIZE + 1)
    assert (await case.look()).result is Result.WRONG
    path.write_bytes(os.urandom(SIZE))
    found = await case.look()
    assert found.result is Result.WRONG
    assert found.wrong is not None
    assert found.wrong.total() == SIZE
    path.unlink()
    assert (await case.look()).result is Result.MISSING
    path.symlink_to(case.rig.tape())
    assert (await case.look()).detail == "it is no plain file"


async def test_only_the_date_was_changed(case: Case) -> None:
    os.utime(case.rig.published(), (1, 1))
    found = await case.look()
    assert (found.result, found.detail) == (Result.GOOD, "its date was changed")


async def test_nothing_to_compare_with_proves_nothing(case: Case) -> None:
    found = await case.look(replace(case.copy, root="", sha256=""), with_map=False)
    assert found.result is Result.UNPROVEN


async def test_a_map_that_lies_counts_for_nothing(case: Case) -> None:
    """Whoever can edit the copy can edit its map as well; but not what the record calls it."""
    path = Path(case.rig.layout().map(case.copy.root))
    forged = MapBuilder(SIZE)
    forged.feed_zeros(0, SIZE)
    for content in (encode(forged.result()), b"", b"x" * 700_000, path.read_bytes()[:-1]):
        path.write_bytes(content)
        async with case.rig.connect() as target:
            assert await read_map(target, case.rig.layout(), case.copy.root) is None
    path.unlink()
    path.symlink_to(case.rig.tape())
    async with case.rig.connect() as target:
        assert await read_map(target, case.rig.layout(), case.copy.root) is None
        assert await read_map(target, case.rig.layout(), "") is None


async def test_a_tape_and_a_file_are_compared_whoever_digests(case: Case, locked: Case) -> None:
    for each in (case, locked):
        for damaged in (False, True):
            if damaged:
                each.damage(CHUNK)
            with open_tape(each.rig.backing, each.rig.job().tape) as source:
                async with each.rig.connect() as target:
                    reader = Reader(target, 10.0, lambda _: None)
                    path = each.rig.layout().destination
                    assert bool(await differs(reader, path, source)) is damaged


async def test_the_map_of_a_copy_is_the_map_of_its_content(case: Case) -> None:
    builder = MapBuilder(SIZE)
    builder.feed(0, case.content)
    made: ChunkMap = builder.result()
    assert made.root == case.copy.root
