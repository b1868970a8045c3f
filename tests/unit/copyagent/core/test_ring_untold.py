"""Mounts of which no ring is told: jobs without labels, and tapes that nobody asked for."""

from typing import Any

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.host_events import (
    DeviceAccepted,
    DeviceRequested,
    DeviceUse,
    HostEvent,
    LabelType,
    RequestEnded,
    RequestOutcome,
    TapeDismounted,
    TapeOnline,
    TapeOpened,
)
from copyagent.core.tape import Clean, Copied
from tests.support.histories import (
    HOST,
    TAPE,
    Overlay,
    done,
    link_lost,
    make_engine,
    no_ring,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

SETTLE, GRACE = 2.0, 30.0
DAY = 86400.0


def host(**changes: Any) -> dict[str, Any]:
    return {"address": "dev", "user": "U.U", "password_file": "/etc/dev", "lost_after": "0s"} | (
        changes
    )


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


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
