"""What ``copyagent events --json`` prints, version 1: keys are added, never changed.

What was recorded with one release is played again with another.
"""

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from copyagent.core.host_events import (
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    MountRequested,
    Printed,
    Ring,
)
from copyagent.core.host_report import event_document
from copyagent.core.journal import Journal
from copyagent.core.time import Moment
from copyagent.ems.recording import read_recording

HERE = Path(__file__).parent
PRINTED = Printed("$ZSVR", "TANDEM.TAPE.G06", 600, "$ZSVR: 0042 MOUNT X00001 ON $VTAPE0 WITH RING")
EVENTS: dict[str, tuple[HostEvent, tuple[str, ...]]] = {
    "event-mount.json": (
        MountRequested(
            "DEV2",
            42,
            "X00001",
            Ring.WITH_RING,
            "$VTAPE0",
            node="\\DEV2",
            printed_at="06-09-14 22:00:01",
            printed=PRINTED,
        ),
        ("/VAULT00/BILL/X00001",),
    ),
    "event-link-up.json": (LinkUp("DEV2"), ()),
    "event-link-lost.json": (
        LinkLost("DEV2", "EMS link to DEV2: connection lost. Wait.", LinkTrouble.DISCONNECTED),
        (),
    ),
}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_written_as_ever(name: str) -> None:
    event, tapes = EVENTS[name]
    journal = Journal()
    journal.add(event, tapes, Moment(0.0, 1_795_369_483_120_000_000))
    document = event_document(journal.entries[0], ZoneInfo("Europe/Berlin"))
    pinned = json.loads((HERE / name).read_text(encoding="ascii"))
    # The reading is for people: its words may get better.
    assert {key: document[key] for key in pinned} == pinned | {"reading": document["reading"]}


@pytest.mark.parametrize("name", EVENTS)
def test_events_are_read_as_ever(name: str) -> None:
    ((at, event),) = read_recording((HERE / name).read_bytes(), name, None, None).happened
    assert at is not None
    assert at.ns == 1_795_369_483_120_000_000
    assert type(event) is type(EVENTS[name][0])
    assert event == EVENTS[name][0]
