"""Where a session takes up, and that whatever is cut and replayed is told exactly once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_clock import printed_second
from copyagent.core.host_events import (
    EventsMissed,
    OthersHeard,
    SetAside,
    TapeDismounted,
)
from copyagent.core.host_memory import LATE_S, MOST_TOLD, OVERLAP_S, Resumption
from copyagent.ems.catch_up import begin_at, can_ask
from copyagent.ems.lines import EmsEvent, EmsLineDecoder
from copyagent.ems.listening import LENGTHENED, POSITION_S, REPEATED
from tests.support.broken_links import PLAIN, START, Link, dismounted, linked, other

# ---- where to begin ------------------------------------------------------------------------------


def test_the_first_session_ever_misses_nothing_and_asks_for_nothing() -> None:
    link = Link()
    assert link.begin() == Resumption(None, first=True)
    assert link.told == []
    link.hear(dismounted(START))
    assert len(link.told) == 1


def test_the_next_begins_a_minute_before_the_last_event_seen() -> None:
    link = linked(dismounted(START), other(START + 30))
    assert link.begin() == Resumption(START + 30 - OVERLAP_S)


def test_a_host_that_had_said_nothing_may_have_said_something_meanwhile() -> None:
    link = linked()
    link.begin()
    assert link.gaps == ["no event had been seen to take up from"]


def test_without_catching_up_there_is_a_gap() -> None:
    link = linked(dismounted(START))
    off = begin_at(link.memory, PLAIN, wanted=False, refused=False)
    assert off == Resumption(None, "catch_up is off")
    link.begin(off)
    assert link.gaps == ["catch_up is off"]
    link.hear(dismounted(START + 5))
    assert len(link.dismounts) == 2


def test_a_refused_time_is_a_gap() -> None:
    link = linked(dismounted(START))
    refused = begin_at(link.memory, PLAIN, wanted=True, refused=True)
    assert refused == Resumption(None, "the distributor refused TIME")


@pytest.mark.parametrize(
    ("distributor", "why"),
    [
        ("OBEY VTS.START", "no place"),
        ("EMSDIST /NAME/ TYPE P, COLLECTOR $0, TIME 11:00", "no place"),
        ("EMSDIST /NAME/ TYPE P, COLLECTOR $0, GMT ON", "GMT"),
    ],
)
def test_a_command_that_cannot_be_asked_says_why(distributor: str, why: str) -> None:
    assert why in can_ask(distributor)
    link = linked(dismounted(START))
    found = begin_at(link.memory, distributor, wanted=True, refused=False)
    assert found.since is None
    assert why in found.doubt


def test_a_file_begins_wherever_it_is_asked_to() -> None:
    link = linked(dismounted(START))
    found = begin_at(link.memory, None, wanted=True, refused=False)
    assert found == Resumption(START - OVERLAP_S)


# ---- what a replay tells -------------------------------------------------------------------------


def test_what_was_told_is_not_told_twice_and_the_rest_is() -> None:
    link = linked(dismounted(START), other(START + 1))
    link.begin()
    link.hear(dismounted(START), other(START + 1), dismounted(START + 2, "X00002"))
    assert [volume for _, volume in link.dismounts] == ["X00001", "X00002"]
    assert link.catch_ups == 1
    assert link.gaps == []
    repeated = [event for event in link.told if isinstance(event, SetAside)]
    assert [event.why for event in repeated] == [REPEATED]


def test_equal_lines_of_one_second_are_told_as_often_as_they_happened() -> None:
    link = linked(dismounted(START), dismounted(START))
    link.begin()
    link.hear(*[dismounted(START)] * 3)
    assert len(link.dismounts) == 3


def test_an_equal_line_after_the_replay_is_real() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear(dismounted(START))
    link.hear(dismounted(START))
    assert len(link.dismounts) == 2


def test_a_log_that_was_emptied_is_a_gap_told_before_what_comes_after_it() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear(dismounted(START + LATE_S + 1, "X00002"))
    kinds = [type(event) for event in link.told]
    assert kinds == [TapeDismounted, EventsMissed, TapeDismounted]
    assert link.catch_ups == 0


def test_a_host_that_says_nothing_after_a_break_may_have_said_something_in_it() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.wait(29.0)
    assert link.gaps == []
    link.wait(1.0)
    assert link.gaps == ["the host did not show the last event seen again"]
    link.wait(1000.0)
    assert len(link.gaps) == 1


def test_a_clock_that_stands_does_not_put_the_answer_off_for_ever() -> None:
    link = linked(dismounted(START))
    link.begin()
    for count in range(70):
        link.hear(other(START, f"again {count}"))
        link.wait(10.0)
    assert len(link.gaps) == 1


def test_a_clock_set_back_leads_to_a_gap_told_and_to_no_wrong_replay() -> None:
    before, after = START + 3600, START
    link = linked(dismounted(before), other(after), dismounted(after + 1, "X00002"))
    assert link.begin() == Resumption(None, "the host's clock was set back")
    assert link.gaps == ["the host's clock was set back"]
    link.hear(other(before + 1))
    link.end()
    assert link.begin() == Resumption(before + 1 - OVERLAP_S)


def test_a_clock_set_back_during_the_break_loses_nothing_of_what_is_printed() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear(dismounted(START - 3500, "X00002"))
    assert [volume for _, volume in link.dismounts] == ["X00001", "X00002"]
    link.wait(30.0)
    assert len(link.gaps) == 1


def test_a_replay_that_shows_the_last_event_does_not_hide_that_the_clock_was_set_back() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear(dismounted(START))
    assert link.catch_ups == 1
    link.hear(other(START - 3500), dismounted(START - 3499, "X00002"))
    assert link.gaps == ["the host's clock was set back"], "what came before was not asked for"
    link.hear(dismounted(START - 3000, "X00003"))
    assert len(link.gaps) == 1


def test_a_clock_set_back_later_on_is_no_gap() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear(dismounted(START), other(START + 90), other(START - 3500))
    assert link.gaps == []


def test_one_wrong_date_does_not_spoil_the_clock() -> None:
    link = linked(dismounted(START), other(START + 10 * 365 * 86400), other(START + 5))
    assert link.begin().since is not None
    assert link.gaps == []


def test_an_event_that_comes_late_is_not_lost() -> None:
    link = linked(dismounted(START), other(START + 40))
    link.begin()
    link.hear(dismounted(START), other(START + 40), dismounted(START - 15, "X00002"))
    assert [volume for _, volume in link.dismounts] == ["X00001", "X00002"]
    assert link.gaps == []


def test_more_than_can_be_remembered_is_a_gap() -> None:
    link = linked(*(dismounted(START, f"X{n:05}") for n in range(MOST_TOLD + 10)))
    found = link.begin()
    assert found.since == START
    assert "more than" in found.doubt
    link.hear(dismounted(START, f"X{MOST_TOLD + 9:05}"))
    assert len(link.gaps) == 1


def test_a_busy_minute_is_replayed_from_where_all_of_it_is_remembered() -> None:
    half = MOST_TOLD // 2
    events = [dismounted(START + n // half * 20, f"X{n:05}") for n in range(3 * half)]
    link = linked(*events)
    found = link.begin()
    assert found == Resumption(START + 1)
    link.hear(*(e for e in events if (printed_second(e.printed_at) or 0) >= START + 1))
    assert len(link.dismounts) == 3 * half
    assert link.catch_ups == 1


def test_the_memory_is_bounded() -> None:
    link = linked(*(dismounted(START + n // 500, f"X{n:05}") for n in range(10 * MOST_TOLD)))
    assert len(link.memory.told) <= MOST_TOLD


# ---- events that are not whole -------------------------------------------------------------------


def cut(event: EmsEvent, length: int) -> EmsEvent:
    return replace(event, text=event.text[:length].rstrip(), unfinished=True)


def test_an_event_that_the_break_cut_off_is_known_again_and_told_whole() -> None:
    whole = dismounted(START + 1)
    known = len(whole.text)
    whole = replace(whole, text=f"{whole.text} AT LAST")
    # Without its drive it was told as far as it went; with it, no more is said by the rest.
    for length, times in ((30, 1), (known - 14, 2), (known, 1), (known + 3, 1)):
        link = linked(dismounted(START, "X00009"), cut(whole, length))
        link.begin()
        link.hear(dismounted(START, "X00009"), whole, other(START + 2))
        assert link.gaps == []
        assert link.catch_ups == 1
        assert link.dismounts.count((whole.printed_at, "X00001")) == times


def test_half_an_event_at_the_end_of_a_replay_is_left_to_the_next() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear_open(cut(dismounted(START), 40))
    link.end()
    link.begin()
    link.hear(dismounted(START))
    assert len(link.dismounts) == 1
    assert link.catch_ups == 1


def test_half_an_event_of_a_replay_is_not_told_as_a_new_one() -> None:
    first, second = dismounted(START), dismounted(START + 1, "X00002")
    link = linked(first, second)
    link.begin()
    link.hear_open(cut(first, 40))
    link.hear(replace(first, amended=True), second)
    assert len(link.dismounts) == 2
    assert link.catch_ups == 1


def test_half_an_event_is_given_when_its_rest_does_not_come() -> None:
    link = linked(dismounted(START))
    link.begin()
    link.hear_open(dismounted(START + 1, "X00002"))
    assert len(link.dismounts) == 1
    assert link.listener is not None
    link.told += link.listener.let_go(link.now)
    assert len(link.dismounts) == 2


def test_the_rest_of_an_event_that_changes_nothing_is_set_aside_and_remembered() -> None:
    short = dismounted(START)
    longer = replace(short, text=f"{short.text} AT LAST", amended=True)
    link = linked(short, longer, dismounted(START + 1, "X00002"))
    assert [e.why for e in link.told if isinstance(e, SetAside)] == [LENGTHENED]
    link.crash()
    link.begin()
    link.hear(replace(longer, amended=False), dismounted(START + 1, "X00002"))
    assert len(link.dismounts) == 2
    assert link.catch_ups == 1


# ---- other subsystems ----------------------------------------------------------------------------


def test_half_a_header_does_not_let_an_equal_event_pass_for_the_one_before_it() -> None:
    link = Link()
    link.begin()
    link.hear_open(dismounted(0))
    half = replace(dismounted(0), number=6, text="", unfinished=True)
    link.hear_open(half)
    link.hear(replace(dismounted(0), amended=True))
    assert len(link.dismounts) == 2


def test_the_end_of_a_repeated_line_does_not_take_the_place_of_an_equal_one() -> None:
    equal = dismounted(0)
    link = linked(equal, equal, dismounted(1))
    link.begin()
    link.hear_open(replace(equal, unfinished=True))
    link.hear(replace(equal, amended=True), equal, dismounted(1), dismounted(2))
    assert len(link.dismounts) == 4
    assert link.gaps == []


def test_other_events_count_for_how_far_the_host_was_heard_and_are_told_now_and_then() -> None:
    link = Link()
    link.begin()
    link.hear(dismounted(START))
    for count in range(3):
        link.hear(*(other(START + 10 * count + n, f"line {n}") for n in range(5)))
    assert not any(isinstance(event, OthersHeard) for event in link.told)
    assert link.memory.resume().since == START + 24 - OVERLAP_S
    assert link.durable.resume().since == START - OVERLAP_S
    link.wait(POSITION_S)
    (heard,) = (event for event in link.told if isinstance(event, OthersHeard))
    assert heard.count == 15
    assert link.durable.resume() == link.memory.resume()


def test_a_burst_that_the_host_suppresses_is_a_gap_if_it_can_be_of_tapes() -> None:
    text = "EMS: EVENT BURST DETECTED FOR EVENT NO. 659 OF SUBSYSTEM {}, BY DISTRIBUTOR $D"
    link = linked(replace(other(START, text.format("TANDEM.TMDS.D46")), number=538))
    assert link.gaps == []
    link.begin(Resumption(None, first=True))
    link.hear(replace(other(START, text.format("TANDEM.TAPE.G06")), number=538))
    link.hear(replace(other(START, "EMS: EVENT BURST ENDED"), number=539))
    assert link.gaps == ["the host suppresses a burst of events"] * 2


# ---- any stream, any cut -------------------------------------------------------------------------

_VOLUMES = st.sampled_from(["X00001", "X00002", "X00003"])


@st.composite
def streams(draw: st.DrawFn) -> list[EmsEvent]:
    """A host's log: in time but for some seconds, with equal lines and other subsystems."""
    events = []
    second = START
    for _ in range(draw(st.integers(1, 60))):
        second += draw(st.sampled_from([0, 0, 0, 1, 2, 30, 61]))
        late = draw(st.sampled_from([0, 0, 0, 1, 5]))
        is_of_tapes = draw(st.sampled_from([True, True, False]))
        volume = draw(_VOLUMES)
        events.append(dismounted(second - late, volume) if is_of_tapes else other(second - late))
    return events


def told_of(events: list[EmsEvent]) -> Counter[tuple[str, str | None]]:
    return Counter((e.printed_at, e.text.split()[3]) for e in events if e.number == 659)


@given(log=streams(), data=st.data())
def test_every_event_is_told_exactly_once_however_often_the_link_breaks(
    log: list[EmsEvent], data: st.DataObject
) -> None:
    link = Link()
    seen = 0
    since: int | None = None
    for session in range(data.draw(st.integers(1, 4)) + 1):
        found = link.begin()
        since = found.since
        is_last = session > 0 and data.draw(st.booleans())
        upto = len(log) if is_last else data.draw(st.integers(seen, len(log)))
        again = [e for e in log[:seen] if since is not None and _second(e) >= since]
        new = [e for e in log[seen:upto] if since is None or _second(e) >= since]
        assert new == log[seen:upto]
        stop = data.draw(st.integers(0, len(again))) if not new else len(again)
        for event in [*again[:stop], *new]:
            link.hear(event)
        seen = max(seen, upto)
        link.end()
        if not link.memory.last:
            return  # nothing to take up from: a gap is told
        if data.draw(st.booleans()):
            link.crash()
            # What was seen of other subsystems and is not durable comes again, and is not told.
    assert told_of(log[:seen]) == Counter(link.dismounts)
    assert link.gaps == []


def _second(event: EmsEvent) -> int:
    return printed_second(event.printed_at) or 0


@given(log=streams(), cut_at=st.integers(0, 60), oldest=st.integers(0, 60))
def test_a_replay_that_does_not_reach_back_is_never_taken_for_one_that_does(
    log: list[EmsEvent], cut_at: int, oldest: int
) -> None:
    """Whatever the host's log has lost: all is told once, or a gap is (equal lines hide each other)."""
    log = [replace(e, text=e.text.replace(" X00", f" {n:03}")) for n, e in enumerate(log)]
    link = linked(*log[:cut_at])
    found = link.begin()
    kept = [e for e in log[oldest:] if found.since is None or _second(e) >= found.since]
    # A start without TIME begins with the next event.
    link.hear(*(log[cut_at:] if found.since is None else kept))
    link.wait(30.0)
    lost = told_of(log) - Counter(link.dismounts)
    assert link.gaps or not lost or found.first
    assert not Counter(link.dismounts) - told_of(log)


@given(text=st.text(), when=st.integers(0, 10**6))
def test_any_event_has_a_mark_that_comes_back(text: str, when: int) -> None:
    event = other(START + when, text)
    link = linked(event)
    link.begin()
    link.hear(event)
    assert link.catch_ups == 1


def test_a_replay_wrapped_otherwise_is_the_same_replay() -> None:
    printed = (
        "26-10-24 22:00:01 \\DEV2.$ZSVR TANDEM.TAPE.G06 000659 STATUS 1512 - X00001 TAPE{}"
        "DISMOUNTED FROM DRIVE $T\n26-10-24 22:00:02 \\DEV2.$ZLM1 TANDEM.TMDS.D46 000100 OK\n"
    )
    link = Link()
    for indent in ("\n      ", " ", "\n   "):
        link.begin()
        lines = EmsLineDecoder()
        link.hear(*lines.feed(printed.format(indent)), *lines.flush())
        link.end()
    assert len(link.dismounts) == 1
    assert link.catch_ups == 2
