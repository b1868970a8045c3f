"""The verdict table over the whole product, and how evidence becomes the words it is made of."""

from dataclasses import replace
from itertools import product

import pytest

from copyagent.core.host_events import Ring
from copyagent.core.host_mount import HostMount
from copyagent.core.witness import (
    VERDICTS,
    WAITING,
    WITHOUT_HOST,
    Evidence,
    Host,
    Overlay,
    Session,
    Verdict,
    host_says,
    judge,
    overlay_says,
)
from vtsfs.contract.signals import Access, Identity

BEFORE = Identity(1, 2, 100, 5, 5)
AFTER = Identity(1, 2, 200, 6, 6)

ALL = tuple(Host)
ROWS: list[tuple[Overlay, tuple[Host, ...], str]] = [
    # DESIGN section 5, row by row; the first that fits counts.
    (Overlay.OPEN, ALL, "open"),  # 1
    (Overlay.INTERRUPTED, ALL, "interrupted"),  # 2
    (Overlay.WROTE, (Host.NO_RING,), "conflict"),  # 3
    (Overlay.UNWRITTEN, (Host.NO_RING, Host.NO_RING_LATER), "agreed, read only"),  # 4
    (Overlay.WROTE, (Host.WITH_RING, Host.IN_USE), "host still has it"),  # 5
    (Overlay.UNWRITTEN, (Host.WITH_RING, Host.IN_USE), "host still has it"),
    (Overlay.WROTE, (Host.OVERDUE,), "with the host for too long"),  # 5, after mounted_max
    (Overlay.UNWRITTEN, (Host.OVERDUE,), "with the host for too long"),
    (Overlay.WROTE, (Host.DISMOUNTED,), "agreed"),  # 6
    (Overlay.UNWRITTEN, (Host.DISMOUNTED,), "agreed, unwritten"),  # 7
    (Overlay.WROTE, (Host.RETURNED,), "agreed, ring not told"),  # between 6 and 8: no ring word
    (Overlay.WROTE, (Host.SILENT,), "overlay only"),  # 8
    (Overlay.UNWRITTEN, (Host.SILENT, Host.RETURNED), "unconfirmed, unchanged"),  # 9
    (Overlay.NOTHING, (Host.DISMOUNTED,), "host only"),  # 10
    (Overlay.CHANGED, ALL, "changed without a mount"),  # 11
    (Overlay.RECEIVED, ALL, "received"),  # 12
    # Before the grace is over, and while it is not known whose the no ring is, nothing is decided.
    (Overlay.WROTE, (Host.PENDING, Host.NO_RING_LATER), "awaiting host"),
    (Overlay.UNWRITTEN, (Host.PENDING,), "awaiting host"),
    (Overlay.NOTHING, ALL, "nothing to judge"),
]


def by_hand(overlay: Overlay, host: Host) -> str:
    return next(verdict for seen, said, verdict in ROWS if seen is overlay and host in said)


@pytest.mark.parametrize(("overlay", "host"), [*product(Overlay, Host)])
def test_the_verdict_on_every_pair(overlay: Overlay, host: Host) -> None:
    assert judge(overlay, host).value == by_hand(overlay, host)


def test_every_verdict_can_be_reached_and_no_pair_is_left_out() -> None:
    reached = {VERDICTS[overlay][host] for overlay, host in product(Overlay, Host)}
    assert reached == set(Verdict)
    assert all(set(VERDICTS[overlay]) == set(Host) for overlay in Overlay)


def test_a_no_ring_mount_and_an_open_tape_never_lead_to_a_copy_by_themselves() -> None:
    copying = {
        Verdict.AGREED, Verdict.UNWRITTEN, Verdict.OVERLAY_ONLY, Verdict.OVERDUE,
        Verdict.RING_UNTOLD, Verdict.HOST_ONLY,
    }  # fmt: skip
    for no_ring in (Host.NO_RING, Host.NO_RING_LATER):
        assert not copying & {judge(overlay, no_ring) for overlay in Overlay}
    assert not copying & {judge(Overlay.OPEN, host) for host in Host}


def test_which_verdicts_end_nothing_and_which_were_reached_without_the_host() -> None:
    assert {v.value for v in WAITING} == {
        "open", "host still has it", "awaiting host", "nothing to judge",
    }  # fmt: skip
    assert {v.value for v in WITHOUT_HOST} == {"overlay only", "unconfirmed, unchanged"}


def session(
    *, wrote: bool = False, interrupted: bool = False, changed: bool | None = None
) -> Session:
    differs = (wrote or interrupted) if changed is None else changed
    return Session(
        "s",
        Access.WRITE,
        opened_ns=1,
        opened=BEFORE,
        closed_ns=2,
        identity=AFTER if differs else BEFORE,
        wrote=wrote,
        interrupted=interrupted,
    )


WROTE = session(wrote=True)
UNWRITTEN = session()
INTERRUPTED = session(interrupted=True)
CUT_SHORT_UNCHANGED = session(interrupted=True, changed=False)


@pytest.mark.parametrize(
    ("sessions", "word"),
    [
        ((), Overlay.NOTHING),
        ((WROTE,), Overlay.WROTE),
        ((UNWRITTEN,), Overlay.UNWRITTEN),
        ((WROTE, UNWRITTEN), Overlay.WROTE),
        ((INTERRUPTED,), Overlay.INTERRUPTED),
        ((CUT_SHORT_UNCHANGED,), Overlay.UNWRITTEN),
        ((INTERRUPTED, UNWRITTEN), Overlay.INTERRUPTED),
        ((INTERRUPTED, WROTE), Overlay.WROTE),
        ((WROTE, INTERRUPTED), Overlay.INTERRUPTED),
        ((WROTE, CUT_SHORT_UNCHANGED), Overlay.WROTE),
    ],
)
def test_sessions_become_one_word(sessions: tuple[Session, ...], word: Overlay) -> None:
    assert overlay_says(Evidence(sessions=sessions), writers=False) is word
    assert overlay_says(Evidence(sessions=sessions), writers=True) is Overlay.OPEN


def test_changes_and_received_tapes_count_when_no_session_tells_more() -> None:
    changed, received = Evidence(changes=("truncate",)), Evidence(received=True)
    assert overlay_says(changed, writers=False) is Overlay.CHANGED
    assert overlay_says(received, writers=False) is Overlay.RECEIVED
    both = Evidence(sessions=(UNWRITTEN,), changes=("truncate",), received=True)
    assert overlay_says(both, writers=False) is Overlay.CHANGED
    assert overlay_says(Evidence((WROTE,), ("truncate",)), writers=False) is Overlay.WROTE
    assert overlay_says(Evidence((UNWRITTEN,), received=True), writers=False) is Overlay.RECEIVED


def test_an_interrupted_session_that_may_have_written_counts_whatever_the_time_stamps_say() -> None:
    torn = Session("s", Access.WRITE, 1, BEFORE, 2, BEFORE, wrote=True, interrupted=True)
    assert overlay_says(Evidence(sessions=(torn,)), writers=False) is Overlay.INTERRUPTED


def test_an_interrupted_session_whose_beginning_is_unknown_counts_unless_the_tape_is_empty() -> (
    None
):
    empty = Identity(1, 2, 0, 6, 6)
    for identity, word in ((AFTER, Overlay.INTERRUPTED), (empty, Overlay.UNWRITTEN)):
        torn = Session("s", Access.WRITE, 1, None, 2, identity, interrupted=True)
        assert overlay_says(Evidence((torn,)), writers=False) is word


def test_what_can_mean_that_the_target_has_not_all_there_is() -> None:
    reader = Session("s", Access.READ, 1, BEFORE, 2, BEFORE)
    assert not Evidence().unsettling
    assert not Evidence((reader,)).unsettling
    assert Evidence((UNWRITTEN,)).unsettling
    assert Evidence(changes=("truncate",)).unsettling
    assert Evidence(received=True).unsettling


def test_nothing_written_is_copied_only_if_the_host_said_with_ring() -> None:
    copied = {Verdict.UNWRITTEN, Verdict.OVERDUE, Verdict.AGREED, Verdict.OVERLAY_ONLY}
    for host in Host:
        with_ring = host in {Host.DISMOUNTED, Host.OVERDUE}
        assert (judge(Overlay.UNWRITTEN, host) in copied) == with_ring


def mount(ring: Ring | None, *, dismounted: bool = False, lost: bool = False) -> HostMount:
    return HostMount("DEV2", "X00001", ring, dismounted_ns=9 if dismounted else 0, lost=lost)


IN_USE = HostMount("DEV2", "X00001", opened_ns=5)
FOUND = HostMount("DEV2", "X00001", mounted_ns=5, unrequested=True)
BY_DRIVE = HostMount("DEV2", "/VAULT00/BILL/X00001", requested_ns=5)


@pytest.mark.parametrize(
    ("seen", "expected", "age", "word"),
    [
        (None, True, 0.0, Host.PENDING),
        (None, False, 0.0, Host.SILENT),
        (mount(None), True, 0.0, Host.PENDING),
        (mount(None, dismounted=True), False, 0.0, Host.SILENT),
        (mount(Ring.NO_RING), True, 0.0, Host.NO_RING),
        (mount(Ring.NO_RING, lost=True), False, 0.0, Host.NO_RING),
        (mount(Ring.WITH_RING), False, 59.9, Host.WITH_RING),
        (mount(Ring.WITH_RING), False, 60.0, Host.OVERDUE),
        (mount(Ring.WITH_RING, lost=True), False, 0.0, Host.SILENT),
        (mount(Ring.WITH_RING, lost=True), True, 0.0, Host.PENDING),
        (mount(Ring.WITH_RING, dismounted=True), True, 99.0, Host.DISMOUNTED),
        (mount(Ring.WITH_RING, dismounted=True, lost=True), True, 0.0, Host.DISMOUNTED),
        (IN_USE, False, 59.9, Host.IN_USE),
        (IN_USE, False, 60.0, Host.SILENT),
        (replace(IN_USE, lost=True), True, 0.0, Host.PENDING),
        (replace(IN_USE, dismounted_ns=9), True, 0.0, Host.PENDING),
        (replace(IN_USE, dismounted_ns=9), False, 0.0, Host.SILENT),
        (FOUND, True, 0.0, Host.IN_USE),
        (replace(FOUND, dismounted_ns=9), True, 0.0, Host.RETURNED),
        (replace(FOUND, dismounted_ns=9, ring=Ring.NO_RING), True, 0.0, Host.NO_RING),
        (BY_DRIVE, True, 0.0, Host.IN_USE),
        (replace(BY_DRIVE, dismounted_ns=9), True, 0.0, Host.RETURNED),
    ],
)
def test_a_hosts_evidence_becomes_one_word(
    seen: HostMount | None, *, expected: bool, age: float, word: Host
) -> None:
    assert host_says(seen, expected=expected, age_s=age, mounted_max_s=60.0) is word


def test_a_no_ring_that_can_be_a_later_mounts_waits_for_the_overlay_and_not_for_ever() -> None:
    asked = mount(Ring.NO_RING)
    for age_s, word in ((59.9, Host.NO_RING_LATER), (60.0, Host.NO_RING)):
        later = host_says(asked, expected=False, age_s=age_s, mounted_max_s=60.0, later=True)
        assert later is word
