"""The journal keeps the newest of what was said, and is saved along with other things."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import (
    EventsMissed,
    HostEvent,
    LinkUp,
    OthersHeard,
    PolicyCommand,
    Printed,
    TapeDismounted,
    Unrecognised,
)
from copyagent.core.journal import (
    HOLD_MOST,
    HOLD_S,
    KEPT,
    LONGEST_TEXT,
    Entry,
    Journal,
    Reports,
    Wanted,
)
from copyagent.core.time import Moment
from tests.support.histories import SECOND, Overlay
from vtsfs.contract.naming import TapeId

TAPE = "/VAULT00/BILL/X00001"
THIRD = TapeId.parse("/VAULT00/BILL/X00003")


def at(second: float) -> Moment:
    return Moment(second, round(second * 1e9))


def dismounted(volume: str = "X00001", host: str = "DEV2") -> HostEvent:
    printed = Printed("$ZSVR", "TANDEM.TAPE.G06", 659, f"STATUS 1512 - {volume} TAPE DISMOUNTED")
    return TapeDismounted(
        host, volume, "$TAPE", node="\\DEV2", printed_at="06-09-14 22:00:01", printed=printed
    )


def only(event: HostEvent, tapes: Sequence[str] = ()) -> Entry:
    journal = Journal()
    journal.add(event, tapes, at(5))
    (entry,) = journal.entries
    return entry


def filled(count: int) -> Journal:
    journal = Journal()
    for second in range(count):
        journal.add(dismounted(), [TAPE], at(second))
    return journal


def test_an_entry_holds_what_was_printed_and_what_it_means() -> None:
    entry = only(dismounted(), [TAPE])
    assert (entry.number, entry.at_ns, entry.host, entry.node) == (
        1,
        5_000_000_000,
        "DEV2",
        "\\DEV2",
    )
    assert (entry.kind, entry.reading) == ("tape dismounted", "X00001 dismounted from $TAPE")
    assert entry.fields == {"volume": "X00001", "drive": "$TAPE"}
    assert entry.tapes == (TAPE,)
    assert entry.printed is not None
    assert entry.printed.number == 659


def test_what_other_subsystems_say_is_not_written_down() -> None:
    journal = Journal()
    journal.add(OthersHeard("DEV2", 40), [], at(1))
    assert (journal.newest, journal.unsaved) == (0, [])


def test_what_became_of_an_event_is_added_to_it() -> None:
    journal = filled(2)
    journal.add(PolicyCommand("DEV2", "VTSPolicy TSM x"), [], at(3))
    journal.conclude("left alone: only IDR is obeyed here")
    assert journal.entries[-1].reading == ("VTSPolicy command, left alone: only IDR is obeyed here")
    assert journal.unsaved[-1] == journal.entries[-1]
    assert journal.newest == 3


def test_only_the_newest_are_kept_and_numbers_go_on() -> None:
    journal = filled(KEPT + 5)
    assert (journal.oldest, journal.newest, len(journal.entries)) == (6, KEPT + 5, KEPT)
    again = Journal.of(journal.entries)
    again.add(LinkUp("DEV2"), [], at(0))
    assert again.newest == KEPT + 6
    assert len(again.unsaved) == 1


def test_a_long_text_is_cut() -> None:
    text = "X" * 5000
    printed = Printed("$ZSVR", "TANDEM.TAPE.G06", 699, text)
    entry = only(Unrecognised("DEV2", 699, text, printed=printed))
    assert entry.printed is not None
    assert entry.printed.text == "X" * LONGEST_TEXT + "..."
    assert len(only(EventsMissed("DEV2", text)).reading) < LONGEST_TEXT + 10


def test_what_has_no_effect_waits_for_a_commit_with_another_reason() -> None:
    journal = Journal()
    assert journal.times() == []
    journal.add(dismounted(), [], at(10))
    journal.add(dismounted(), [], at(11))
    assert journal.times() == [10 + HOLD_S]
    assert journal.news(11.0, along=False) == []
    assert [entry.number for entry in journal.news(11.0, along=True)] == [1, 2]
    assert (journal.times(), journal.news(99.0, along=True)) == ([], [])


def test_what_waited_long_enough_or_is_much_is_saved_alone() -> None:
    journal = Journal()
    journal.add(dismounted(), [], at(10))
    assert len(journal.news(10 + HOLD_S, along=False)) == 1
    for _ in range(HOLD_MOST):
        journal.add(dismounted(), [], at(20))
    assert len(journal.news(20.0, along=False)) == HOLD_MOST


def test_the_conditions_hold_together() -> None:
    journal = Journal()
    journal.add(LinkUp("DEV2"), [], at(1))
    journal.add(dismounted(), [TAPE], at(2))
    journal.add(dismounted("X00002"), [], at(3))
    journal.add(dismounted(host="DEV3"), [TAPE], at(4))
    journal.add(Unrecognised("DEV3", 699, "?"), [], at(5))

    def numbers(wanted: Wanted) -> list[int]:
        return [entry.number for entry in journal.find(wanted)[0]]

    assert numbers(Wanted()) == [1, 2, 3, 4, 5]
    assert numbers(Wanted(host="DEV3")) == [4, 5]
    assert numbers(Wanted(host="DEV2", tape=TAPE)) == [2]
    assert numbers(Wanted(tape=TAPE)) == [2, 4]
    assert numbers(Wanted(tape="/VAULT00/BILL/X00002", volume="X00002")) == [3]
    assert numbers(Wanted(unknown=True)) == [5]
    assert numbers(Wanted(since_ns=3_000_000_000)) == [3, 4, 5]
    assert journal.find(Wanted(most=2)) == (list(journal.entries)[3:], 3)


@given(count=st.integers(0, 30), after=st.integers(0, 60))
def test_after_is_what_came_later(count: int, after: int) -> None:
    journal = Journal.of(list(filled(40).entries)[40 - count :])
    found, left_out = journal.find(Wanted(after=after, most=100))
    assert found == [entry for entry in journal.entries if entry.number > after]
    assert left_out == 0


def test_reports_of_overlays_are_found_by_tape_and_time() -> None:
    reports, overlay = Reports(), Overlay()
    mounted, dismounted = overlay.mounted().signal, overlay.dismounted().signal
    other = overlay.received(SECOND).signal
    moved = overlay.moved(SECOND, THIRD).signal
    for second, signal in enumerate([mounted, dismounted, other, moved], 1):
        reports.add(signal, at(second))

    def kinds(wanted: Wanted) -> list[str]:
        return [report.signal.kind.value for report in reports.find(wanted)]

    assert kinds(Wanted()) == ["mounted", "dismounted", "received", "moved"]
    assert kinds(Wanted(tape=TAPE)) == ["mounted", "dismounted"]
    assert kinds(Wanted(tape=str(SECOND))) == ["received", "moved"]
    assert kinds(Wanted(since_ns=2_000_000_000, most=2)) == ["received", "moved"]
