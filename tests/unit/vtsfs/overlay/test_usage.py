"""The writers' table: enumerated, and played through random histories."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.overlay.usage import (
    TRANSITIONS,
    Command,
    Event,
    Idle,
    IllegalTransition,
    Mounted,
    Opened,
    Released,
    Settled,
    Settling,
    State,
    TapeUsage,
)

STATES: tuple[type[State], ...] = (Idle, Mounted, Settling)
EVENTS: tuple[type[Event], ...] = (Opened, Released, Settled)


def usage_in(state: State) -> TapeUsage:
    usage = TapeUsage()
    usage.state = state
    return usage


@pytest.mark.parametrize(
    ("state", "event", "after", "command"),
    [
        (Idle(), Opened(), Mounted(1), Command.BEGIN_SESSION),
        (Idle(), Settled(1), Idle(), None),
        (Mounted(1), Opened(), Mounted(2), None),
        (Mounted(2), Released(), Mounted(1), None),
        (Mounted(1), Released(), Settling(1), Command.START_SETTLING),
        (Mounted(1), Settled(1), Mounted(1), None),
        (Settling(1), Opened(), Mounted(1), None),
        (Settling(1), Settled(1), Idle(), Command.END_SESSION),
        (Settling(2), Settled(1), Settling(2), None),
    ],
)
def test_every_step(state: State, event: Event, after: State, command: Command | None) -> None:
    usage = usage_in(state)
    assert usage.apply(event) is command
    assert usage.state == after


def test_what_is_not_in_the_table_is_impossible() -> None:
    missing = set(itertools.product(STATES, EVENTS)) - set(TRANSITIONS)
    assert missing == {(Idle, Released), (Settling, Released)}
    for state in (Idle(), Settling(3)):
        usage = usage_in(state)
        with pytest.raises(IllegalTransition):
            usage.apply(Released())
        assert usage.state == state


@given(st.lists(st.sampled_from(["open", "release", "settle"]), max_size=60))
def test_sessions_are_pairs_around_the_writers(history: list[str]) -> None:
    usage = TapeUsage()
    writers, settlings, in_session = 0, list[int](), False
    for step in history:
        command = None
        if step == "open":
            command = usage.apply(Opened())
            writers += 1
        elif step == "release" and writers:
            command = usage.apply(Released())
            writers -= 1
        elif step == "settle" and settlings:
            command = usage.apply(Settled(settlings.pop(0)))
        if command is Command.BEGIN_SESSION:
            assert not in_session
            in_session = True
        elif command is Command.END_SESSION:
            assert in_session
            assert writers == 0
            in_session = False
        elif command is Command.START_SETTLING:
            assert writers == 0
            assert isinstance(usage.state, Settling)
            settlings.append(usage.state.serial)
        assert (writers > 0) == isinstance(usage.state, Mounted)
        assert in_session == (not isinstance(usage.state, Idle))
    while settlings:
        usage.apply(Settled(settlings.pop(0)))
    assert writers > 0 or usage.state == Idle()
