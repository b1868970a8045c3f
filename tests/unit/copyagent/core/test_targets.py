"""Tapes whose pool goes to other targets than in the last run; which targets answer."""

from collections import Counter
from dataclasses import replace

import pytest

from copyagent.core import operator
from copyagent.core.book import Book
from copyagent.core.commands import ProbeTarget, Say, StartCopy
from copyagent.core.copying import CopyFailed, CopyWaits, WaitReason
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted, TargetProbed, WakeupDue
from copyagent.core.syncing import SyncWanted, sync
from copyagent.core.tape import (
    Approved,
    Clean,
    Copied,
    Copying,
    Held,
    Retrying,
    Unmonitored,
    Unsynced,
    Waiting,
)
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    make_engine,
    make_settings,
    unreachable,
)
from tests.support.playbook import START, Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

BOTH = (TARGET, OTHER_TARGET)
REFUSED = CopyFailed("connection refused", "Start sshd.", unreachable=True)


def under_other_settings(play: Playbook, *targets: str) -> Playbook:
    """The agent is restarted with other targets."""
    book = Book(make_settings(targets=targets), records=play.engine.book.records)
    after = Playbook(Engine(book), now=play.now, origin=play.now.mono)
    after.hand(AgentStarted())
    return after


def copied(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0)
    for job in list(play.jobs):
        play << StartCopy
        play.hand(done(job))


def test_a_target_added_later_has_no_copy_of_the_tapes_that_are_known() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay)
    play >> overlay.mounted(SECOND) >> overlay.dismounted(SECOND, wrote=1, size=0)
    play.wait(30.0)
    with under_other_settings(play, *BOTH) as later:
        assert isinstance(later.state(), Copied)
        assert later.state(target=OTHER_TARGET) == Unsynced()
        assert not later.record().protected
        assert later.record().behind_ns == later.now.wall_ns
        assert later.state(SECOND, OTHER_TARGET) == Clean()
        assert TAPE in later.engine.book.dirty
        later >> link_lost()
        sync(later.engine.book, SyncWanted(TAPE), "root", later.now)
        later.hand(AgentStarted())
        later << StartCopy << StartCopy
        assert {job.target for job in later.jobs} == set(BOTH)


def test_a_target_taken_away_is_left_alone_and_taken_up_where_it_was() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    copied(play, overlay)
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy << StartCopy
    play >> failed(play.jobs[-1]) >> failed(play.jobs[-2])
    with under_other_settings(play, TARGET) as alone:
        left = alone.state(target=OTHER_TARGET)
        assert isinstance(left, Unmonitored)
        assert isinstance(left.was, Retrying)
        assert isinstance(alone.state(), Retrying)
        alone.wait(300.0) << StartCopy
        alone >> done(alone.job)
        assert alone.record().protected
        with pytest.raises(RequestFailed, match="not held"):
            operator.release(alone.engine.book, TAPE, "x", "root", alone.now)
        answers = operator.retry(alone.engine.book, TAPE, "root", alone.now)
        assert any("not copied to attic any more" in answer for answer in answers)
    with under_other_settings(alone, *BOTH) as again:
        assert isinstance(again.state(), Copied)
        # What was owed when it left is owed again, and begins a ladder of its own.
        again << StartCopy
        assert again.job.target == OTHER_TARGET
        assert isinstance(again.state(target=OTHER_TARGET), Copying)


def test_a_copy_that_was_up_to_date_still_is_when_its_target_comes_back() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    copied(play, overlay)
    with under_other_settings(play, TARGET) as alone:
        assert alone.state(target=OTHER_TARGET) == Unmonitored()
    with under_other_settings(alone, *BOTH) as again:
        assert isinstance(again.state(target=OTHER_TARGET), Copied)
        assert again.record().protected


def test_the_health_of_a_target_is_what_was_heard_last() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    health = play.engine.targets.health
    with play.wait(2.0):
        play << StartCopy
        play >> unreachable(play.job)
        assert health[TARGET].trouble == "connection refused"
        since = health[TARGET].since_ns
        play.wait(300.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, REFUSED)
        assert health[TARGET].since_ns == since
        play.wait(300.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET) << StartCopy
        play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
        assert not health[TARGET].trouble, "who can say that it is fenced is there"
        play >> TargetProbed(TARGET, replace(REFUSED, cause="timed out"))
        assert health[TARGET].trouble == "timed out"
        play >> TargetProbed(TARGET)
        assert not health[TARGET].trouble


def test_another_host_under_the_same_name_has_no_copy_yet() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay)
    settings = make_settings()
    there = settings.targets[TARGET].model_copy(update={"host": "dr2.example.com"})
    moved = settings.model_copy(update={"targets": {TARGET: there}})
    book = Book(moved, records=play.engine.book.records)
    assert book.records[TAPE].copies[TARGET].state == Unsynced()
    assert book.records[TAPE].copies[TARGET].base is None
    assert TAPE in book.dirty
    again = Book(moved, records=book.records)
    assert again.dirty == set(), "noticed once"


def test_one_tape_speaks_in_the_log_for_all_that_were_due() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    with play:
        for tape in (TAPE, SECOND):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(30.0)
        play << StartCopy << StartCopy
        first, second = play.jobs
        play.hand(unreachable(first))
        play.hand(unreachable(second))
        assert play.times_said(messages.ATTEMPT_FAILED) == 1, "the other is counted"
        play.wait(300.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET) << StartCopy << StartCopy
        for job in play.jobs[2:]:
            play.hand(failed(job))
        for label in range(3, 8):
            tape = replace(TAPE, label=f"X0000{label}")
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(30.0)
        play << StartCopy << StartCopy
        play.hand(unreachable(play.jobs[4]))
        assert play.times_said(messages.ATTEMPT_FAILED) == 2, "one for each number of an attempt"
        waiting = [r for r in play.engine.book.records.values() if r.tape.label > "X00002"]
        failures = [getattr(r.copies[TARGET].state, "failures", None) for r in waiting]
        assert failures == [1, 0, 1, 1, 1], "all but the one under way have had their attempt"
        play.hand(unreachable(play.jobs[5]))


def test_a_target_with_another_host_key_is_in_trouble_and_a_fenced_one_is_not() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(30.0) << StartCopy
        play >> ended(play.job, CopyWaits(WaitReason.HOST_KEY, "not the pinned key"))
        health = play.engine.targets.health[TARGET]
        assert health.trouble == "not the pinned key"
        play.wait(300.0) << StartCopy
        play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
        health = play.engine.targets.health[TARGET]
        assert (health.trouble, health.remark) == ("", "fenced")


def test_one_copy_that_waits_speaks_for_all_that_are_due() -> None:
    """A fence, another host key, another agent: nobody tries it ten thousand times, or counts it."""
    overlay, play = Overlay(), Playbook(make_engine())
    with play:
        for label in range(1, 8):
            tape = replace(TAPE, label=f"X0000{label}")
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(30.0) << StartCopy << StartCopy
        play >> ended(play.jobs[0], CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
        play >> ended(play.jobs[1], CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
        states = [record.copies[TARGET].state for record in play.engine.book.records.values()]
        assert all(isinstance(state, Waiting) and state.failures == 0 for state in states)
        assert play.times_said(messages.FENCED) == 1
        play.wait(300.0) << StartCopy << StartCopy
        play >> ended(play.jobs[2], CopyWaits(WaitReason.HOST_KEY, "another key"))
        play >> ended(play.jobs[3], CopyWaits(WaitReason.HOST_KEY, "another key"))
        play.wait(300.0) << StartCopy << StartCopy
        assert len(play.jobs) == 6
        play.hand(done(play.jobs[4]))
        play << StartCopy


def test_ten_thousand_tapes_and_a_target_that_is_down_cost_a_probe_and_a_line() -> None:
    engine = make_engine()
    book, now = engine.book, START
    for number in range(10_000):
        record = book.record(TapeId("VAULT00", "BILL", f"T{number:05}"))
        record.generation, record.identity = 1, Identity(1, number, 10, 10, 10)
        book.apply(record, TARGET, Approved(1), now)
    started = [c.job for c in engine.handle(WakeupDue(), now) if isinstance(c, StartCopy)]
    assert len(started) == 2
    for job in started:
        engine.handle(unreachable(job), now)
    said, probes = Counter[int](), 0
    for _ in range(11):
        now = now.after(300.0)
        commands = engine.handle(WakeupDue(), now)
        probes += sum(isinstance(command, ProbeTarget) for command in commands)
        assert not any(isinstance(command, StartCopy) for command in commands)
        for command in engine.handle(TargetProbed(TARGET, REFUSED), now):
            if isinstance(command, Say):
                said[command.message.id] += 1
    assert probes == 11
    # The first attempt was told when the first two tapes had tried.
    assert (said[messages.ATTEMPT_FAILED.id], said[messages.GAVE_UP.id]) == (10, 1)
    (summary,) = [c for c in engine.handle(WakeupDue(), now.after(60.0)) if isinstance(c, Say)]
    assert (summary.message, summary.fields["count"]) == (messages.MORE_FAILED, "9,999")
    assert all(r.copies[TARGET].state.kind == "failed" for r in book.records.values())
    assert max(len(record.notes) for record in book.records.values()) <= 4


def test_a_hold_does_not_end_by_a_change_of_the_settings() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    play >> overlay.mounted() >> overlay.interrupted()
    play.wait(30.0)
    assert isinstance(play.state(), Held)
    settings = make_settings()
    there = settings.targets[TARGET].model_copy(update={"host": "dr2.example.com"})
    moved = settings.model_copy(update={"targets": {TARGET: there}})
    book = Book(moved, records=play.engine.book.records)
    assert isinstance(book.records[TAPE].copies[TARGET].state, Held)
