"""Pairing is order-free: however the witnesses' words mix, double or go missing, one verdict."""

from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core.commands import StartCopy
from copyagent.core.events import Event, SignalSeen
from copyagent.core.host_events import HostEvent, Ring
from copyagent.core.tape import Clean, Copied, Held, Retrying
from tests.support.histories import (
    TAPE,
    Overlay,
    done,
    link_up,
    make_engine,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook

#: Longer than the longest patience, `mounted_max`.
A_DAY_AND_MORE = 90_000.0

Said = Sequence[Event | HostEvent]


def host_mount(ring: Ring, *, scratch: bool = False) -> list[HostEvent]:
    volume = None if scratch else TAPE.label
    return [requested(volume, ring), volume_mounted(), tape_dismounted()]


def session(wrote: int) -> list[SignalSeen]:
    overlay = known_tape()
    return [overlay.mounted(), overlay.dismounted(wrote=wrote)]


def known_tape() -> Overlay:
    """A vault with one tape that has content."""
    overlay = Overlay()
    overlay.write(TAPE)
    return overlay


def interleavings(first: Said, second: Said) -> list[Said]:
    """All ways to mix the two, each in its own order."""
    size = len(first) + len(second)
    mixed: list[Said] = []
    for places in combinations(range(size), len(first)):
        one, other = iter(first), iter(second)
        mixed.append([next(one) if at in places else next(other) for at in range(size)])
    return mixed


def play_out(history: Said, pause: float) -> Playbook:
    """Play *history* with *pause* seconds between its events, then let a day pass."""
    play = Playbook(make_engine()) >> link_up() >> known_tape().swept(0.0)
    play.copy().state = Clean()  # as it is after its first copy
    play.engine.book.settle_age(play.record(), play.now)
    for event in history:
        play.hand(event)
        if not play.open:
            play.wait(pause)
    while play.open or play.elapsed < A_DAY_AND_MORE:
        for command in list(play.open):
            play << command
            if isinstance(command, StartCopy):
                play.hand(done(command.job))
        if not play.open:
            play.wait(A_DAY_AND_MORE - play.elapsed)
    return play


CASES = [
    (Ring.WITH_RING, 4096, "agreed", 1),
    (Ring.WITH_RING, 0, "agreed, unwritten", 1),
    (Ring.NO_RING, 4096, "conflict", 0),
    (Ring.NO_RING, 0, "agreed, read only", 0),
]


@pytest.mark.parametrize("pause", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("scratch", [False, True])
@pytest.mark.parametrize(("ring", "wrote", "verdict", "copies"), CASES)
def test_all_interleavings_have_one_verdict(
    ring: Ring, wrote: int, verdict: str, copies: int, *, scratch: bool, pause: float
) -> None:
    for history in interleavings(host_mount(ring, scratch=scratch), session(wrote)):
        play = play_out(history, pause)
        assert play.verdict() == verdict, history
        assert len(play.jobs) == copies, history
        assert play.record().protected == (verdict != "conflict")


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_doubled_words_change_nothing(data: st.DataObject) -> None:
    ring, wrote, verdict, copies = data.draw(st.sampled_from(CASES))
    doubled = [
        event
        for event in host_mount(ring)
        for _ in range(data.draw(st.integers(1, 3), label="times"))
    ]
    signals = [event for event in session(wrote) for _ in range(2)]
    history = data.draw(st.sampled_from(interleavings(doubled, signals)))
    play = play_out(history, data.draw(st.sampled_from([0.0, 1.0])))
    assert play.verdict() == verdict
    assert len(play.jobs) == copies


@settings(max_examples=250, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_lost_and_disordered_words_never_copy_against_a_no_ring(data: st.DataObject) -> None:
    """Whatever is lost or comes in the wrong order: a NO RING that arrived in time is respected,
    a tape that was written is copied once or held, and nothing waits for ever.
    """
    ring, wrote, _, _ = data.draw(st.sampled_from(CASES))
    heard = [event for event in host_mount(ring) if data.draw(st.booleans(), label="heard")]
    again = data.draw(st.lists(st.sampled_from(heard), max_size=2)) if heard else []
    words = data.draw(st.permutations([*heard, *again]))
    history = data.draw(st.sampled_from(interleavings(words, session(wrote))))
    play = play_out(history, data.draw(st.sampled_from([0.0, 1.0])))
    record = play.record()
    assert not record.evidence.unsettling
    assert not isinstance(play.state(), Retrying)
    asked = any(event == requested(TAPE.label, Ring.NO_RING) for event in heard)
    if asked:
        assert play.jobs == []
        assert isinstance(play.state(), Held) == bool(wrote)
    elif wrote:
        assert isinstance(play.state(), Copied)
        assert record.generation == 2
