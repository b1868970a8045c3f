"""What is owed: since when, in which order, and what a restart makes of it."""

from copyagent.core.owed import Owed
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shelf import CopyAtRest, Resting, Shape
from copyagent.core.tape import Copied, Failed, Queued, Unmonitored
from copyagent.core.time import Moment
from copyagent.core.witness import Session
from tests.support.histories import SECOND, TAPE, TARGET
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access

WAY = (TAPE.pool_id, TARGET)
NS = 10**9


def at(second: float) -> Moment:
    return Moment(1000.0 + second, int((5000 + second) * NS))


def record(tape: TapeId = TAPE) -> TapeRecord:
    return TapeRecord(tape, copies={TARGET: CopyRecord(Queued(1))})


def test_it_is_owed_since_it_could_be_copied_first() -> None:
    owed, tape = Owed(), record()
    tape.open["s"] = Session("s", Access.WRITE, 1)
    assert not owed.settle(tape, at(0))
    assert owed.oldest(WAY) is None
    del tape.open["s"]
    assert owed.settle(tape, at(10))
    assert owed.oldest(WAY) == (TAPE, 1010.0)
    assert tape.copies[TARGET].owed_ns == 5010 * NS
    tape.open["s"] = Session("s", Access.WRITE, 1)
    tape.copies[TARGET].state = Failed(1, 12, "c", "n", True, 1)
    assert not owed.settle(tape, at(20))
    assert owed.oldest(WAY) == (TAPE, 1010.0)


def test_it_is_not_owed_when_the_target_has_it_or_nobody_asks_for_it() -> None:
    for state in (Copied(1, 1), Unmonitored()):
        owed, tape = Owed(), record()
        owed.settle(tape, at(0))
        tape.copies[TARGET].state = state
        assert owed.settle(tape, at(1))
        assert (owed.count(WAY), tape.copies[TARGET].owed_ns) == (0, 0)


def test_each_target_is_owed_what_is_written_for_very_long() -> None:
    """Be it that another one was owed something before, and whichever comes first."""
    for first, other in ((TARGET, "other"), ("other", TARGET)):
        owed, tape = Owed(), record()
        tape.copies = {first: CopyRecord(Queued(2)), other: CopyRecord(Queued(2), owed_ns=7)}
        assert owed.owe(tape, at(0))
        assert {copy.owed_ns for copy in tape.copies.values()} == {5000 * NS, 7}
        tape.copies = {other: tape.copies[other], first: CopyRecord(Queued(2))}
        assert owed.owe(tape, at(0))
        assert not owed.owe(tape, at(1))


def test_the_oldest_comes_first_and_what_is_forgotten_is_not_owed() -> None:
    owed, first, second = Owed(), record(TAPE), record(SECOND)
    owed.settle(second, at(0))
    owed.settle(first, at(1))
    owed.settle(second, at(2))
    assert owed.oldest(WAY) == (SECOND, 1000.0)
    owed.forget(second)
    assert owed.oldest(WAY) == (TAPE, 1001.0)
    assert owed.count(WAY) == 1


def test_a_restart_takes_it_from_the_records_oldest_first() -> None:
    before, first, second = Owed(), record(TAPE), record(SECOND)
    before.settle(second, at(0))
    before.settle(first, at(30))
    owed = Owed()
    owed.recover(iter([first, second]), (), Moment(7.0, 5100 * NS))
    assert owed.ways == {WAY: {SECOND: -93.0, TAPE: -63.0}}
    assert list(owed.ways[WAY]) == [SECOND, TAPE]


def test_a_clock_that_was_set_back_makes_it_owed_from_now_on() -> None:
    before, tape = Owed(), record()
    before.settle(tape, at(0))
    owed = Owed()
    owed.recover(iter([tape]), (), Moment(7.0, 1 * NS))
    assert owed.oldest(WAY) == (TAPE, 7.0)


def test_a_restart_takes_what_is_owed_of_tapes_at_rest_as_well() -> None:
    never = Shape((CopyAtRest(TARGET, "unsynced"),))
    resting = Resting(never, None, 5000 * NS, (5000 * NS,))
    before, tape = Owed(), record()
    before.settle(tape, at(30))
    owed = Owed()
    owed.recover([tape], [(SECOND, resting)], Moment(7.0, 5100 * NS))
    assert list(owed.ways[WAY]) == [SECOND, TAPE]
    assert owed.oldest(WAY) == (SECOND, -93.0)
