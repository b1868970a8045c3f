"""What a drill finds at a real server, by the records of a state file."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from copyagent.cli import drill
from copyagent.cli.drill_listing import Lister, Records
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine
from copyagent.core import tape as states
from copyagent.core.copying import CopyDone, PublishedCopy
from copyagent.core.drill_list import Drill, Flaw, How
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.state.history_file import state_file
from copyagent.state.store import Changes, open_store
from copyagent.transfer.known_digests import KnownDigests
from tests.support.copy_rig import CopyRig
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import AgentUnreachable
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings

pytestmark = pytest.mark.ssh


def settings_of(rig: CopyRig) -> Settings:
    return example_settings(rig.backing.parent, EXAMPLE.replace("/far/VAULT00", str(rig.vault)))


async def copied(rig: CopyRig, label: str) -> PublishedCopy:
    rig.write(label.encode() * 50_000, label)
    done = await rig.copy(rig.job(label), verify="readback")
    assert isinstance(done, CopyDone), done
    return done.copy


def save(settings: Settings, copies: dict[str, PublishedCopy | None]) -> None:
    """Write what an agent would have on record of each label."""
    path = state_file(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    store, _ = open_store(path, "now")
    changes = Changes()
    for label, copy in copies.items():
        state = states.Unsynced() if copy is None else states.Copied(copy.generation, 1)
        record = TapeRecord(TapeId("VAULT00", "BILL", label), generation=1)
        record.copies["drsite"] = CopyRecord(state, base=copy)
        record.behind_ns = 5 if copy is None else 0
        changes.put_record(record)
    store.commit(changes)
    store.close()


async def drilled(rig: CopyRig, settings: Settings) -> Drill:
    records = Records(Ledger(settings), "drsite")
    records.begin()
    async with rig.connect() as target:
        known = KnownDigests.read(settings.agent_directory() / "digests")
        lister = Lister(settings, OwnLine(settings, "drsite", target), records, known)
        await lister.add(settings.autocopy[0])
        return lister.drill("VAULT00")


async def test_how_each_digest_is_come_by_and_what_is_not_in_order(
    rig: CopyRig, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = ["HERE", "KNOWN", "NEWER", "NEWERBAD", "GONE", "SHORT", "OLD"]
    copies: dict[str, PublishedCopy | None] = {x: await copied(rig, x) for x in labels}
    settings = settings_of(rig)
    known, old = copies["KNOWN"], copies["OLD"]
    assert known is not None
    assert old is not None
    copies["KNOWN"] = replace(known, sha256="a" * 64)
    copies["OLD"] = replace(old, root="")
    copies["NEVER"] = None
    for label in ("NEWER", "NEWERBAD", "OLD"):
        rig.write(b"another content by now", label)
    bad = bytearray(rig.published("NEWERBAD").read_bytes())
    bad[7] ^= 1
    rig.published("NEWERBAD").write_bytes(bad)
    rig.published("GONE").unlink()
    os.truncate(rig.published("SHORT"), 5)
    save(settings, copies)
    made = await drilled(rig, settings)
    assert "No agent answers: its state file is read." in capsys.readouterr().err
    found = {one.tape.label: one for one in made.listed}
    assert {label: (one.how, one.flaw) for label, one in found.items()} == {
        "GONE": (How.READ_HERE, Flaw.MISSING),
        "HERE": (How.READ_HERE, None),
        "KNOWN": (How.ON_RECORD, None),
        "NEWER": (How.READ_BACK, None),
        "NEWERBAD": (None, Flaw.WRONG),
        "OLD": (None, Flaw.UNPROVEN),
        "SHORT": (How.READ_HERE, Flaw.WRONG),
    }
    assert found["HERE"].sha256 == sha256(b"HERE" * 50_000).hexdigest()
    assert found["NEWER"].sha256 == sha256(b"NEWER" * 50_000).hexdigest()
    assert found["GONE"].checkable
    assert not found["NEWERBAD"].checkable
    assert [(one.tape.label, one.state) for one in made.lacking] == [("NEVER", "unsynced")]

    # The next drill reads nothing that the first has read, and tells the same of it.
    for label in ("HERE", "NEWER"):
        rig.tape(label).unlink()
    again = {one.tape.label: one for one in (await drilled(rig, settings)).listed}
    assert {again[label].how for label in ("HERE", "NEWER", "GONE", "SHORT")} == {How.READ_BEFORE}
    assert {one.tape: one.sha256 for one in again.values()} == {
        one.tape: one.sha256 for one in found.values()
    }
    assert {one.tape: one.flaw for one in again.values()} == {
        one.tape: one.flaw for one in found.values()
    }


async def test_a_copy_that_is_replaced_meanwhile_is_no_flaw(rig: CopyRig) -> None:
    settings = settings_of(rig)
    former = await copied(rig, "X00001")
    rig.write(b"the next generation")
    job = replace(rig.job(generation=2), base=former)
    records = Records(Ledger(settings), "drsite", from_file=True)
    save(settings, {"X00001": former})
    async with rig.connect() as target:
        known = KnownDigests.read(settings.agent_directory() / "digests")
        lister = Lister(settings, OwnLine(settings, "drsite", target), records, known)
        (stale,) = list(records.of(settings.autocopy[0].pool))
        done = await rig.copy(job, verify="readback")
        assert isinstance(done, CopyDone)
        save(settings, {"X00001": done.copy})
        found = await target.lstat(str(rig.published()))
        listed = await lister._settled(stale, former, settings.autocopy[0], found)
    assert (listed.flaw, listed.generation) == (None, 2)
    assert listed.sha256 == sha256(b"the next generation").hexdigest()


def test_neither_an_agent_nor_its_state(tmp_path: Path) -> None:
    with pytest.raises(AgentUnreachable, match="there is no state file"):
        Records(Ledger(example_settings(tmp_path)), "drsite").begin()


def test_the_command_imports_no_ssh_before_it_is_wanted() -> None:
    assert not hasattr(drill, "run_drill")
