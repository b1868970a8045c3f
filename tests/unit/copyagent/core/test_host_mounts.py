"""What is remembered of a volume: requests, mounts, substitutions, losses, floods."""

import pytest

from copyagent.core.host_events import (
    CaughtUp,
    DeviceRequested,
    DeviceUse,
    DismountFailed,
    EventsMissed,
    HostEvent,
    LinkUp,
    MountRequested,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeInUse,
    TapeOnline,
    TapeOpened,
    TapeRefused,
    Unrecognised,
    VolumePassedOver,
    VolumeSubstituted,
)
from copyagent.core.host_events import LabelType as Label
from copyagent.core.host_mount import LATE_NS, HostMount
from copyagent.core.host_mounts import MOST_REMEMBERED, HostMounts
from copyagent.state.encoding import MOUNTS, decode, encode
from tests.support.histories import (
    HOST,
    cancelled,
    link_lost,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)

V = "X00001"
TAPE_NAME = f"/VAULT00/BILL/{V}"


@pytest.fixture
def mounts() -> HostMounts:
    return HostMounts()


def ring(mounts: HostMounts, volume: str = V) -> Ring | None:
    found = mounts.of(HOST, volume)
    assert found is not None
    return found.ring


def test_a_mount_from_request_to_dismount(mounts: HostMounts) -> None:
    assert mounts.handle(requested(request=7), 1) == (V,)
    assert mounts.handle(volume_mounted(request=7), 2) == (V,)
    assert mounts.handle(TapeOpened(HOST, V, "$TAPE0"), 3) == (V,)
    assert mounts.handle(TapeInUse(HOST, V, "$TAPE0", "0,1"), 4) == (V,)
    assert mounts.handle(tape_dismounted(), 5) == (V,)
    assert mounts.of(HOST, V) == HostMount(
        HOST, V, Ring.WITH_RING, 7, "$TAPE0",
        requested_ns=1, mounted_ns=2, opened_ns=3, dismounted_ns=5,
    )  # fmt: skip
    assert mounts.requests == {}
    assert mounts.requested_ns == {}
    found = mounts.of(HOST, V)
    assert found is not None
    mounts.retire(found)
    assert mounts.of(HOST, V) is None
    mounts.retire(found)


def test_the_same_again_changes_nothing_that_counts(mounts: HostMounts) -> None:
    for event in (no_ring(), no_ring(), volume_mounted(), volume_mounted()):
        mounts.handle(event, 1)
    mounts.handle(tape_dismounted(), 5)
    mounts.handle(tape_dismounted(), 9)
    found = mounts.of(HOST, V)
    assert found is not None
    assert (found.ring, found.dismounted_ns, found.began_ns) == (Ring.NO_RING, 5, 1)


def test_a_new_request_is_a_new_mount(mounts: HostMounts) -> None:
    mounts.handle(no_ring(request=1), 1)
    mounts.handle(tape_dismounted(), 2)
    mounts.handle(requested(request=2), 3)
    found = mounts.of(HOST, V)
    assert found is not None
    assert (found.ring, found.dismounted_ns, found.requested_ns) == (Ring.WITH_RING, 0, 3)


def test_a_scratch_request_learns_its_volume(mounts: HostMounts) -> None:
    assert mounts.handle(no_ring(None, request=7), 1) == ()
    mounts.handle(volume_mounted(request=8), 2)
    assert ring(mounts) is None
    mounts.handle(volume_mounted(request=7), 3)
    assert ring(mounts) is Ring.NO_RING


def test_a_request_met_by_another_tape_is_about_that_tape(mounts: HostMounts) -> None:
    mounts.handle(no_ring("X00002", request=7), 1)
    mounts.handle(volume_mounted(V, request=7), 2)
    assert ring(mounts) is Ring.NO_RING
    assert mounts.of(HOST, "X00002") is None


def test_a_completion_without_a_number_takes_no_other_volumes_request(mounts: HostMounts) -> None:
    mounts.handle(volume_mounted("X00002", request=None), 1)
    assert mounts.handle(no_ring(V, request=None), 2) == (V,)
    assert ring(mounts) is Ring.NO_RING


@pytest.mark.parametrize(
    "event",
    [
        VolumePassedOver(HOST, TAPE_NAME),
        TapeRefused(HOST, TAPE_NAME),
        DismountFailed(HOST, TAPE_NAME),
        VolumeSubstituted(HOST, TAPE_NAME, V),
    ],
    ids=lambda event: type(event).__name__,
)
@pytest.mark.parametrize("is_over", [True, False])
def test_a_printed_volume_that_is_a_tapes_name_touches_no_drives_mount(
    mounts: HostMounts, event: HostEvent, *, is_over: bool
) -> None:
    mounts.handle(TapeOpened(HOST, None, "$T"), 1, TAPE_NAME)
    if is_over:
        mounts.handle(TapeDismounted(HOST, None, "$T"), 2, TAPE_NAME)
    before = mounts.of(HOST, TAPE_NAME)
    assert before is not None
    assert mounts.handle(event, 3) == ()
    assert mounts.of(HOST, TAPE_NAME) == before


def test_a_substituted_volume_takes_the_ring_over(mounts: HostMounts) -> None:
    assert mounts.handle(VolumeSubstituted(HOST, "X00002", V), 1) == ()
    mounts.handle(no_ring("X00002"), 1)
    assert mounts.handle(VolumeSubstituted(HOST, "X00002", V), 2) == ("X00002", V)
    assert ring(mounts) is Ring.NO_RING
    assert mounts.of(HOST, "X00002") is None


def test_a_mount_judged_early_is_known_again_by_its_requests_number(mounts: HostMounts) -> None:
    mounts.handle(no_ring(request=7), 1)
    found = mounts.of(HOST, V)
    assert found is not None
    mounts.retire(found)
    mounts.handle(volume_mounted(request=7), 2)
    assert ring(mounts) is Ring.NO_RING


def test_a_cancelled_request_is_no_mount(mounts: HostMounts) -> None:
    mounts.handle(requested(request=7), 1)
    assert mounts.handle(cancelled(request=8), 2) == ()
    assert mounts.handle(cancelled(None, request=7), 3) == (V,)
    assert mounts.of(HOST, V) is None
    assert mounts.handle(cancelled(), 4) == ()


def test_what_was_mounted_cannot_be_cancelled(mounts: HostMounts) -> None:
    mounts.handle(requested(request=7), 1)
    mounts.handle(volume_mounted(request=7), 2)
    assert mounts.handle(cancelled(request=7), 3) == ()
    assert mounts.of(HOST, V) is not None


@pytest.fixture
def three_mounts(mounts: HostMounts) -> HostMounts:
    mounts.handle(requested(V), 1)
    mounts.handle(requested("X00002", request=2), 1)
    mounts.handle(tape_dismounted("X00002"), 2)
    mounts.handle(MountRequested("OTHER", 1, "X00003", Ring.WITH_RING), 1)
    return mounts


def lost(mounts: HostMounts) -> list[str]:
    return [mount.volume for mount in mounts.mounts.values() if mount.lost]


def test_a_gap_marks_what_it_may_have_missed(three_mounts: HostMounts) -> None:
    assert three_mounts.handle(EventsMissed(HOST, "burst"), 3) == (V,)
    assert lost(three_mounts) == [V]
    assert list(three_mounts.requests) == ["OTHER:1"]
    three_mounts.handle(CaughtUp(HOST), 4)
    assert lost(three_mounts) == [V]


def test_a_lost_link_makes_its_host_silent_until_it_has_caught_up(three_mounts: HostMounts) -> None:
    assert three_mounts.handle(link_lost(), 3) == (V,)
    assert lost(three_mounts) == [V]
    assert three_mounts.handle(CaughtUp("OTHER"), 4) == ()
    assert lost(three_mounts) == [V]
    assert three_mounts.handle(CaughtUp(HOST), 4) == (V,)
    assert lost(three_mounts) == []
    assert list(three_mounts.requests) == ["DEV2:1", "DEV2:2", "OTHER:1"]


def test_what_a_gap_took_does_not_come_back_with_the_link(three_mounts: HostMounts) -> None:
    three_mounts.handle(EventsMissed(HOST, "burst"), 3)
    three_mounts.handle(link_lost(), 4)
    assert three_mounts.handle(CaughtUp(HOST), 5) == ()
    assert lost(three_mounts) == [V]


def test_a_link_that_cannot_catch_up_leaves_a_gap(three_mounts: HostMounts) -> None:
    three_mounts.handle(link_lost(), 3)
    three_mounts.handle(EventsMissed(HOST, "the log was emptied"), 4)
    three_mounts.handle(CaughtUp(HOST), 5)
    assert lost(three_mounts) == [V]
    assert list(three_mounts.requests) == ["OTHER:1"]


def test_forgotten_requests_teach_nobody(mounts: HostMounts) -> None:
    mounts.handle(no_ring(None, request=7), 1)
    mounts.handle(RequestsForgotten(HOST, "take-over"), 2)
    mounts.handle(volume_mounted(request=7), 3)
    assert ring(mounts) is None


def test_a_tape_found_on_a_drive_has_no_ring_word(mounts: HostMounts) -> None:
    assert mounts.handle(TapeOnline(HOST, V, "$TAPE0", Label.ANSI), 1) == (V,)
    assert ring(mounts) is None


@pytest.mark.parametrize(
    "event",
    [
        TapeDismounted(HOST, None, "$TAPE0"),
        TapeOpened(HOST, None, "$TAPE0"),
        TapeOnline(HOST, None, "$TAPE0", Label.UNLABELLED),
        DeviceRequested(HOST, 7, "$TAPE0", DeviceUse.UNLABELLED),
        Unrecognised(HOST, 999, "?"),
    ],
)
def test_what_names_no_volume_is_about_none(mounts: HostMounts, event: TapeDismounted) -> None:
    assert mounts.handle(event, 1) == ()
    assert mounts == HostMounts()


def test_a_flood_does_not_fill_the_memory(mounts: HostMounts) -> None:
    for number in range(MOST_REMEMBERED + 10):
        mounts.handle(requested(f"F{number}", request=number), 1)
    for remembered in (mounts.mounts, mounts.requests, mounts.requested_ns):
        assert MOST_REMEMBERED - 100 <= len(remembered) <= MOST_REMEMBERED
    assert mounts.of(HOST, "F9") is None
    assert mounts.of(HOST, f"F{MOST_REMEMBERED + 9}") is not None


def test_old_mounts_are_forgotten(mounts: HostMounts) -> None:
    mounts.handle(requested(V), 10)
    mounts.handle(requested("X00002", request=2), 10)
    mounts.handle(tape_dismounted("X00002"), 30)
    mounts.drop_older(20)
    assert [m.volume for m in mounts.mounts.values()] == ["X00002"]
    assert list(mounts.requests) == []


# ---- several hosts, several mounts, words in another order -----------------------------------------


def told(mounts: HostMounts, host: str = HOST, volume: str = V) -> HostMount:
    found = mounts.of(host, volume)
    assert found is not None
    return found


def test_hosts_do_not_overwrite_each_other(mounts: HostMounts) -> None:
    mounts.handle(MountRequested("DEV1", 1, V, Ring.WITH_RING), 1)
    mounts.handle(MountRequested("DEV2", 1, V, Ring.NO_RING), 2)
    mounts.handle(TapeDismounted("DEV2", V, "$T"), 3)
    assert (told(mounts, "DEV1").ring, told(mounts, "DEV1").dismounted_ns) == (Ring.WITH_RING, 0)
    assert (told(mounts, "DEV2").ring, told(mounts, "DEV2").dismounted_ns) == (Ring.NO_RING, 3)


def test_a_state_of_an_earlier_release_is_read() -> None:
    """Then, mounts lay under their volumes alone, and less was known of each."""
    text = """{"requests": {}, "requested_ns": {}, "mounts": {"X00001": {
        "host": "DEV2", "volume": "X00001", "ring": "no ring", "request": 7, "drive": "$T",
        "requested_ns": 1, "mounted_ns": 2, "opened_ns": 0, "dismounted_ns": 0, "lost": false}}}"""
    read = decode(MOUNTS, text, "mounts")
    assert told(read).ring is Ring.NO_RING
    assert decode(MOUNTS, encode(MOUNTS, read), "mounts") == read


def test_a_completion_that_came_before_its_scratch_request(mounts: HostMounts) -> None:
    mounts.handle(volume_mounted(request=7), 1)
    mounts.handle(tape_dismounted(), 2)
    assert mounts.handle(no_ring(None, request=7), 3) == (V,)
    found = told(mounts)
    assert (found.ring, found.request, found.dismounted_ns) == (Ring.NO_RING, 7, 2)
    # The number is used again, long after.
    mounts.handle(requested(None, request=7), 10**15)
    assert told(mounts).ring is Ring.NO_RING


def test_a_request_that_comes_after_the_other_words_is_theirs(mounts: HostMounts) -> None:
    mounts.handle(TapeOpened(HOST, V, "$T"), 1)
    mounts.handle(tape_dismounted(), 2)
    mounts.handle(no_ring(request=7), 3)
    found = told(mounts)
    assert (found.ring, found.opened_ns, found.dismounted_ns) == (Ring.NO_RING, 1, 2)


def test_a_request_much_later_is_another_mount_s(mounts: HostMounts) -> None:
    mounts.handle(TapeOpened(HOST, V, "$T"), 1)
    mounts.handle(no_ring(request=7), 1 + LATE_NS)
    assert (told(mounts).opened_ns, told(mounts).ring) == (0, Ring.NO_RING)
    (former,) = mounts.formers_of(HOST, V)
    assert former.implied
    assert (former.opened_ns, former.ring, former.dismounted_ns) == (1, None, 1 + LATE_NS)


def test_a_mount_that_nobody_asked_for_gets_no_later_request(mounts: HostMounts) -> None:
    mounts.handle(TapeOnline(HOST, V, "$T", Label.ANSI), 1)
    mounts.handle(tape_dismounted(), 2)
    assert told(mounts).told_all
    mounts.handle(no_ring(request=7), 3)
    assert told(mounts).dismounted_ns == 0
    assert [m.ring for m in mounts.formers_of(HOST, V)] == [None]


@pytest.mark.parametrize(("later_ns", "again"), [(3599 * 10**9, False), (3601 * 10**9, True)])
def test_a_number_that_is_used_again_is_another_request(
    mounts: HostMounts, later_ns: int, *, again: bool
) -> None:
    mounts.handle(requested(request=7), 1)
    mounts.handle(volume_mounted(request=7), 2)
    mounts.handle(requested(request=7), later_ns)
    assert bool(mounts.formers_of(HOST, V)) == again


def test_an_open_request_may_be_printed_again_at_any_time(mounts: HostMounts) -> None:
    mounts.handle(requested(request=7), 1)
    assert mounts.handle(requested(request=7), 10**15) == ()
    assert told(mounts).requested_ns == 1


def test_a_completion_of_another_number_is_another_mount(mounts: HostMounts) -> None:
    """Its request was lost, so its ring is not known; the one before was with ring."""
    mounts.handle(requested(request=7), 1)
    mounts.handle(volume_mounted(request=7), 2)
    mounts.handle(tape_dismounted(), 3)
    mounts.handle(volume_mounted(request=8), 4)
    assert (told(mounts).ring, told(mounts).request) == (None, 8)


def test_a_no_ring_wish_is_not_forgotten_for_a_completion_of_another_number(
    mounts: HostMounts,
) -> None:
    mounts.handle(no_ring(request=7), 1)
    mounts.handle(volume_mounted(request=8), 2)
    assert (told(mounts).ring, told(mounts).mounted_ns) == (Ring.NO_RING, 2)


def test_a_take_over_forgets_wishes_and_not_mounts(mounts: HostMounts) -> None:
    mounts.handle(no_ring(request=7), 1)
    mounts.handle(requested("X00002", request=8), 1)
    mounts.handle(volume_mounted("X00002", request=8), 2)
    assert mounts.handle(RequestsForgotten(HOST, "take-over"), 3) == (V,)
    assert mounts.of(HOST, V) is None
    assert told(mounts, volume="X00002").ring is Ring.WITH_RING


def test_a_substitute_keeps_a_no_ring_of_its_own(mounts: HostMounts) -> None:
    mounts.handle(no_ring(V, request=1), 1)
    mounts.handle(requested("X00002", request=2), 2)
    mounts.handle(VolumeSubstituted(HOST, "X00002", V), 3)
    assert ring(mounts) is Ring.NO_RING
    assert mounts.of(HOST, "X00002") is None


def test_a_volume_that_is_passed_over_is_not_mounted(mounts: HostMounts) -> None:
    mounts.handle(requested(), 1)
    assert mounts.handle(VolumePassedOver(HOST, V), 2) == (V,)
    assert mounts.of(HOST, V) is None
    assert mounts.handle(VolumePassedOver(HOST, V), 3) == ()


def test_a_failed_dismount_of_nothing_known_says_nothing(mounts: HostMounts) -> None:
    assert mounts.handle(DismountFailed(HOST, V), 1) == ()
    mounts.handle(requested(), 1)
    assert mounts.handle(DismountFailed(HOST, V), 2) == ()


def test_a_forged_volume_cannot_be_a_drive_s_tape(mounts: HostMounts) -> None:
    whole = "/VAULT00/NL/T00001"
    for event in (requested(whole), volume_mounted(whole), tape_dismounted(whole)):
        mounts.handle(event, 1)
    assert mounts.mounts == {}


def test_only_a_few_mounts_that_are_over_are_remembered(mounts: HostMounts) -> None:
    for request in range(20):
        mounts.handle(requested(request=request), request * LATE_NS)
        mounts.handle(volume_mounted(request=request), request * LATE_NS)
    assert [m.request for m in mounts.formers_of(HOST, V)] == [15, 16, 17, 18]
    mounts.drop_older(18 * LATE_NS)
    assert len(mounts.formers_of(HOST, V)) == 4
    mounts.drop_older(30 * LATE_NS)
    assert mounts.formers_of(HOST, V) == ()


def test_a_request_is_live_when_the_link_has_been_up_for_long(mounts: HostMounts) -> None:
    mounts.handle(requested("A", request=1), 1)
    mounts.handle(LinkUp(HOST), 10)
    mounts.handle(requested("B", request=2), 10 + LATE_NS)
    mounts.handle(requested("C", request=3), 11 + LATE_NS)
    mounts.handle(EventsMissed(HOST, "burst"), 12 + LATE_NS)
    mounts.handle(requested("D", request=4), 13 + LATE_NS)
    mounts.handle(link_lost(), 14 + LATE_NS)
    mounts.handle(requested("E", request=5), 9 * LATE_NS)
    assert [told(mounts, volume=v).live for v in "ABCDE"] == [False, False, True, False, False]
