"""What is looked at by which policy, and that wrong bytes are found, on real servers."""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from copyagent.core.copying import CopyFailed
from copyagent.transfer.attempt import Attempt, Ended, Readback, Route, Verify
from copyagent.transfer.chunks import SMALLEST_CHUNK, ChunkMap, MapBuilder
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.source import SourceDiffers, open_tape
from copyagent.transfer.target import TargetMissing
from copyagent.transfer.verification import Checked, check
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd
from vtsfs.contract.extents import ExtentSet, Range

pytestmark = pytest.mark.ssh

CHUNK = SMALLEST_CHUNK
CHUNKS = 40
SIZE = CHUNKS * CHUNK - 1000


def map_of(content: bytes) -> ChunkMap:
    builder = MapBuilder(len(content))
    builder.feed(0, content)
    return builder.result()


@dataclass
class Case:
    """A tape here, what has arrived of it there, and the policy to compare them by."""

    rig: CopyRig
    content: bytes
    verify: Verify = "auto"
    readback: Readback = "all"

    @property
    def stage(self) -> Path:
        return self.rig.vault / "stage"

    def damage(self, offset: int, length: int = 1) -> None:
        with self.stage.open("r+b") as file:
            file.seek(offset)
            found = file.read(length)
            file.seek(offset)
            file.write(bytes(byte ^ 0x40 for byte in found))

    async def check(
        self,
        sent: list[Range] | None = None,
        *,
        proven: bool = True,
        resumed: list[Range] | None = None,
        seed: int = 1,
    ) -> Checked:
        route = Route(
            self.rig.backing,
            self.rig.layout(),
            self.verify,
            10.0,
            readback=self.readback,
            agent=self.rig.agent,
        )
        sent = [(0, len(self.content))] if sent is None else sent
        with open_tape(self.rig.backing, self.rig.job().tape) as source:
            async with self.rig.connect() as target:
                attempt = Attempt(self.rig.job(), route, source, target, self.seen)
                return await check(
                    attempt,
                    str(self.stage),
                    map_of(self.content),
                    ExtentSet(sent),
                    proven,
                    resumed=ExtentSet(resumed or []),
                    chance=random.Random(seed),
                )

    def seen(self, step: CopyProgress) -> None:
        self.rig.seen.append(step)
        self.rig.on_progress(step)

    def read_back(self) -> int:
        """Return how many bytes came back over the line."""
        steps = [step for step in self.rig.seen if step.phase is Phase.VERIFYING]
        return max((step.done for step in steps), default=0)


def case_of(rig: CopyRig, content: bytes | None = None) -> Case:
    case = Case(rig, os.urandom(SIZE) if content is None else content)
    rig.write(case.content)
    case.stage.write_bytes(case.content)
    return case


@pytest.fixture
def case(rig: CopyRig) -> Case:
    return case_of(rig)


@pytest.fixture
def appliance(scratch: Path) -> Iterator[Sshd]:
    with Sshd(scratch / "appliance", sftp_only=True) as server:
        yield server


@pytest.fixture
async def locked(scratch: Path, appliance: Sshd, bridge: None) -> Case:
    """Tell of a target that runs no commands."""
    return case_of(CopyRig(scratch / "locked", appliance))


def chunk(index: int) -> Range:
    return index * CHUNK, min((index + 1) * CHUNK, SIZE)


# ---- what proves what ----------------------------------------------------------------------------


async def test_size_looks_at_nothing_else(case: Case) -> None:
    case.verify = "size"
    case.damage(5)
    assert await case.check() == Checked("size", ExtentSet())
    assert case.read_back() == 0


async def test_what_was_resumed_is_read_whatever_the_policy(case: Case) -> None:
    case.verify = "size"
    case.damage(3 * CHUNK + 7)
    found = await case.check([(0, CHUNK)], resumed=[(3 * CHUNK, 3 * CHUNK + 100)])
    assert list(found.wrong) == [(3 * CHUNK, 3 * CHUNK + 100)]
    assert case.read_back() == 100


async def test_what_nobody_vouches_for_is_read_whatever_the_policy(case: Case) -> None:
    case.verify = "size"
    case.damage(SIZE - 1)
    found = await case.check([(0, 10)], proven=False)
    assert found == Checked("readback", ExtentSet([chunk(CHUNKS - 1)]))


@pytest.mark.parametrize("size", [0, 1, CHUNK, SIZE])
async def test_sha256_is_the_target_s_own(rig: CopyRig, size: int) -> None:
    case = case_of(rig, os.urandom(size))
    case.verify = "sha256"
    found = await case.check()
    assert (found.how, list(found.wrong)) == ("sha256", [])
    assert len(found.sha256) == 64
    assert case.read_back() == 0


async def test_sha256_finds_where_it_differs(case: Case) -> None:
    case.verify = "sha256"
    for offset in (0, 17 * CHUNK, SIZE - 1):
        case.damage(offset)
    found = await case.check()
    assert found == Checked("sha256", ExtentSet([chunk(0), chunk(17), chunk(CHUNKS - 1)]))


async def test_sha256_where_no_command_runs_is_for_the_operator_to_mend(locked: Case) -> None:
    locked.verify = "sha256"
    with pytest.raises(Ended) as ended:
        await locked.check()
    outcome = ended.value.outcome
    assert isinstance(outcome, CopyFailed)
    assert outcome.permanent
    assert "verify: auto" in outcome.next_step


async def test_auto_has_a_whole_copy_digested_there(case: Case) -> None:
    assert (await case.check()).how == "sha256"
    assert case.read_back() == 0
    case.damage(CHUNK)
    assert list((await case.check()).wrong) == [chunk(1)]


async def test_auto_reads_a_small_copy_back(rig: CopyRig) -> None:
    case = case_of(rig, os.urandom(100_000))
    assert (await case.check()).how == "readback"
    assert case.read_back() == 100_000


async def test_auto_reads_back_what_was_sent(case: Case) -> None:
    for offset in (2 * CHUNK + 5, 9 * CHUNK, 11 * CHUNK + 7, 21 * CHUNK):
        case.damage(offset)
    sent = [(2 * CHUNK, 2 * CHUNK + 10), (5 * CHUNK - 1, 5 * CHUNK + 1), (10 * CHUNK, 12 * CHUNK)]
    found = await case.check([*sent, (21 * CHUNK + 1, 21 * CHUNK + 2)])
    wrong = ExtentSet([sent[0], chunk(11)])
    assert found == Checked("readback of what was sent", wrong)
    assert case.read_back() == 10 + 2 + 2 * CHUNK + 1


async def test_auto_reads_everything_where_no_command_runs(locked: Case) -> None:
    assert await locked.check() == Checked("readback", ExtentSet())
    assert locked.read_back() == SIZE
    found = await locked.check([(0, 10)], proven=False)
    assert found == Checked("readback", ExtentSet())


async def test_readback_does_not_ask_for_a_digest(case: Case) -> None:
    case.verify = "readback"
    assert await case.check([(0, 1)]) == Checked("readback", ExtentSet())
    assert case.read_back() == SIZE


async def test_readback_of_what_was_sent(case: Case) -> None:
    case.verify, case.readback = "readback", "sent"
    case.damage(20 * CHUNK)
    found = await case.check([(0, 2 * CHUNK)])
    assert found == Checked("readback of what was sent", ExtentSet())
    assert case.read_back() == 2 * CHUNK
    assert (await case.check()).how == "readback", "everything was sent"


async def test_readback_of_a_share_is_drawn_anew(case: Case) -> None:
    case.verify, case.readback = "readback", 0.05
    for index in (12, *range(20, 30)):
        case.damage(index * CHUNK)
    found = [await case.check([(0, CHUNK)], seed=seed) for seed in range(8)]
    assert {each.how for each in found} == {"readback of 5%"}
    assert case.read_back() <= 2 * CHUNK
    assert len({tuple(each.wrong) for each in found}) > 2
    resumed = (12 * CHUNK, 12 * CHUNK + 1)
    assert (await case.check([(0, CHUNK)], resumed=[resumed])).wrong.covers(*resumed)


# ---- what is found -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_damage_anywhere_is_found(locked: Case, seed: int) -> None:
    chance = random.Random(seed)
    damaged = {chance.randrange(SIZE) for _ in range(chance.randint(1, 6))}
    for offset in damaged:
        locked.damage(offset)
    wrong = (await locked.check()).wrong
    assert wrong == ExtentSet(chunk(offset // CHUNK) for offset in sorted(damaged))


@pytest.mark.parametrize("verify", ["auto", "size", "sha256", "readback"])
async def test_what_is_cut_is_missing(case: Case, verify: Verify) -> None:
    case.verify = verify
    os.truncate(case.stage, CHUNK + 5)
    assert list((await case.check()).wrong) == [(CHUNK + 5, SIZE)]


async def test_what_is_cut_while_it_is_read_is_missing(case: Case) -> None:
    case.verify = "readback"

    def cut(_: object) -> None:
        os.truncate(case.stage, 30 * CHUNK - 1)

    case.rig.on_progress = cut
    wrong = (await case.check()).wrong
    assert wrong.covers(29 * CHUNK, SIZE)


async def test_what_is_too_long_is_no_copy(case: Case) -> None:
    os.truncate(case.stage, SIZE + 1)
    with pytest.raises(Ended, match="bytes instead of"):
        await case.check()


async def test_what_is_gone_or_no_file(case: Case) -> None:
    case.stage.unlink()
    with pytest.raises(TargetMissing):
        await case.check()
    case.stage.symlink_to(case.rig.tape())
    with pytest.raises(TargetMissing):
        await case.check()


async def test_a_hole_has_to_be_one(rig: CopyRig) -> None:
    content = os.urandom(CHUNK) + bytes(3 * CHUNK)
    case = case_of(rig, content)
    os.truncate(case.stage, CHUNK)
    os.truncate(case.stage, len(content))
    case.verify = "readback"
    assert await case.check([(0, CHUNK)]) == Checked("readback", ExtentSet())
    case.damage(2 * CHUNK + 1)
    assert list((await case.check([(0, CHUNK)])).wrong) == [(2 * CHUNK, 3 * CHUNK)]


async def test_a_source_that_changed_meanwhile_is_not_blamed_on_the_target(case: Case) -> None:
    """The map is of what was read first; by the time of the digest the tape is another one."""
    case.verify = "sha256"
    tape = case.rig.tape()
    changed = bytearray(case.content)
    changed[0] ^= 1

    def change(_: object) -> None:
        tape.write_bytes(changed)

    case.rig.on_progress = change
    with pytest.raises(SourceDiffers):
        await case.check()
