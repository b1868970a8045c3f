"""Which tape a host means: several hosts, labels that two tapes have, drives without labels."""

from typing import Any

import pytest

from copyagent.core import operator
from copyagent.core.book import Book
from copyagent.core.commands import StartCopy, StopCopy
from copyagent.core.copying import HoldReason
from copyagent.core.engine import Engine
from copyagent.core.events import WakeupDue
from copyagent.core.host_events import (
    DeviceAccepted,
    DeviceRequested,
    DeviceUse,
    HostEvent,
    LabelType,
    MountRequested,
    RequestEnded,
    RequestOutcome,
    Ring,
    TapeDismounted,
    TapeOnline,
    TapeOpened,
    VolumeMounted,
)
from copyagent.core.report import explain, state_words
from copyagent.core.tape import Clean, Copied, Held
from tests.support.histories import (
    HOST,
    TAPE,
    TARGET,
    TWIN,
    UNWATCHED,
    Overlay,
    done,
    link_lost,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook, copied_once
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings

FIRST, OTHER = "DEV1", "DEV2"
HERE = TapeId.parse("/VAULT00/BILL/X00001")
THERE = TapeId.parse("/VAULT01/BILL/X00001")
SETTLE, GRACE = 2.0, 30.0
DAY = 86400.0


def host(**changes: Any) -> dict[str, Any]:
    return {"address": "dev", "user": "U.U", "password_file": "/etc/dev", "lost_after": "0s"} | (
        changes
    )


def two_vaults(hosts: dict[str, dict[str, Any]], **cross_check: str) -> Playbook:
    """Two vaults, in each a watched pool BILL."""
    names = ("VAULT00", "VAULT01")
    target = {"host": "dr", "user": "vts", "key": "/k", "known_hosts": "/h",
              "vaults": {name: f"/{name}" for name in names}}  # fmt: skip
    pools = [{"pool": f"/{name}/BILL", "target": TARGET, "target_pool": f"/{name}/BILL"}
             for name in names]  # fmt: skip
    data = {
        "system": {"name": "TAPESRV1"},
        "vaults": {name: {"backing": f"/b/{name}", "mountpoint": f"/{name}"} for name in names},
        "targets": {TARGET: target},
        "autocopy": pools,
        "ems": {"hosts": hosts},
        "cross_check": cross_check,
    }
    return Playbook(Engine(Book(Settings.model_validate(data))))


@pytest.fixture
def here() -> Overlay:
    return Overlay("VAULT00", outbox_id="outbox-here")


@pytest.fixture
def there() -> Overlay:
    return Overlay("VAULT01", outbox_id="outbox-there")


def asked(by: str, ring: Ring = Ring.WITH_RING, request: int = 1) -> list[HostEvent]:
    return [MountRequested(by, request, "X00001", ring), VolumeMounted(by, request, "X00001")]


# ---- several hosts -------------------------------------------------------------------------------


def test_two_hosts_with_vaults_of_their_own_use_one_label_for_two_tapes(
    here: Overlay, there: Overlay
) -> None:
    hosts = {FIRST: host(vaults=["VAULT00"]), OTHER: host(vaults=["VAULT01"])}
    with two_vaults(hosts) as play:
        for event in (*asked(FIRST), *asked(OTHER, Ring.NO_RING)):
            play >> event
        play >> here.mounted(HERE) >> there.mounted(THERE)
        play >> there.dismounted(THERE, wrote=0) >> TapeDismounted(OTHER, "X00001", "$T")
        play.wait(10.0)
        assert play.verdict(THERE) == "agreed, read only"
        play >> here.dismounted(HERE)
        play.wait(600.0)
        assert play.verdict(HERE) == ""
        play >> TapeDismounted(FIRST, "X00001", "$T") << StartCopy
        assert play.verdict(HERE) == "agreed"
        assert play.job.tape == HERE
    assert play.times_said(messages.LABEL_TWICE) == 0


@pytest.mark.parametrize("first", [FIRST, OTHER])
def test_of_two_hosts_that_name_one_tape_the_careful_word_counts(here: Overlay, first: str) -> None:
    second = OTHER if first == FIRST else FIRST
    with two_vaults({FIRST: host(), OTHER: host()}) as play:
        play >> here.mounted(HERE)
        for event in (*asked(first), TapeDismounted(first, "X00001", "$T")):
            play >> event
        play >> MountRequested(second, 9, "X00001", Ring.NO_RING) >> here.dismounted(HERE)
        play.wait(DAY)
        assert play.verdict(HERE) == "conflict"
        assert isinstance(play.state(HERE), Held)


def test_a_host_that_uses_a_tape_counts_before_one_that_is_done_with_one_of_its_name(
    here: Overlay,
) -> None:
    with two_vaults({FIRST: host(), OTHER: host()}) as play:
        for event in (*asked(FIRST), *asked(OTHER)):
            play >> event
        play >> here.mounted(HERE) >> here.dismounted(HERE) >> TapeDismounted(OTHER, "X00001", "$T")
        play.wait(3600.0)
        assert play.verdict(HERE) == ""
        play >> TapeDismounted(FIRST, "X00001", "$T") << StartCopy
        assert play.verdict(HERE) == "agreed"


def test_a_mere_wish_of_another_host_does_not_keep_a_tape_from_being_copied(here: Overlay) -> None:
    with two_vaults({FIRST: host(), OTHER: host()}) as play:
        play >> MountRequested(OTHER, 1, "X00001", Ring.WITH_RING)
        for event in asked(FIRST):
            play >> event
        play >> here.mounted(HERE) >> here.dismounted(HERE) >> TapeDismounted(FIRST, "X00001", "$T")
        play.wait(SETTLE) << StartCopy


# ---- labels that two tapes have ------------------------------------------------------------------


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


def held_for_its_label(play: Playbook, tape: TapeId = TAPE) -> bool:
    state = play.state(tape)
    return isinstance(state, Held) and state.reason is HoldReason.LABEL_TWICE


@pytest.mark.parametrize("wrote", [0, 4096])
def test_a_tape_is_held_when_the_host_names_only_its_label_and_another_has_it(
    play: Playbook, overlay: Overlay, wrote: int
) -> None:
    with play:
        overlay.write(TWIN)
        play >> overlay.changed(TWIN)
        play.wait(SETTLE) << StartCopy
        play >> done(play.job)
        overlay.write(TAPE)
        play >> requested() >> overlay.mounted() >> volume_mounted()
        play >> overlay.dismounted(wrote=wrote) >> tape_dismounted()
        play.wait(600.0)
        assert held_for_its_label(play)
        assert not play.record().protected
        assert isinstance(play.state(TWIN), Copied)
        state = play.state()
        assert isinstance(state, Held)
        assert state.detail == str(TWIN)
        words = state_words(play.engine.book, play.record(), play.copy(), play.now)
        assert words == "held (label twice here)"
        shown = explain(play.engine, TAPE, play.now)["copies"][0]["next"]
        assert f"copyagent release {TAPE}" in shown
        operator.release(play.engine.book, TAPE, "it is this one", "root", play.now)
        play >> WakeupDue() << StartCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.LABEL_TWICE) == 1


def test_an_alarm_for_one_label_comes_once_an_hour(play: Playbook, overlay: Overlay) -> None:
    overlay.write(TWIN)
    play >> overlay.changed(TWIN)
    play.wait(SETTLE) << StartCopy
    play >> done(play.job)
    for request in range(2, 12):
        play >> requested(request=request) >> volume_mounted(request=request)
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play >> tape_dismounted()
        play.open.clear()
        play.wait(60.0)
        assert held_for_its_label(play)
        assert held_for_its_label(play, TWIN)
    assert play.times_said(messages.LABEL_TWICE) == 1


def test_a_no_ring_counts_for_both_tapes_of_its_label(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring() >> volume_mounted() >> overlay.mounted() >> overlay.mounted(TWIN)
        play >> overlay.dismounted() >> overlay.dismounted(TWIN) >> tape_dismounted()
        play.wait(DAY)
        assert play.jobs == []
        assert [play.verdict(tape) for tape in (TAPE, TWIN)] == ["conflict", "conflict"]
        assert all(isinstance(play.state(tape), Held) for tape in (TAPE, TWIN))


def test_a_no_ring_stops_the_running_copies_of_both(play: Playbook, overlay: Overlay) -> None:
    with play:
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(GRACE) << StartCopy << StartCopy
        play >> no_ring() << StopCopy << StopCopy
        assert not any(play.engine.may_publish(t, TARGET, 1) for t in (TAPE, TWIN))


def test_where_the_host_is_silent_two_tapes_of_one_label_are_copied(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(GRACE) << StartCopy << StartCopy
        assert play.verdict(TWIN) == "overlay only"
    assert play.times_said(messages.LABEL_TWICE) == 0


def test_a_late_word_of_the_host_does_not_hold_what_was_published(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(GRACE) << StartCopy << StartCopy
        for job in play.jobs[-2:]:
            play >> done(job)
        play >> requested() >> volume_mounted() >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(play.state(), Copied)
        assert isinstance(play.state(TWIN), Copied)


def test_a_tape_that_is_gone_is_no_rival(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_once(play, overlay, TWIN)
        play >> overlay.removed(TWIN)
        copied_once(play, overlay, TAPE)
    assert play.times_said(messages.LABEL_TWICE) == 0


def test_a_tape_of_an_unwatched_pool_is_a_rival_until_it_is_gone(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        overlay.write(UNWATCHED)
        play >> overlay.mounted(UNWATCHED)
        play >> requested() >> overlay.mounted() >> volume_mounted()
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(600.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.detail == str(UNWATCHED)
        play >> overlay.dismounted(UNWATCHED) >> overlay.removed(UNWATCHED)
        play >> requested(request=2) >> overlay.mounted() >> volume_mounted(request=2)
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(SETTLE) << StartCopy


def test_vaults_of_a_host_settle_which_tape_it_means(here: Overlay, there: Overlay) -> None:
    with two_vaults({FIRST: host(vaults=["VAULT00"])}) as play:
        play >> there.changed(THERE)
        play.wait(SETTLE) << StartCopy
        for event in asked(FIRST):
            play >> event
        play >> here.mounted(HERE) >> here.dismounted(HERE) >> TapeDismounted(FIRST, "X00001", "$T")
        play.wait(SETTLE) << StartCopy
        assert play.verdict(HERE) == "agreed"


def test_the_settings_can_say_copy(overlay: Overlay) -> None:
    with Playbook(make_engine(cross_check={"label_twice": "copy"})) as play:
        copied_once(play, overlay, TWIN)
        copied_once(play, overlay, TAPE)


# ---- jobs without labels -------------------------------------------------------------------------

NL = TapeId.parse("/VAULT00/NL/T00001")


def with_drives(**drives: str) -> Playbook:
    mapped = drives or {"$VTAPE1": str(NL)}
    pools = ("BILL", "NL")
    return Playbook(make_engine(pools=pools, ems={"hosts": {HOST: host(drives=mapped)}}))


def job_on(drive: str, use: DeviceUse = DeviceUse.UNLABELLED) -> list[HostEvent]:
    return [DeviceRequested(HOST, 5, drive, use), DeviceAccepted(HOST, 5, drive),
            TapeOpened(HOST, None, drive)]  # fmt: skip


@pytest.mark.parametrize("use", [DeviceUse.UNLABELLED, DeviceUse.BYPASS_LABELS])
@pytest.mark.parametrize("drive", ["$VTAPE1", "$vtape1", r"\DEV2.$VTAPE1"])
def test_a_drive_that_stands_for_a_tape_tells_when_the_host_has_it_and_is_done(
    overlay: Overlay, drive: str, use: DeviceUse
) -> None:
    with with_drives() as play:
        for event in job_on(drive, use):
            play >> event
        for _ in range(2):
            play >> overlay.mounted(NL) >> overlay.dismounted(NL)
            play.wait(3600.0)
        assert play.verdict(NL) == ""
        play >> TapeDismounted(HOST, None, drive) << StartCopy
        assert play.verdict(NL) == "agreed, ring not told"
    assert play.times_said(messages.OVERLAY_ONLY) == 0


@pytest.mark.parametrize(
    ("mapped", "printed", "fits"),
    [
        ("$VTAPE1", "$VTAPE2", False),
        (r"\DEV2.$VTAPE1", "$VTAPE1", False),
        (r"\dev2.$vtape1", r"\DEV2.$VTAPE1", True),
        (r"\DEV2.$VTAPE1", r"\DEV3.$VTAPE1", False),
        ("$VTAPE1", r"\DEV3.$VTAPE1", True),
    ],
)
def test_which_drives_are_the_same(mapped: str, printed: str, *, fits: bool) -> None:
    meant = with_drives(**{mapped: str(NL)}).engine.judge.meant
    found = meant.tape_on(TapeOpened(HOST, None, printed))
    assert found == (str(NL) if fits else None)


def test_a_drive_without_its_node_is_the_node_s_that_the_event_came_from() -> None:
    meant = with_drives(**{r"\DEV2.$VTAPE1": str(NL)}).engine.judge.meant
    assert meant.tape_on(TapeOpened(HOST, None, "$VTAPE1", node=r"\DEV2")) == str(NL)
    assert meant.tape_on(TapeOpened(HOST, None, "$VTAPE1", node=r"\DEV3")) is None
    assert meant.tape_on(TapeOpened("DEV9", None, r"\DEV2.$VTAPE1")) is None


def test_an_unlabelled_job_that_wrote_nothing_leads_to_no_copy(overlay: Overlay) -> None:
    with with_drives() as play:
        overlay.write(NL)
        for event in job_on("$VTAPE1"):
            play >> event
        play >> overlay.swept(play.now.mono)
        play >> overlay.mounted(NL) >> overlay.dismounted(NL, wrote=0)
        play >> TapeDismounted(HOST, None, "$VTAPE1")
        play.wait(600.0)
        assert play.verdict(NL) == "unconfirmed, unchanged"
        # Nobody said with ring: that the overlay saw nothing is no alarm.
        for event in (*job_on("$VTAPE1"), TapeDismounted(HOST, None, "$VTAPE1")):
            play >> event
        play.wait(600.0)
        assert play.verdict(NL) == "unconfirmed, unchanged"
    assert play.times_said(messages.NOT_COVERED) == 0


def test_a_refused_job_has_no_tape(overlay: Overlay) -> None:
    with with_drives() as play:
        play >> DeviceRequested(HOST, 5, "$VTAPE1", DeviceUse.UNLABELLED)
        play >> RequestEnded(HOST, 5, None, RequestOutcome.REJECTED, "$VTAPE1")
        play >> overlay.mounted(NL) >> overlay.dismounted(NL)
        play.wait(GRACE) << StartCopy
        assert play.verdict(NL) == "overlay only"


def test_an_unknown_tape_is_a_question_not_a_mount(overlay: Overlay) -> None:
    with with_drives() as play:
        play >> DeviceRequested(HOST, 5, "$VTAPE1", DeviceUse.UNKNOWN_TAPE)
        play >> overlay.mounted(NL) >> overlay.dismounted(NL)
        play.wait(GRACE) << StartCopy


def test_a_job_without_a_label_never_lifts_a_no_ring(overlay: Overlay) -> None:
    """The drive stands for a tape that the host also asks for by its label."""
    with with_drives(**{"$VTAPE1": str(TAPE)}) as play:
        play >> no_ring() >> volume_mounted()
        for event in job_on("$VTAPE1", DeviceUse.BYPASS_LABELS):
            play >> event
        play >> overlay.mounted() >> overlay.dismounted()
        play >> TapeDismounted(HOST, None, "$VTAPE1")
        play.wait(DAY)
        assert play.jobs == []
        assert play.verdict() == "conflict"


def test_without_a_map_a_job_without_a_label_is_silence(play: Playbook, overlay: Overlay) -> None:
    with play:
        for event in (*job_on("$VTAPE1"), TapeDismounted(HOST, None, "$VTAPE1")):
            play >> event
        assert play.engine.links.state[HOST].events == 4
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(GRACE) << StartCopy
        assert play.verdict() == "overlay only"


# ---- mounts that nobody asked for ----------------------------------------------------------------


def test_a_tape_mounted_by_hand_is_copied_when_the_host_is_done(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> TapeOnline(HOST, TAPE.label, "$TAPE0", LabelType.ANSI) >> overlay.mounted()
        play >> TapeOpened(HOST, TAPE.label, "$TAPE0") >> overlay.dismounted()
        play.wait(3600.0)
        assert play.verdict() == ""
        play >> tape_dismounted() << StartCopy
        assert play.verdict() == "agreed, ring not told"
        play >> done(play.job)
        # It is read the next day, or at once: that is another mount.
        play >> no_ring() >> volume_mounted() >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.OVERLAY_ONLY) == 0
    assert play.times_said(messages.LATE_NO_RING) == 0


def test_a_tape_mounted_by_hand_and_only_read_is_left_alone(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        overlay.write(TAPE)
        play >> overlay.swept(play.now.mono)
        play >> TapeOnline(HOST, TAPE.label, "$TAPE0", LabelType.ANSI) >> overlay.mounted()
        play >> overlay.dismounted(wrote=0) >> tape_dismounted()
        play.wait(600.0)
        assert play.verdict() == "unconfirmed, unchanged"


def test_a_mount_whose_request_is_missing_is_waited_for_while_the_host_has_the_tape(
    play: Playbook, overlay: Overlay
) -> None:
    """The request may be missing: after the dismount it gets its time, then the overlay decides."""
    with play:
        play >> volume_mounted() >> overlay.mounted() >> overlay.dismounted()
        play.wait(3600.0)
        assert play.verdict() == ""
        play >> tape_dismounted() << StartCopy
        assert play.verdict() == "overlay only"
    assert play.times_said(messages.OVERLAY_ONLY) == 1
    assert "did not say" in next(
        s.fields["detail"] for s in play.said if s.message is messages.OVERLAY_ONLY
    )


def test_a_lost_link_ends_the_waiting_for_a_mount_whose_request_is_missing(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> volume_mounted() >> overlay.mounted() >> overlay.dismounted()
        play.wait(3600.0)
        play >> link_lost() << StartCopy
        assert play.verdict() == "overlay only"


def test_where_no_host_is_asked_nothing_is_waited_for(overlay: Overlay) -> None:
    with Playbook(make_engine(ems={"required": False})) as play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(SETTLE) << StartCopy
        play >> done(play.job)
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(SETTLE)
        assert play.state() != Clean()
        assert play.verdict() == "unconfirmed, unchanged"
    assert play.times_said(messages.OVERLAY_ONLY) == 0


@pytest.mark.parametrize("volume", ["/", "//", "/VAULT00/BILL/X00001", "/VAULT00/../X", "a/b"])
def test_whatever_a_host_prints_for_a_volume_is_taken(play: Playbook, volume: str) -> None:
    with play:
        play >> requested(volume) >> volume_mounted(volume) >> tape_dismounted(volume)
    assert play.engine.book.mounts.mounts == {}


def test_mounts_of_other_machines_tapes_are_not_kept_for_long(play: Playbook) -> None:
    with play:
        play >> requested("OPEN")
        for request in range(2, 2000):
            name = f"V{request}"
            play >> requested(name, request=request) >> volume_mounted(name, request=request)
            play >> tape_dismounted(name)
    mounts = play.engine.book.mounts
    assert mounts.of(HOST, "OPEN") is not None
    assert mounts.of(HOST, "V1999") is not None
    assert len(mounts.mounts) < 500
