"""Tapes at rest: which are, what is known of them without their records, and that none is forgotten."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.copying import Errand, PublishedCopy, TargetStamp, Wish
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shelf import (
    CopyAtRest,
    Resting,
    Shape,
    Shelf,
    at_rest,
    has_file,
    is_file,
    unpack,
)
from copyagent.core.shown_states import shown_state
from copyagent.core.tape import (
    Clean,
    Copied,
    Copying,
    Failed,
    Held,
    Kept,
    Queued,
    State,
    Superseded,
    Unmonitored,
    Unsynced,
)
from copyagent.core.witness import Evidence, Session
from tests.support.drawers import TextDrawer, TwoMinds
from tests.support.histories import (
    SECOND,
    START_NS,
    TAPE,
    TARGET,
    TWIN,
    Overlay,
    link_lost,
    link_up,
    make_engine,
    no_ring,
    requested,
    volume_mounted,
)
from tests.support.playbook import START, copied_once
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Access, Identity

FILE = Identity(2**40, 2**63 + 5, 4096, START_NS, START_NS + 1)
STAMP = TargetStamp(4096, 7)
PUBLISHED = PublishedCopy(
    generation=1, source=FILE, size=4096, sha256="aa", stamp=STAMP, verified="size"
)
POOL = TAPE.pool_id


def resting_record(tape: TapeId = TAPE, state: State | None = None) -> TapeRecord:
    copy = CopyRecord(state or Copied(1, START_NS), base=PUBLISHED, place="there:/BILL")
    return TapeRecord(tape, 1, FILE, copies={TARGET: copy})


def never_synced(tape: TapeId = TAPE, since_ns: int = START_NS) -> TapeRecord:
    copy = CopyRecord(Unsynced(), owed_ns=since_ns)
    return TapeRecord(tape, 1, FILE, copies={TARGET: copy}, behind_ns=since_ns)


def laid(*records: TapeRecord, room: int = 0) -> tuple[Shelf, TextDrawer]:
    """Put *records* away."""
    drawer = TextDrawer()
    shelf = Shelf(drawer=drawer, room=room)
    for record in records:
        shelf[record.tape] = record
        drawer.texts[record.tape] = drawer.text(record)
    assert not shelf.put_away([r.tape for r in records], lambda _: False)
    return shelf, drawer


# ---- who is at rest ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [Clean(), Copied(1, 5), Kept("erased", 5), Unmonitored()], ids=lambda s: str(s.kind)
)
def test_what_neither_time_nor_a_restart_changes_is_at_rest(state: State) -> None:
    found = at_rest(resting_record(state=state))
    assert found is not None
    assert found.shape.protected


def test_what_was_never_synced_is_at_rest_and_owed() -> None:
    found = at_rest(never_synced())
    assert found == Resting(Shape((CopyAtRest(TARGET, "unsynced"),)), FILE, START_NS, (START_NS,))
    assert not found.shape.protected


@pytest.mark.parametrize(
    "state",
    [
        Queued(1),
        Copying(1, 0, 5),
        Failed(1, 3, "down", "mend it", True, 5),
        Held(1, "conflict", "", 5),  # type: ignore[arg-type]  # any reason will do
        Superseded(1),
    ],
    ids=lambda s: str(s.kind),
)
def test_what_waits_for_something_is_not_at_rest(state: State) -> None:
    assert at_rest(resting_record(state=state)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"open": {"s": Session("s", Access.READ, START_NS)}},
        {"evidence": Evidence(sessions=(Session("s", Access.READ, START_NS),))},
        {"evidence": Evidence(quiet_since=5.0)},
        {"warned_open": True},
        {"behind_ns": START_NS},
    ],
    ids=["open", "unjudged", "waiting for the overlay", "warned", "not settled"],
)
def test_a_tape_that_something_is_awaited_of_is_not_at_rest(change: dict[str, object]) -> None:
    assert at_rest(replace(resting_record(), **change)) is None  # type: ignore[arg-type]  # by name


@pytest.mark.parametrize(
    "change",
    [
        {"intent": PUBLISHED},
        {"override": STAMP},
        {"wish": Wish(Errand.ADOPT)},
        {"owed_ns": START_NS},
    ],
    ids=lambda c: next(iter(c)),
)
def test_a_copy_that_something_is_awaited_of_is_not_at_rest(change: dict[str, object]) -> None:
    record = resting_record()
    record.copies[TARGET] = replace(record.copies[TARGET], **change)  # type: ignore[arg-type]  # same
    assert at_rest(record) is None


def test_a_time_that_no_file_system_has_keeps_a_tape_awake() -> None:
    odd = replace(FILE, mtime_ns=2**70)
    assert at_rest(replace(resting_record(), identity=odd)) is None


def test_whoever_adds_to_a_record_asks_whether_it_can_be_at_rest() -> None:
    """A new field that something is awaited by has to be looked at in `at_rest`, and named here."""
    assert [f.name for f in fields(TapeRecord)] == [
        "tape", "generation", "identity", "open", "evidence", "unconfirmed", "judgement", "copies",
        "changes", "notes", "behind_ns", "warned_open",
    ]  # fmt: skip
    assert [f.name for f in fields(CopyRecord)] == [
        "state", "base", "intent", "override", "place", "owed_ns", "kept", "wish", "beside",
        "hold", "since_ns",
    ]  # fmt: skip


@pytest.mark.parametrize("state", [Clean(), Copied(1, 5), Kept("erased", 5), Unmonitored()])
def test_a_tape_at_rest_is_called_what_its_record_would_be(state: State) -> None:
    record = resting_record(state=state)
    found = at_rest(record)
    assert found is not None
    book = make_engine().book
    words = shown_state(book, record, TARGET, START).text
    assert found.shape.copies[0].words == words


# ---- as bytes ------------------------------------------------------------------------------------

numbers = st.integers(0, 2**63 - 1)
identities = st.builds(Identity, numbers, st.integers(0, 2**64 - 1), numbers, numbers, numbers)


@given(st.one_of(st.none(), identities), numbers, st.lists(numbers, max_size=3).map(tuple))
def test_nothing_is_lost_in_bytes(
    identity: Identity | None, behind_ns: int, owed_ns: tuple[int, ...]
) -> None:
    shape = Shape((CopyAtRest(TARGET, "copied"),))
    resting = Resting(shape, identity, behind_ns, owed_ns)
    assert unpack(resting.pack(7), shape) == resting


# ---- a mapping -----------------------------------------------------------------------------------


def test_what_is_put_away_comes_back_as_it_was() -> None:
    shelf, drawer = laid(resting_record(), never_synced(SECOND))
    assert shelf.active() == []
    assert set(shelf) == {TAPE, SECOND}
    assert len(shelf) == 2
    assert TAPE in shelf
    assert TWIN not in shelf
    assert drawer.fetched == 0
    assert shelf[TAPE] == resting_record()
    assert shelf.active() == [resting_record()]
    assert dict(shelf) == {TAPE: resting_record(), SECOND: never_synced(SECOND)}


def test_a_record_is_one_object_until_it_is_put_away() -> None:
    shelf, drawer = laid(resting_record())
    first = shelf[TAPE]
    first.note(5, "seen")
    assert shelf[TAPE] is first
    assert drawer.fetched == 1


def test_what_was_changed_and_not_saved_is_not_put_away() -> None:
    shelf, _ = laid(resting_record())
    shelf[TAPE].note(5, "changed, and nobody said so")
    assert list(shelf.put_away([], lambda _: False)) == [TAPE]
    assert shelf.active() == [shelf[TAPE]]
    assert shelf[TAPE].notes


def test_what_is_busy_stays_awake() -> None:
    shelf, _ = laid()
    shelf[TAPE] = resting_record()
    shelf.put_away([TAPE], lambda tape: tape == TAPE)
    assert shelf.active()


def test_the_tapes_used_last_stay_at_hand() -> None:
    names = [TapeId("VAULT00", "BILL", f"T{number}") for number in range(5)]
    shelf, _ = laid(*map(resting_record, names), room=2)
    assert [r.tape for r in shelf.active()] == names[3:]
    assert shelf[names[0]].tape == names[0]
    shelf.put_away([], lambda _: False)
    assert [r.tape for r in shelf.active()] == [names[4], names[0]]


def test_a_look_leaves_a_record_where_it_is() -> None:
    shelf, drawer = laid(resting_record())
    assert shelf.look(TAPE) == resting_record()
    assert shelf.active() == []
    assert drawer.fetched == 1
    with pytest.raises(KeyError):
        shelf.look(SECOND)


def test_what_is_dropped_is_gone_awake_or_not() -> None:
    shelf, _ = laid(resting_record(), resting_record(SECOND))
    del shelf[TAPE]
    assert shelf[SECOND].tape == SECOND
    assert shelf.pop(SECOND) == resting_record(SECOND)
    assert not shelf
    assert shelf.counts() == {}
    assert shelf.called(TAPE.label) == []
    with pytest.raises(KeyError):
        del shelf[TAPE]


def test_a_new_record_takes_the_place_of_one_put_away() -> None:
    shelf, _ = laid(resting_record())
    shelf[TAPE] = never_synced()
    assert len(shelf) == 1
    assert shelf[TAPE] == never_synced()


# ---- what needs no record ------------------------------------------------------------------------


def test_tapes_are_counted_by_pool_and_shape() -> None:
    shelf, drawer = laid(resting_record(), resting_record(SECOND), never_synced(TWIN))
    copied = Shape((CopyAtRest(TARGET, "copied", place="there:/BILL", based=True),))
    unsynced = Shape((CopyAtRest(TARGET, "unsynced"),))
    assert shelf.counts() == {("/VAULT00/BILL", copied): 2, ("/VAULT00/PAY", unsynced): 1}
    found = list(shelf.resting(lambda _, shape: not shape.protected))
    assert found == [(TWIN, Resting(unsynced, FILE, START_NS, (START_NS,)))]
    assert drawer.fetched == 0
    assert shelf[SECOND].tape == SECOND
    assert shelf.counts()["/VAULT00/BILL", copied] == 1


def test_what_lacks_a_copy_is_known_with_since_when() -> None:
    shelf, drawer = laid(resting_record(), never_synced(SECOND, 7), never_synced(TWIN, 9))
    (bill,) = shelf.lacking({"/VAULT00/BILL"})
    assert (bill.path, bill.targets, bill.tapes) == ("/VAULT00/BILL", [TARGET], [(7, SECOND.label)])
    both = list(shelf.lacking({"/VAULT00/BILL", "/VAULT00/PAY"}))
    assert [group.tapes for group in both] == [[(7, SECOND.label)], [(9, TWIN.label)]]
    assert drawer.fetched == 0


def test_a_host_finds_tapes_whatever_the_case_of_their_label() -> None:
    lower = TapeId("VAULT00", "BILL", "x00001")
    shelf, drawer = laid(resting_record(), resting_record(lower), never_synced(TWIN))
    assert shelf.called("X00001") == sorted([TAPE, lower, TWIN])
    assert drawer.fetched == 0
    assert shelf[lower].tape == lower
    assert shelf.called("X00001") == sorted([TAPE, lower, TWIN])
    del shelf[lower]
    assert shelf.called("X00001") == [TAPE, TWIN]


def test_what_makes_the_bytes_can_be_taken_elsewhere() -> None:
    gone = replace(resting_record(SECOND, Kept("deleted", 5)), identity=None)
    shelf, _ = laid(resting_record(), gone)
    files = shelf.files(POOL)
    assert {label: has_file(file) for label, file in files.items()} == {
        TAPE.label: True,
        SECOND.label: False,
    }
    assert is_file(files[TAPE.label], FILE.ino, FILE.size, FILE.mtime_ns)
    assert not is_file(files[TAPE.label], FILE.ino, FILE.size + 1, FILE.mtime_ns)
    assert not is_file(files[SECOND.label], 0, 0, 0)
    files.clear()
    assert shelf.files(POOL), "it is a copy"
    assert shelf.files(PoolId("VAULT00", "NONE")) == {}


# ---- in an engine --------------------------------------------------------------------------------


def forgetful() -> tuple[TwoMinds, Overlay]:
    play, overlay = TwoMinds(make_engine()), Overlay()
    play.hand(overlay.hello())
    play.hand(link_up())
    play.open.clear()
    return play, overlay


def test_a_copied_tape_is_put_away_and_taken_out_for_its_next_mount() -> None:
    play, overlay = forgetful()
    copied_once(play, overlay)
    assert play.other.book.records.active() == []
    play.wait(3600)
    copied_once(play, overlay)
    assert play.other.book.records.active() == []
    assert play.drawer.fetched


def test_a_late_word_is_judged_by_the_clock_that_was_set_meanwhile() -> None:
    """What was judged without a host is compared with its times still, be it put away."""
    play, overlay = forgetful()
    play.hand(link_lost())
    play.open.clear()
    play.hand(overlay.mounted())
    play.hand(overlay.dismounted())
    play.wait(3600)
    play.open.clear()
    play.step_clock(-7200)
    play.hand(link_up())
    for event in (no_ring(), volume_mounted()):
        play.hand(event)
    play.compare()


def test_after_a_restart_a_tape_at_rest_is_asked_after_if_its_host_has_it() -> None:
    play, overlay = forgetful()
    copied_once(play, overlay)
    play.hand(requested())
    play.hand(volume_mounted())
    play.restart()
    play.open.clear()
    play.wait(90_000)


def test_other_settings_wake_the_tapes_that_they_concern() -> None:
    shelf, drawer = laid(resting_record(), resting_record(TWIN))
    book = type(make_engine().book)(make_engine().book.settings, records=shelf)
    # Both lie elsewhere than the settings say: that is on record, and what was there is not here.
    states = {r.tape: r.copies[TARGET].state for r in book.records.active()}
    assert states == {TAPE: Unsynced(), TWIN: Unsynced()}
    assert book.dirty == {TAPE, TWIN}
    assert drawer.fetched == 2
