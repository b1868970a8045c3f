"""Pairing is order-free: however the witnesses' words mix, double or go missing, one verdict."""

from collections.abc import Sequence
from itertools import combinations, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core.commands import StartCopy
from copyagent.core.events import Event, SignalSeen
from copyagent.core.host_events import HostEvent, Ring, TapeInUse, TapeOpened
from copyagent.core.tape import Clean, Copied, Held, Retrying
from tests.support.histories import (
    HOST,
    START_NS,
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
    overlay = Overlay(tick=START_NS - 1_000_000)
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


def whole_mount(ring: Ring, *, scratch: bool = False) -> list[HostEvent]:
    """All that a host with templates prints of one mount."""
    asked, met, done_with = host_mount(ring, scratch=scratch)
    use = TapeOpened(HOST, TAPE.label, "$TAPE0")
    return [asked, met, use, TapeInUse(HOST, TAPE.label, "$TAPE0", "0,15"), done_with]


@pytest.mark.parametrize("scratch", [False, True])
@pytest.mark.parametrize(("ring", "wrote", "verdict", "copies"), CASES)
def test_every_order_of_all_words_has_one_verdict(
    ring: Ring, wrote: int, verdict: str, copies: int, *, scratch: bool
) -> None:
    """The host's in any order; the overlay's outbox keeps its own."""
    asked, met, use, _, done_with = whole_mount(ring, scratch=scratch)
    for words in permutations([asked, met, use, done_with]):
        for history in interleavings(words, session(wrote)):
            play = play_out(history, 0.0)
            assert play.verdict() == verdict, history
            assert len(play.jobs) == copies, history
            assert play.record().protected == (verdict != "conflict")
            assert not play.engine.book.mounts.mounts, history


@pytest.mark.parametrize("again_s", [0.0, 3.0, 40.0])
@pytest.mark.parametrize(("ring", "wrote", "verdict", "copies"), CASES)
def test_each_word_said_again_at_any_later_time_changes_nothing(
    ring: Ring, wrote: int, verdict: str, copies: int, again_s: float
) -> None:
    asked, met, use, in_use, done_with = whole_mount(ring)
    opened, closed = session(wrote)
    history: Said = [asked, met, opened, use, in_use, closed, done_with]
    for at, word in enumerate(history):
        for later in range(at + 1, len(history) + 1):
            play = play_out([*history[:later], word, *history[later:]], again_s)
            assert play.verdict() == verdict, (word, later)
            assert len(play.jobs) == copies, (word, later)


@pytest.mark.parametrize(("ring", "wrote", "verdict", "copies"), CASES)
def test_any_one_word_may_be_lost(ring: Ring, wrote: int, verdict: str, copies: int) -> None:
    """Without the request, the ring is not known; all else can be missed."""
    asked, met, use, in_use, done_with = whole_mount(ring)
    opened, closed = session(wrote)
    history: Said = [asked, met, opened, use, in_use, closed, done_with]
    for lost in (met, use, in_use):
        play = play_out([word for word in history if word is not lost], 1.0)
        assert (play.verdict(), len(play.jobs)) == (verdict, copies)
    play = play_out([word for word in history if word is not done_with], 1.0)
    if ring is Ring.NO_RING:
        assert (play.verdict(), len(play.jobs)) == (verdict, copies)
    else:
        assert (play.verdict(), len(play.jobs)) == ("with the host for too long", 1)
    play = play_out([word for word in history if word is not asked], 1.0)
    assert play.verdict() == ("overlay only" if wrote else "unconfirmed, unchanged")
    assert len(play.jobs) == (1 if wrote else 0)


@pytest.mark.parametrize("delay_s", [10.0, 40.0, 200.0])
@pytest.mark.parametrize("ring", Ring)
def test_any_one_word_may_be_late(ring: Ring, delay_s: float) -> None:
    """Also after the grace: a NO RING before the publication holds, and no word is copied twice."""
    asked, met, use, in_use, done_with = whole_mount(ring)
    opened, closed = session(4096)
    history: list[Event | HostEvent] = [asked, met, opened, use, in_use, closed, done_with]
    for late in (asked, met, use, in_use, done_with):
        rest = [word for word in history if word is not late]
        play = Playbook(make_engine()) >> link_up()
        for word in rest:
            play.hand(word)
        play.open.clear()
        play.wait(delay_s)
        play.open.clear()  # a copy may have begun; it is not finished yet
        play.hand(late)
        play.open.clear()
        play.wait(A_DAY_AND_MORE)
        if ring is Ring.NO_RING:
            assert play.verdict() == "conflict", late
            assert isinstance(play.state(), Held)
        else:
            assert play.verdict() in {"agreed", "overlay only"}, late
            assert len({job.generation for job in play.jobs}) == len(play.jobs) == 1
