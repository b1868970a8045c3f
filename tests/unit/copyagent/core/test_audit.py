"""What is wrong with a copy, by what lies here, what lies there, and what is on record."""

from dataclasses import replace

import pytest

from copyagent.core.audit import FEW, Audit, Flaw, Here, There
from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.core.on_record import DOUBTED, OnRecord
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Identity

SECOND = 1_000_000_000
IDENTITY = Identity(1, 2, 300, 50 * SECOND + 5, 50 * SECOND)
HERE = Here(IDENTITY)
THERE = There(300, 50)
COPY = PublishedCopy(4, IDENTITY, 300, "aa", TargetStamp(300, 50, "12:34"), "readback", 99)
RECORD = OnRecord(TapeId("VAULT00", "BILL", "X00001"), "drsite", "copied", 4, IDENTITY, COPY)
NEVER = replace(RECORD, state="unsynced", published=None)
NEWER = replace(IDENTITY, mtime_ns=60 * SECOND)


@pytest.mark.parametrize(
    ("here", "there", "record", "flaw"),
    [
        (HERE, THERE, RECORD, None),
        (HERE, THERE, None, None),
        (HERE, None, RECORD, Flaw.MISSING),
        (HERE, None, None, Flaw.MISSING),
        (HERE, THERE, NEVER, Flaw.MISSING),
        (Here(NEWER), THERE, RECORD, Flaw.STALE),
        (HERE, THERE, replace(RECORD, generation=5, state="failed"), Flaw.STALE),
        (HERE, There(300, 49), None, Flaw.STALE),
        (HERE, There(300, 51), RECORD, Flaw.DIFFERENT),
        (HERE, There(301, 50), RECORD, Flaw.DIFFERENT),
        (HERE, There(301, 51), None, Flaw.DIFFERENT),
        (HERE, replace(THERE, plain=False), RECORD, Flaw.DIFFERENT),
        (HERE, THERE, replace(RECORD, published=replace(COPY, stamp=DOUBTED)), Flaw.DIFFERENT),
        (None, THERE, None, Flaw.EXTRA),
        (None, THERE, NEVER, Flaw.EXTRA),
        (None, None, None, None),
        (Here(replace(IDENTITY, size=0)), None, NEVER, None),
        (Here(None), THERE, None, Flaw.STRAY),
    ],
)
def test_a_tape(
    here: Here | None, there: There | None, record: OnRecord | None, flaw: Flaw | None
) -> None:
    audit = Audit()
    found = audit.tape("X00001", here, there, record)
    assert (found.flaw if found else None) == flaw
    assert audit.flaws.total() == (flaw is not None)
    if found is not None:
        assert found.why
        audit.withdraw(found)
        assert audit.flaws.total() == 0


def test_what_is_kept_on_purpose_and_what_is_in_use_is_only_counted() -> None:
    audit = Audit()
    assert audit.tape("X00001", None, THERE, RECORD) is None
    assert audit.tape("X00001", Here(replace(IDENTITY, size=0)), THERE, RECORD) is None
    assert audit.tape("X00001", HERE, None, replace(RECORD, unsettled=True)) is None
    assert (audit.good, audit.kept, audit.in_use) == (0, 2, 1)


def test_why_a_copy_is_not_made_is_said() -> None:
    found = Audit().tape("X00001", HERE, None, replace(NEVER, state="held"))
    assert found is not None
    assert found.why == "its copy is held"


def test_companions_and_strays() -> None:
    audit = Audit()
    assert audit.companion("X00001.meta", HERE, THERE) is None
    assert audit.companion("X00001.meta", None, THERE) is None
    missing = audit.companion("X00001.meta", HERE, None)
    stale = audit.companion("X00001.meta", HERE, There(300, 51))
    stray = audit.stray("notes.txt", "there")
    assert [found.flaw for found in (missing, stale, stray) if found] == [
        Flaw.MISSING,
        Flaw.STALE,
        Flaw.STRAY,
    ]
    assert audit.flaws.total() == 3


def test_the_commands_that_mend() -> None:
    audit, pool = Audit(), PoolId("VAULT00", "BILL")
    audit.stray("notes.txt", "there")
    audit.tape("X00002", None, THERE, None)
    assert audit.commands(pool, "drsite") == []
    audit.tape("X00001", HERE, None, None)
    audit.tape("X00001", Here(NEWER), THERE, RECORD)
    audit.tape("X00003", HERE, THERE, RECORD)
    audit.content("X00003", "its content is another one there")
    assert audit.good == 0
    assert audit.commands(pool, "drsite") == [
        "copyagent sync /VAULT00/BILL --missing --target drsite",
        "copyagent sync /VAULT00/BILL --stale --target drsite",
        "copyagent sync /VAULT00/BILL/X00003 --target drsite",
    ]


def test_what_only_seems_to_be_copied_is_named_while_it_is_little() -> None:
    audit, pool = Audit(), PoolId("VAULT00", "BILL")
    for number in range(FEW):
        audit.tape(f"X{number:05}", HERE, None, RECORD)
    commands = audit.commands(pool, "drsite")
    assert commands[0] == "copyagent sync /VAULT00/BILL/X00000 --target drsite"
    assert len(commands) == FEW
    found = audit.tape("X99999", HERE, None, RECORD)
    assert audit.commands(pool, "drsite") == ["copyagent sync /VAULT00/BILL --all --target drsite"]
    assert found is not None
    audit.withdraw(found)
    assert audit.commands(pool, "drsite") == commands


def test_no_sync_is_named_for_what_is_held_for_it_would_leave_that_alone() -> None:
    pool = PoolId("VAULT00", "BILL")
    audit = Audit()
    audit.tape("X00001", HERE, THERE, replace(NEVER, state="held"))
    stale = audit.tape("X00002", Here(NEWER), THERE, replace(RECORD, state="held"))
    assert audit.held.total() == 2
    assert audit.commands(pool, "drsite") == []
    audit.tape("X00003", HERE, None, None)
    assert audit.commands(pool, "drsite") == [
        "copyagent sync /VAULT00/BILL --missing --target drsite"
    ]
    assert stale is not None
    audit.withdraw(stale)
    assert audit.held.total() == 1


def test_a_date_beyond_what_the_target_can_keep_is_no_difference() -> None:
    far = replace(IDENTITY, mtime_ns=5_000_000_000 * SECOND)
    assert Audit().tape("X00001", Here(far), There(300, 0xFFFFFFFF), None) is None
