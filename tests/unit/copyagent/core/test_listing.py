"""Lists of tapes, a page at a time, and the queue in the order in which copies start."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core import listing
from copyagent.core.book import Book
from copyagent.core.commands import StartCopy
from copyagent.core.copying import HoldReason, PublishedCopy, TargetStamp, WaitReason
from copyagent.core.engine import Engine
from copyagent.core.listing import MOST_LOOKED_AT, TapesWanted, documents_at_rest, tapes_page
from copyagent.core.records import CopyRecord, OperatorHold, TapeRecord
from copyagent.core.shown_states import StateWanted, Word, shown_state, states_named
from copyagent.core.tape import (
    Cancelled,
    Clean,
    Copied,
    Failed,
    Held,
    Kept,
    Queued,
    Retrying,
    State,
    Superseded,
    Unsynced,
    Waiting,
)
from copyagent.core.traffic_report import Progress
from tests.support.drawers import TextDrawer
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    START_NS,
    TAPE,
    TARGET,
    TWIN,
    Overlay,
    done,
    make_settings,
)
from tests.support.playbook import START
from tests.support.traffic_talk import changed, conversation, pause
from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Identity

FILE = Identity(1, 2, 4096, 3, 4)
COPY = PublishedCopy(1, FILE, 4096, "", TargetStamp(4096, 7), "size", published_ns=START_NS)
LATER = START.after(100.0)
STATES: tuple[State, ...] = (
    Clean(),
    Unsynced(),
    Copied(1, 5),
    Kept("erased", 5),
    Queued(1),
    Retrying(1, 3, "full", "make room", LATER),
    Failed(1, 12, "full", "make room", unreachable=False, at_ns=5),
    Waiting(1, 0, WaitReason.FENCED, "fenced", LATER),
    Held(1, HoldReason.CONFLICT, "no ring", 5),
    Cancelled(1, "ann", "not now", 5),
    Superseded(1),
)


def record(tape: TapeId, state: State, other: State) -> TapeRecord:
    def copy(state: State) -> CopyRecord:
        protected = isinstance(state, Clean | Copied | Kept)
        base = COPY if isinstance(state, Copied) else None
        return CopyRecord(
            state,
            base=base,
            place=f"dr.example.com:/VAULT00/{tape.pool}",
            owed_ns=0 if protected else START_NS,
        )

    made = TapeRecord(tape, 1, FILE, copies={TARGET: copy(state), OTHER_TARGET: copy(other)})
    made.behind_ns = 0 if made.protected else START_NS
    return made


def kept(records: list[TapeRecord]) -> tuple[Book, TextDrawer]:
    """A book in which whatever is at rest was put away."""
    drawer = TextDrawer({r.tape: TextDrawer().text(r) for r in records})
    settings = make_settings(targets=(TARGET, OTHER_TARGET))
    # As places are named by the settings, so that nothing counts as moved.
    book = Book(settings, records=drawer.shelf())
    for each in book.records.active():
        drawer.texts[each.tape] = drawer.text(each)
    return book, drawer


def all_pages(book: Book, drawer: TextDrawer, wanted: TapesWanted) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    while True:
        page = tapes_page(book, wanted, {}, START)
        assert len(page.told) + len(page.resting) <= MOST_LOOKED_AT
        told += documents_at_rest({t: drawer.fetch(t) for t in page.resting}, page, 12)
        if page.next is None:
            return told
        wanted = replace(wanted, after=page.next)


def tape(number: int, pool: str = "BILL") -> TapeId:
    return TapeId("VAULT00", pool, f"T{number:05}")


@given(
    st.lists(st.tuples(st.sampled_from(STATES), st.sampled_from(STATES)), max_size=20),
    st.lists(st.sampled_from(list(Word)), max_size=2),
    st.booleans(),
    st.sampled_from(["", TARGET]),
    st.sampled_from([(), ("BILL",), ("PAY", "BILL")]),
)
def test_the_pages_together_are_what_a_look_at_every_tape_gives(
    states: list[tuple[State, State]],
    words: list[Word],
    unprotected: bool,
    target: str,
    pools: tuple[str, ...],
) -> None:
    made = [record(tape(n, ("BILL", "PAY")[n % 2]), *each) for n, each in enumerate(states)]
    book, drawer = kept(made)
    wanted = TapesWanted(
        tuple(StateWanted(word) for word in words),
        tuple(PoolId("VAULT00", pool) for pool in pools),
        target,
        unprotected,
    )
    found = [
        (each["tape"], each["target"], each["word"]) for each in all_pages(book, drawer, wanted)
    ]
    expected = []
    for each in sorted(made, key=lambda r: (str(r.tape.pool_id), r.tape.label)):
        for name in each.copies:
            seen = book.records.look(each.tape)
            word = shown_state(book, seen, name, START).word
            if words and word not in words:
                continue
            if unprotected and seen.protected_at(name):
                continue
            if (target and name != target) or (pools and each.tape.pool not in pools):
                continue
            expected.append((str(each.tape), name, word.value))
    assert found == expected


def test_very_many_tapes_are_told_in_pages_of_bounded_size() -> None:
    made = [record(tape(n), Copied(1, 5), Unsynced()) for n in range(2 * MOST_LOOKED_AT + 3)]
    made.append(record(tape(7, "PAY"), Failed(1, 1, "x", "y", False, 5), Copied(1, 5)))
    book, drawer = kept(made)
    told = all_pages(book, drawer, TapesWanted(target=TARGET))
    assert [each["tape"] for each in told] == [str(each.tape) for each in made]
    fetched = drawer.fetched
    (failed,) = all_pages(book, drawer, TapesWanted(states_named("failed")))
    assert failed["tape"] == str(tape(7, "PAY"))
    assert drawer.fetched == fetched, "no tape at rest was read to find that it has not failed"


def test_what_is_kept_back_ahead_of_time_can_be_found() -> None:
    made = [record(tape(n), Copied(1, 5), Copied(1, 5)) for n in range(5)]
    made[3].copies[TARGET].hold = OperatorHold("ann", "a disk is looked at", START_NS)
    book, drawer = kept(made)
    (found,) = all_pages(book, drawer, TapesWanted(kept_back=True))
    assert (found["tape"], found["target"], found["state"]) == (str(tape(3)), TARGET, "copied")
    assert found["kept_back"]["by"] == "ann"
    assert "copyagent release" in found["next"]


def test_a_document_says_all_of_a_tape_at_rest() -> None:
    book, drawer = kept([record(TAPE, Copied(1, START_NS), Clean())])
    (told,) = all_pages(book, drawer, TapesWanted(target=TARGET))
    assert told["state"] == told["word"] == "copied"
    assert told["since"] == "2026-11-18T11:06:40Z"
    assert told["why"] == f"{TARGET} has generation 1, durable and compared"
    assert told["next"] == "Nothing to do."
    assert (told["size"], told["generation"], told["protected"]) == (4096, 1, True)


def test_names_of_nothing_are_refused_with_what_may_have_been_meant() -> None:
    book, _ = kept([])
    for wanted, meant in (
        (TapesWanted(target="drsitte"), "did you mean drsite"),
        (TapesWanted(pools=(PoolId("VAULT00", "BIL"),)), "did you mean /VAULT00/BILL"),
    ):
        with pytest.raises(NameUnknown, match=meant):
            tapes_page(book, wanted, {}, START)
        with pytest.raises(NameUnknown, match="did you mean drsite"):
            listing.queue(Engine(book), "drsit", 10, {}, START)


@pytest.mark.parametrize(
    ("text", "states"),
    [
        ("held", [StateWanted(Word.HELD)]),
        ("Held (conflict)", [StateWanted(Word.HELD, "conflict")]),
        ("by operator", [StateWanted(Word.HELD, "by operator")]),
        ("paused", [StateWanted(Word.WAITING, "paused")]),
        ("mounted", [StateWanted(Word.READ_ONLY), StateWanted(Word.READ_WRITE)]),
        ("mounted (read/write)", [StateWanted(Word.READ_WRITE)]),
        ("erased", [StateWanted(Word.KEPT, "erased")]),
    ],
)
def test_a_state_is_named_as_it_is_printed(text: str, states: list[StateWanted]) -> None:
    assert list(states_named(text)) == states


def test_a_state_that_there_is_not() -> None:
    with pytest.raises(NameUnknown, match="did you mean superseded"):
        states_named("supercede")


# ---- the queue -----------------------------------------------------------------------------------


def test_the_queue_is_in_the_order_in_which_copies_start() -> None:
    overlay = Overlay()
    play = conversation(traffic={"parallel": 1}, retry={"attempts": 3})
    changed(play, overlay, TAPE)
    play << StartCopy
    for each in (TWIN, SECOND):
        changed(play, overlay, each)
        play.wait(60.0)
    document = listing.queue(play.engine, "", 10, {(TAPE, TARGET): _sending()}, play.now)
    (target,) = document["targets"]
    assert (target["running"], target["pending"], target["left_out"]) == (1, 2, 0)
    listed = [(c["place"], c["tape"], c["state"], c["bytes"]) for c in target["copies"]]
    assert listed == [
        (0, str(TAPE), "copying", 900),
        (1, str(TWIN), "queued", 4096),
        (2, str(SECOND), "queued", 4096),
    ]
    assert target["bytes"] == 900 + 2 * 4096
    for _, name, _, _ in listed[1:]:
        play >> done(play.job)
        play << StartCopy
        assert str(play.job.tape) == name
    play >> done(play.job)


def test_what_waits_is_behind_what_can_start_and_says_what_for() -> None:
    overlay = Overlay()
    play = conversation(retry={"attempts": 3})
    pause(play, str(TAPE.pool_id))
    changed(play, overlay, TAPE, SECOND)
    play.wait(60.0)
    changed(play, overlay, TWIN)
    play << StartCopy
    (target,) = listing.queue(play.engine, TARGET, 1, {}, play.now)["targets"]
    assert [(c["tape"], c["state"]) for c in target["copies"]] == [
        (str(TWIN), "copying"),
        (str(TAPE), "waiting (paused)"),
    ]
    assert target["copies"][1]["why"].startswith("paused by root")
    assert (target["pending"], target["left_out"]) == (2, 1)
    play >> done(play.job)


def _sending() -> Progress:
    return Progress("sending", 100, 1000, START_NS)
