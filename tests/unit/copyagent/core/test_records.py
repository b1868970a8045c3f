"""What is remembered of one tape, and when it counts as protected."""

import pytest

from copyagent.core.records import MOST_NOTES, CopyRecord, TapeRecord
from copyagent.core.tape import Clean, Copied, Kept, Queued, State, Unmonitored, Unsynced
from copyagent.core.witness import Evidence, Session
from tests.support.histories import OTHER_TARGET, TAPE, TARGET
from vtsfs.contract.signals import Access

WRITER = Session("w", Access.WRITE, 1)
READER = Session("r", Access.READ, 1)


def record(state: State, **rest: object) -> TapeRecord:
    made = TapeRecord(TAPE, copies={TARGET: CopyRecord(state), OTHER_TARGET: CopyRecord(Clean())})
    for name, value in rest.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize("state", [Clean(), Copied(1, 1), Kept("erased", 1), Unmonitored()])
def test_a_tape_is_protected_when_every_target_has_all_there_is(state: State) -> None:
    assert record(state).protected
    assert record(state, open={"r": READER}).protected
    assert not record(state, open={"w": WRITER}).protected
    assert not record(state, evidence=Evidence((WRITER,))).protected
    assert record(state, evidence=Evidence((READER,))).protected


@pytest.mark.parametrize("state", [Unsynced(), Queued(1)])
def test_one_target_without_it_is_enough(state: State) -> None:
    assert not record(state).protected


def test_a_writer_or_an_open_verdict_is_unsettled() -> None:
    assert record(Clean(), open={"w": WRITER, "r": READER}).writers
    assert not record(Clean(), open={"r": READER}).writers
    assert record(Clean(), open={"w": WRITER}).unsettled
    assert record(Clean(), evidence=Evidence(received=True)).unsettled
    assert not record(Clean()).unsettled


def test_a_tapes_history_is_bounded_and_keeps_the_newest() -> None:
    made = record(Clean())
    for number in range(MOST_NOTES + 5):
        made.note(number, f"note {number}")
    assert len(made.notes) == MOST_NOTES
    assert made.notes[-1].text == f"note {MOST_NOTES + 4}"
