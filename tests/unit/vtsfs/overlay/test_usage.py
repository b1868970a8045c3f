"""The writers' table: enumerated, and played through random histories."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.overlay.usage import (
    TRANSITIONS,
    Changed,
    Command,
    Elapsed,
    Event,
    Hurried,
    Idle,
    IllegalTransition,
    Mounted,
    Opened,
    Released,
    Removed,
    Settling,
    State,
    Synced,
    TapeUsage,
)

SETTLE_S = 2.0
STATES: tuple[type[State], ...] = (Idle, Mounted, Settling)
EVENTS: tuple[type[Event], ...] = (Opened, Released, Changed, Synced, Elapsed, Hurried, Removed)


def usage_in(state: State) -> TapeUsage:
    usage = TapeUsage(SETTLE_S)
    usage.state = state
    return usage


def settling(serial: int, *, synced: bool = False, until: float = 12.0) -> Settling:
    """Settling since 10.0."""
    return Settling(serial, 10.0, until, synced)


@pytest.mark.parametrize(
    ("state", "event", "after", "command"),
    [
        (Idle(), Opened(), Mounted(1), Command.BEGIN_SESSION),
        (Idle(), Synced(1, 10.0), Idle(), None),
        (Idle(), Elapsed(10.0), Idle(), None),
        (Idle(), Hurried(), Idle(), None),
        (Mounted(1), Opened(), Mounted(2), None),
        (Mounted(2), Released(10.0), Mounted(1), None),
        (Mounted(1), Released(10.0), settling(1), Command.SYNC),
        (Mounted(1), Changed(), Mounted(1), None),
        (Mounted(1), Synced(1, 10.0), Mounted(1), None),
        (Mounted(1), Elapsed(99.0), Mounted(1), None),
        (Mounted(1), Hurried(), Mounted(1), None),
        (Mounted(1), Removed(), Mounted(1), None),
        (settling(1), Opened(), Mounted(1), None),
        (settling(1, synced=True), Opened(), Mounted(1), None),
        # Both must have come: the fsync's end, and the settle time.
        (settling(1), Synced(1, 11.0), settling(1, synced=True), None),
        (settling(1), Synced(1, 12.0), Idle(), Command.END_SESSION),
        (settling(1), Elapsed(12.0), settling(1), None),
        (settling(1, synced=True), Elapsed(11.9), settling(1, synced=True), None),
        (settling(1, synced=True), Elapsed(12.0), Idle(), Command.END_SESSION),
        (settling(2), Synced(1, 99.0), settling(2), None),
        # What was synced before a change by path is not all of it; the time runs on.
        (settling(0, synced=True), Changed(), settling(1), Command.SYNC),
        (settling(1), Hurried(), settling(1, until=10.0), None),
        (settling(1, synced=True), Hurried(), Idle(), Command.END_SESSION),
        (settling(1), Removed(), Idle(), Command.END_SESSION),
        (settling(1, synced=True), Removed(), Idle(), Command.END_SESSION),
    ],
)
def test_every_step(state: State, event: Event, after: State, command: Command | None) -> None:
    usage = usage_in(state)
    assert usage.apply(event) is command
    assert usage.state == after


def test_what_is_not_in_the_table_is_impossible() -> None:
    missing = set(itertools.product(STATES, EVENTS)) - set(TRANSITIONS)
    assert missing == {
        (Idle, Released),
        (Idle, Changed),
        (Idle, Removed),
        (Settling, Released),
    }
    for state in (Idle(), settling(3)):
        usage = usage_in(state)
        with pytest.raises(IllegalTransition):
            usage.apply(Released(10.0))
        assert usage.state == state


def test_after_a_hurry_no_settle_time_counts() -> None:
    usage = usage_in(Mounted(1))
    usage.apply(Hurried())
    assert usage.apply(Released(10.0)) is Command.SYNC
    assert usage.apply(Synced(1, 10.0)) is Command.END_SESSION


STEPS = st.tuples(
    st.sampled_from(["open", "release", "sync", "change", "look"]),
    st.sampled_from([0.0, 0.5, 1.0, 2.5]),
)


@given(st.lists(STEPS, max_size=60))
def test_sessions_are_pairs_around_the_writers(history: list[tuple[str, float]]) -> None:
    usage = TapeUsage(SETTLE_S)
    writers, syncs, in_session = 0, list[int](), False
    now, released, durable = 100.0, 0.0, False
    for step, later in history:
        now += later
        command = None
        if step == "open":
            command = usage.apply(Opened())
            writers += 1
        elif step == "release" and writers:
            command = usage.apply(Released(now))
            writers -= 1
            released, durable = now, False
        elif step == "sync" and syncs:
            serial = syncs.pop(0)
            durable = durable or (isinstance(usage.state, Settling) and not syncs)
            command = usage.apply(Synced(serial, now))
        elif step == "change" and in_session:
            command = usage.apply(Changed())
            durable = False
        elif step == "look":
            command = usage.apply(Elapsed(now))
        if command is Command.BEGIN_SESSION:
            assert not in_session
            in_session = True
        elif command is Command.END_SESSION:
            assert in_session
            assert writers == 0
            assert durable, "the last fsync began after the last change"
            assert now - released >= SETTLE_S
            in_session = False
        elif command is Command.SYNC:
            assert writers == 0
            assert isinstance(usage.state, Settling)
            syncs.append(usage.state.serial)
        assert (writers > 0) == isinstance(usage.state, Mounted)
        assert in_session == (not isinstance(usage.state, Idle))
    for serial in syncs:
        usage.apply(Synced(serial, now))
    usage.apply(Elapsed(now + SETTLE_S))
    assert writers > 0 or usage.state == Idle()
