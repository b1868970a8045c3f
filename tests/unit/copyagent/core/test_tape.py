"""Every pair of state and event: what becomes of it, or that it cannot happen."""

from dataclasses import replace
from typing import get_args

import pytest

from copyagent.core import copy_events
from copyagent.core import tape as states
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyJob,
    CopyOutcome,
    CopyStopped,
    CopyWaits,
    HoldReason,
    SourceChanged,
    SourceErased,
    TargetStamp,
    WaitReason,
)
from copyagent.core.retry import Ladder
from copyagent.core.tape import (
    Approved,
    CancelAsked,
    Cancelled,
    Clean,
    Cleared,
    Context,
    Copied,
    Copying,
    Deferred,
    Ended,
    Failed,
    Held,
    HoldAsked,
    HoldDecided,
    Kept,
    Queued,
    Received,
    Restarted,
    RetryAsked,
    Retrying,
    Started,
    Superseded,
    TargetDown,
    TargetReturned,
    TargetWaits,
    Unchanged,
    Unmonitored,
    Unsynced,
    Vanished,
    Waiting,
    WriterCame,
)
from copyagent.core.time import Moment
from tests.support import transition_rows
from tests.support.histories import TAPE, TARGET, published

NOW = Moment(1000.0, 50 * 10**9)
CTX = Context(NOW, Ladder(attempts=3, interval_s=300.0))
LATER = NOW.after(300.0)
STAMP = TargetStamp(7, 8)

CLEAN = Clean()
UNSYNCED = Unsynced()
QUEUED = Queued(4, failures=1)
RESTING = Queued(4, failures=1, due=NOW.after(100.0))
COPYING = Copying(4, 1, 9)
RETRYING = Retrying(4, 1, "why", "do", NOW.after(100.0))
DUE = Retrying(4, 1, "why", "do", NOW)
FAILED = Failed(4, 3, "why", "do", unreachable=False, at_ns=9)
UNREACHED = Failed(4, 3, "why", "do", unreachable=True, at_ns=9)
WAITED = Waiting(4, 1, WaitReason.OPEN, "why", NOW)
WAITING = Waiting(4, 1, WaitReason.FENCED, "why", NOW.after(100.0))
HELD = Held(4, HoldReason.CONFLICT, "why", 9)
HELD_BACK = Held(4, HoldReason.BY_OPERATOR, "ann: a disk is looked at", 9)
CANCELLED = Cancelled(4, "ann", "not now", 9)
SUPERSEDED = Superseded(4)
COPIED = Copied(4, 9)
KEPT = Kept("erased", 9)
UNMONITORED = Unmonitored()
EVERY: tuple[states.State, ...] = (
    CLEAN, UNSYNCED, QUEUED, COPYING, RETRYING, FAILED, WAITING, HELD, HELD_BACK, CANCELLED,
    SUPERSEDED, COPIED, KEPT, UNMONITORED,
)  # fmt: skip
PENDING: tuple[states.State, ...] = (QUEUED, COPYING, RETRYING, WAITING)

CANCEL = CancelAsked("bob", "enough")
HOLD = HoldDecided(5, HoldReason.INTERRUPTED, "torn")
DOWN = TargetDown("refused", "start sshd")
WAITS = TargetWaits(WaitReason.HOST_KEY, "another key")
JOB = CopyJob(TAPE, TARGET, TAPE, 4, None)
DONE = CopyDone(published(JOB), 1, 1.0)


def expected() -> dict[tuple[states.State, states.Event], states.State]:
    """Every pair that changes something, by hand. What is missing here must change nothing."""
    table: dict[tuple[states.State, states.Event], states.State] = {}
    for state in set(EVERY) - {UNMONITORED}:
        table[state, Approved(5)] = Queued(5)
        table[state, HOLD] = Held(5, HoldReason.INTERRUPTED, "torn", NOW.wall_ns)
        table[state, Vanished("deleted")] = Kept("deleted", NOW.wall_ns)
        table[state, Received()] = Clean()
        if state not in {*PENDING, HELD, HELD_BACK, CANCELLED, COPIED}:
            table[state, Approved(4)] = Queued(4)
        if state not in {COPYING, KEPT}:  # nothing is asked of a kept tape
            table[state, RetryAsked(4)] = Queued(4)
    table[COPIED, Approved(4, again=True)] = Queued(4)
    for state in (*PENDING, FAILED):
        table[state, WriterCame()] = Superseded(4)
    table[SUPERSEDED, Unchanged(4)] = Queued(4)
    for state in (*PENDING, FAILED, SUPERSEDED):
        table[state, CANCEL] = Cancelled(4, "bob", "enough", NOW.wall_ns)
    for state in (QUEUED, RETRYING, WAITING):
        table[state, Started()] = Copying(4, 1, NOW.wall_ns)
    table[QUEUED, DOWN] = Retrying(4, 2, "refused", "start sshd", LATER)
    for state in (DUE, WAITED):
        table[state, DOWN] = Retrying(4, 2, "refused", "start sshd", LATER)
    for state in (QUEUED, DUE, WAITED):
        table[state, WAITS] = Waiting(4, 1, WaitReason.HOST_KEY, "another key", LATER)
    table[UNREACHED, TargetReturned()] = Queued(4)
    table[WAITING, Cleared(WaitReason.FENCED)] = Queued(4, failures=1)
    table[COPYING, Restarted()] = Queued(4, failures=1)
    table[COPYING, Deferred()] = QUEUED
    for state in (COPYING, QUEUED, RESTING, CANCELLED, HELD_BACK):
        table[state, Ended(DONE)] = Copied(4, NOW.wall_ns)
    return table


EXPECTED = expected()
ILLEGAL = {
    *((state, Started()) for state in EVERY if state not in {QUEUED, RETRYING, WAITING}),
    *((state, Deferred()) for state in EVERY if state != COPYING),
    (KEPT, RetryAsked(4)),
    (UNMONITORED, RetryAsked(4)),
}
EVENTS: tuple[states.Event, ...] = (
    Approved(5), Approved(4), HOLD, WriterCame(), Unchanged(4), Started(), Deferred(),
    Ended(DONE), DOWN, WAITS, TargetReturned(), Cleared(WaitReason.FENCED), Cleared(WaitReason.HOST_KEY), RetryAsked(4), Vanished("deleted"), Received(), Restarted(), CANCEL, HoldAsked(),
)  # fmt: skip


@pytest.mark.parametrize("event", EVENTS, ids=repr)
@pytest.mark.parametrize("state", EVERY, ids=lambda state: state.kind)
def test_every_pair(state: states.State, event: states.Event) -> None:
    if (state, event) in ILLEGAL:
        with pytest.raises(states.IllegalTransition, match=type(event).__name__):
            states.step(state, event, CTX)
    else:
        assert states.step(state, event, CTX) == EXPECTED.get((state, event), state)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (COPIED, Approved(4, again=True)),
        (UNREACHED, TargetReturned()),
        (RESTING, Ended(DONE)),
        *((state, event) for state in (DUE, WAITED) for event in (DOWN, WAITS)),
    ],
    ids=repr,
)
def test_pairs_that_depend_on_more_than_the_kind(state: states.State, event: states.Event) -> None:
    assert states.step(state, event, CTX) == EXPECTED[state, event]


def test_the_hand_written_table_covers_every_kind_of_state_and_event() -> None:
    assert {type(state) for state in EVERY} == set(transition_rows.STATES)
    assert {type(event) for event in EVENTS} == set(transition_rows.EVENTS)


def test_what_is_missing_in_the_table_is_what_cannot_happen() -> None:
    every = {(s, e) for s in transition_rows.STATES for e in transition_rows.EVENTS}
    missing = {(state.__name__, event.__name__) for state, event in every - set(states.TRANSITIONS)}
    assert missing == {(type(s).__name__, type(e).__name__) for s, e in ILLEGAL}


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (DONE, Copied(4, NOW.wall_ns)),
        (CopyFailed("full", "tidy"), Retrying(4, 2, "full", "tidy", LATER)),
        (CopyFailed("gone", "x", unreachable=True), Retrying(4, 2, "gone", "x", LATER)),
        (CopyFailed("full", "x", permanent=True), Retrying(4, 2, "full", "x", LATER, True)),
        (
            CopyHeld(HoldReason.TARGET_CHANGED, "edited", STAMP),
            Held(4, HoldReason.TARGET_CHANGED, "edited", NOW.wall_ns, STAMP),
        ),
        (
            CopyHeld(HoldReason.LABEL_ELSEWHERE, "there", place="/V/P/L"),
            Held(4, HoldReason.LABEL_ELSEWHERE, "there", NOW.wall_ns, place="/V/P/L"),
        ),
        (
            CopyWaits(WaitReason.FENCED, "fenced"),
            Waiting(4, 1, WaitReason.FENCED, "fenced", LATER),
        ),
        (
            CopyWaits(WaitReason.OPEN, "open"),
            Waiting(4, 1, WaitReason.OPEN, "open", NOW.after(10.0)),
        ),
        (SourceErased(gone=True), Kept("deleted", NOW.wall_ns)),
        (SourceErased(gone=False), Kept("erased", NOW.wall_ns)),
        (SourceChanged(None), Superseded(4)),
        (CopyStopped("withdrawn"), Queued(4, failures=1)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_how_a_copy_ends(outcome: CopyOutcome, state: states.State) -> None:
    assert states.step(COPYING, Ended(outcome), CTX) == state
    # The same news for a copy that was called off meanwhile changes nothing.
    for other in set(EVERY) - {COPYING}:
        if other not in {QUEUED, CANCELLED, HELD_BACK} or outcome != DONE:
            assert states.step(other, Ended(outcome), CTX) is other


def test_a_cancelled_copy_comes_again_with_a_newer_complete_generation_alone() -> None:
    assert states.step(CANCELLED, Approved(4), CTX) is CANCELLED
    assert states.step(CANCELLED, Approved(5, complete=False), CTX) is CANCELLED
    assert states.step(CANCELLED, Approved(5), CTX) == Queued(5)


@pytest.mark.parametrize("event", EVENTS, ids=repr)
@pytest.mark.parametrize("state", EVERY, ids=lambda state: state.kind)
def test_what_is_kept_back_is_held_wherever_it_would_be_copied(
    state: states.State, event: states.Event
) -> None:
    if (state, event) in ILLEGAL:
        return
    kept_back = replace(CTX, kept_back="ann: wait")
    meant, found = states.step(state, event, CTX), states.step(state, event, kept_back)
    if isinstance(meant, Queued | Copying | Retrying | Waiting | Failed):
        assert found == Held(meant.generation, HoldReason.BY_OPERATOR, "ann: wait", NOW.wall_ns)
    else:
        assert found == meant


def test_a_copy_put_off_too_late_to_be_called_back_is_made() -> None:
    assert states.step(QUEUED, Ended(DONE), CTX) == Copied(4, NOW.wall_ns)
    assert states.step(Queued(5), Ended(DONE), CTX) == Queued(5), "that was of an older generation"


def test_a_tape_that_rests_is_not_due() -> None:
    for event in (DOWN, WAITS):
        assert states.step(RESTING, event, CTX) == RESTING
    resting = replace(CTX, rest_s=60.0, hold_down_s=90.0)
    orders: list[tuple[states.State, states.Event]] = [
        (SUPERSEDED, Unchanged(4)),
        (COPIED, Approved(5)),
        (RETRYING, Approved(5)),
    ]
    for state, order in orders:
        made = states.step(state, order, resting)
        assert isinstance(made, Queued)
        assert made.due == NOW.after(60.0)
    assert states.step(RESTING, RetryAsked(4), resting) == Queued(4), (
        "at once, by an operator's word"
    )
    assert states.step(RESTING, Approved(4), resting) == RESTING


def test_a_rest_is_no_longer_after_a_restart_whatever_became_of_the_clock() -> None:
    for away_s, left_s in ((40.0, 60.0), (-5000.0, 90.0), (5000.0, 0.0)):
        now = Moment(3.0, NOW.wall_ns + int(away_s * 10**9))
        after = states.step(RESTING, Restarted(), replace(CTX, now=now, hold_down_s=90.0))
        assert after == replace(RESTING, due=now.after(left_s))


def test_the_last_attempt_fails_for_good() -> None:
    last = Copying(4, 2, 9)
    assert states.step(last, Ended(CopyFailed("full", "tidy")), CTX) == Failed(
        4, 3, "full", "tidy", unreachable=False, at_ns=NOW.wall_ns
    )
    assert states.step(Queued(4, failures=2), DOWN, CTX) == Failed(
        4, 3, "refused", "start sshd", unreachable=True, at_ns=NOW.wall_ns
    )


def test_a_newer_order_begins_a_new_ladder_and_the_same_order_does_not() -> None:
    for state in PENDING:
        assert states.step(state, Approved(4), CTX) is state
        assert states.step(state, Approved(5), CTX) == Queued(5, failures=0)


def test_a_restart_keeps_a_due_time_by_the_wall_clock() -> None:
    restarted = Context(Moment(3.0, NOW.wall_ns + 40 * 10**9), CTX.ladder)
    for state in (RETRYING, WAITING):
        after = states.step(state, Restarted(), restarted)
        assert isinstance(after, Retrying | Waiting)
        assert after.due == Moment(63.0, NOW.wall_ns + 100 * 10**9)
        assert after.failures == 1


def test_the_states_that_need_nothing_and_those_that_wait_for_their_turn() -> None:
    assert set(states.PROTECTED) == {Clean, Copied, Kept, Unmonitored}
    assert set(states.PENDING) == {Queued, Retrying, Waiting}


def test_the_machine_hands_on_every_event_that_there_is() -> None:
    assert set(get_args(copy_events.Event)) == set(transition_rows.EVENTS)
    for event in transition_rows.EVENTS:
        assert event.__name__ in states.__all__


def test_every_kind_is_a_word_of_its_own() -> None:
    assert len({state.kind for state in EVERY}) == len(transition_rows.STATES)


def test_the_design_notes_hold_the_table_as_it_is() -> None:
    assert transition_rows.section() in transition_rows.DESIGN.read_text(encoding="utf-8")
