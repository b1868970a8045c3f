"""Every kind of host event has words of its own."""

from dataclasses import replace

import pytest

from copyagent.core import host_events as he
from copyagent.core.readings import fields_of, in_words, kind_of, volumes_in

DISCONNECTED = he.LinkTrouble.DISCONNECTED

READINGS: list[tuple[he.HostEvent, str, str]] = [
    (
        he.MountRequested("DEV2", 42, "X00001", he.Ring.WITH_RING),
        "mount requested",
        "mount of X00001 asked for WITH RING (request 42)",
    ),
    (
        he.MountRequested("DEV2", 42, "X00001", he.Ring.NO_RING, "$TAPE0", he.LabelType.IBM),
        "mount requested",
        "mount of X00001 asked for on $TAPE0 NO RING, IBM label (request 42)",
    ),
    (
        he.MountRequested("DEV2", 43, None, he.Ring.WITH_RING, scratch=True),
        "mount requested",
        "mount of a scratch tape asked for WITH RING (request 43)",
    ),
    (
        he.MountRequested("DEV2", 43, "X00009", he.Ring.WITH_RING, scratch=True),
        "mount requested",
        "mount of scratch tape X00009 asked for WITH RING (request 43)",
    ),
    (
        he.MountRequested(
            "DEV2", None, "X00001", he.Ring.NO_RING, label_type=he.LabelType.ESM, alias="X00001LONG"
        ),
        "mount requested",
        "mount of X00001 asked for NO RING, ESM label, alias X00001LONG",
    ),
    (
        he.DeviceRequested("DEV2", 4, "$TAPE", he.DeviceUse.UNLABELLED),
        "device requested",
        "$TAPE asked for: unlabelled tape (request 4)",
    ),
    (he.VolumeMounted("DEV2", 42, "X00001"), "volume mounted", "X00001 mounted (request 42)"),
    (
        he.DeviceAccepted("DEV2", 4, "$TAPE"),
        "device accepted",
        "$TAPE given by the operator (request 4)",
    ),
    (
        he.RequestEnded("DEV2", 7, "X00001", he.RequestOutcome.REJECTED),
        "request ended",
        "request of X00001 rejected (request 7)",
    ),
    (
        he.RequestEnded("DEV2", 7, None, he.RequestOutcome.CANCELLED),
        "request ended",
        "request cancelled (request 7)",
    ),
    (he.TapeOpened("DEV2", "X00001", "$TAPE"), "tape opened", "X00001 opened on $TAPE"),
    (he.TapeOpened("DEV2", None, "$TAPE"), "tape opened", "a tape without a label opened on $TAPE"),
    (
        he.TapeInUse("DEV2", "X00001", "$TAPE", "3,141"),
        "tape in use",
        "X00001 on $TAPE in use by 3,141",
    ),
    (
        he.TapeDismounted("DEV2", "X00001", "$TAPE"),
        "tape dismounted",
        "X00001 dismounted from $TAPE",
    ),
    (
        he.TapeDismounted("DEV2", None, None),
        "tape dismounted",
        "a tape without a label dismounted",
    ),
    (
        he.TapeOnline("DEV2", "X00001", "$TAPE", he.LabelType.ANSI),
        "tape online",
        "X00001 found on $TAPE, not asked for",
    ),
    (
        he.VolumeSubstituted("DEV2", "X00001", "X00002"),
        "volume substituted",
        "X00002 used in place of X00001",
    ),
    (
        he.RequestsForgotten("DEV2", "TAKEOVER BY BACKUP $ZSVR"),
        "requests forgotten",
        "the tape server has lost its open requests",
    ),
    (
        he.TapeNotice("DEV2", "ERROR", 3, "WRONG TAPE"),
        "tape notice",
        "error 3 of the tape server, decides nothing",
    ),
    (
        he.TapeRefused("DEV2", "X00002", "$TAPE", "X00001"),
        "tape refused",
        "X00002 on $TAPE refused and unloaded, X00001 is wanted",
    ),
    (
        he.TapeRefused("DEV2", None),
        "tape refused",
        "a tape without a label refused and unloaded",
    ),
    (
        he.VolumePassedOver("DEV2", "X00001"),
        "volume passed over",
        "X00001 cannot be used, another tape is going to be asked for",
    ),
    (he.DismountFailed("DEV2", "X00001"), "dismount failed", "X00001 could not be dismounted"),
    (
        he.PolicyCommand("DEV2", 'VTSPolicy IDR "/VAULT00/BILL"'),
        "policy command",
        "VTSPolicy command",
    ),
    (he.Unrecognised("DEV2", 699, "WHAT IS THIS"), "unrecognised", "not understood"),
    (he.SetAside("DEV2", "heard before"), "set aside", "set aside: heard before"),
    (he.LinkUp("DEV2"), "link up", "the link is up"),
    (he.CaughtUp("DEV2"), "caught up", "nothing was missed while the link was down"),
    (he.OthersHeard("DEV2", 7), "others heard", "7 events of other subsystems"),
    (
        he.EventsMissed("DEV2", "the log has rolled over"),
        "events missed",
        "events may be missing: the log has rolled over",
    ),
    (
        he.LinkLost("DEV2", "EMS link to DEV2: connection lost. Try.", DISCONNECTED),
        "link lost",
        "connection lost. Try.",
    ),
    (he.LoginRefused("DEV2", "EMS link to DEV2: no"), "login refused", "no"),
]


@pytest.mark.parametrize(("event", "kind", "words"), READINGS, ids=lambda value: str(value)[:40])
def test_an_event_in_words(event: he.HostEvent, kind: str, words: str) -> None:
    assert (kind_of(event), in_words(event)) == (kind, words)


def test_no_kind_of_event_is_without_words() -> None:
    kinds = {
        name
        for name, kind in vars(he).items()
        if isinstance(kind, type) and issubclass(kind, he.HostEvent)
    }
    assert {type(event).__name__ for event, _, _ in READINGS} == kinds - {"HostEvent"}


def test_the_fields_are_those_that_were_read() -> None:
    event = he.MountRequested("DEV2", 42, "X00001", he.Ring.NO_RING, node="\\DEV2", printed_at="x")
    expected = {"request": 42, "volume": "X00001", "ring": "no ring", "label_type": "ANSI"}
    assert fields_of(event) == expected
    assert fields_of(replace(event, scratch=True)) == expected | {"scratch": True}


def test_the_volumes_of_an_event() -> None:
    assert volumes_in(he.VolumeSubstituted("DEV2", "X00001", "X00002")) == ("X00001", "X00002")
    assert volumes_in(he.LinkUp("DEV2")) == ()
    assert volumes_in(he.TapeDismounted("DEV2", None, "$TAPE")) == ()
