"""A copy that is being replaced while it is verified is looked at again, not accused."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine
from copyagent.cli.verify_run import Tally, Verifier, Wanted
from copyagent.core.copying import CopyDone, PublishedCopy
from copyagent.core.on_record import OnRecord
from copyagent.transfer.target import Target
from tests.support.copy_rig import CopyRig
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.naming import TapeId

pytestmark = pytest.mark.ssh

TAPE = TapeId("VAULT00", "BILL", "X00001")


async def copied(rig: CopyRig, generation: int, base: PublishedCopy | None = None) -> PublishedCopy:
    rig.write(os.urandom(100_000))
    done = await rig.copy(replace(rig.job(generation=generation), base=base))
    assert isinstance(done, CopyDone), done
    return done.copy


def verifier_of(rig: CopyRig, target: Target) -> Verifier:
    settings = example_settings(rig.backing.parent, EXAMPLE.replace("/far/VAULT00", str(rig.vault)))
    line = OwnLine(settings, "drsite", target)
    wanted = Wanted(TAPE, None, None, True)
    return Verifier(Ledger(settings), line, wanted, Tally(), with_agent=False)


def record_of(copy: PublishedCopy) -> OnRecord:
    return OnRecord(TAPE, "drsite", "copied", copy.generation, None, copy)


async def test_the_record_moved_on(rig: CopyRig, capsys: pytest.CaptureFixture[str]) -> None:
    first = await copied(rig, 1)
    await copied(rig, 2, first)
    async with rig.connect() as target:
        verifier = verifier_of(rig, target)
        await verifier.verify(record_of(first))
    assert verifier.tally.bad == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["result"], document["generation"]) == ("good", 2)


async def test_between_rename_and_record(rig: CopyRig, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is the new one, the record the old one, and an intent says why."""
    first = await copied(rig, 1)
    manifest, intent = Path(rig.layout().manifest), Path(rig.layout().intent)
    old = manifest.read_bytes()
    await copied(rig, 2, first)
    new = manifest.read_bytes()
    manifest.write_bytes(old)
    intent.write_bytes(new)
    async with rig.connect() as target, trio.open_nursery() as nursery:
        verifier = verifier_of(rig, target)
        nursery.start_soon(verifier.verify, record_of(first))
        await trio.testing.wait_all_tasks_blocked(0.3)
        assert verifier.tally.looked == 0, "it is not judged while it is being published"
        manifest.write_bytes(new)
        intent.unlink()
    assert (verifier.tally.looked, verifier.tally.bad) == (1, 0)
    assert json.loads(capsys.readouterr().out)["generation"] == 2


async def test_another_content_without_an_intent_is_wrong_at_once(
    rig: CopyRig, capsys: pytest.CaptureFixture[str]
) -> None:
    first = await copied(rig, 1)
    rig.published().write_bytes(os.urandom(100_000))
    async with rig.connect() as target:
        verifier = verifier_of(rig, target)
        with trio.fail_after(5):
            await verifier.verify(record_of(first))
    assert verifier.tally.bad == 1
    assert json.loads(capsys.readouterr().out)["wrong"] == [[0, 100_000]]
