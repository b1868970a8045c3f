"""Recorded histories: sessions as terminal logs have them, and lines of JSON."""

import json
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    MountRequested,
    PolicyCommand,
    SetAside,
    TapeDismounted,
    Unrecognised,
)
from copyagent.core.host_report import event_document
from copyagent.core.journal import Journal
from copyagent.core.time import Moment
from copyagent.core.timeline import Instant
from copyagent.ems.lines import parse_event
from copyagent.ems.recording import Recording, read_recording
from copyagent.ems.tape_events import read_host_event
from vtsfs.contract.errors import UsageError
from vtsfs.contract.signals import Kind, Signal

MOUNT = (
    "06-09-14 22:00:01 \\DEV2.$ZSVR  TANDEM.TAPE.G06  000600 $ZSVR: 0042 MOUNT\r\n"
    "        X00001 ON $VTAPE0 WITH RING NIGHTLY\r\n"
)
DISMOUNT = (
    "06-09-14 22:01:00 \\DEV2.$ZSVR  TANDEM.TAPE.G06  000659 STATUS 1512 - X00001 TAPE\r\n"
    "        DISMOUNTED FROM DRIVE $VTAPE0\r\n"
)
SIGNAL = Signal(Kind.RECEIVED, "VAULT00", "BILL", "X00001", "boot", 17, 0, None)


def read(text: str, zone: ZoneInfo | None = None) -> Recording:
    return read_recording(text.encode("latin-1"), "case", "DEV2", zone)


def kinds(recording: Recording) -> list[type]:
    return [type(event) for _, event in recording.happened]


def seconds(count: float) -> Instant:
    return Instant(round(count * 1e9), dated=False)


def test_marks_tell_when_what_follows_has_come() -> None:
    recording = read(f"@ 0\n{MOUNT}@ 59.5\n{DISMOUNT}{MOUNT}")
    assert kinds(recording) == [MountRequested, TapeDismounted, MountRequested]
    assert [at for at, _ in recording.happened] == [seconds(0), seconds(59.5), seconds(59.5)]


def test_without_marks_the_hosts_clock_tells() -> None:
    recording = read(MOUNT + DISMOUNT, ZoneInfo("Europe/Berlin"))
    first, second = (at for at, _ in recording.happened)
    assert first is not None
    assert second is not None
    assert first.dated
    assert second.ns - first.ns == 59 * 10**9


def test_it_is_known_whose_clock_it_is() -> None:
    assert read(MOUNT).guessed
    assert not read(f"@ 0\n{MOUNT}").guessed
    assert read(f"{MOUNT}@ 5\n{DISMOUNT}").guessed


def test_bytes_caught_on_their_way_and_a_terminals_colours_are_no_text() -> None:
    caught = b"\xff\xfb\x01" + MOUNT.replace("X00001", "X00\x1b[1;31m001\x1b[0m").encode()
    recording = read_recording(caught, "case", "DEV2", None)
    assert kinds(recording) == [MountRequested]
    assert recording.garbage == []


def test_a_mark_can_say_what_happened_to_the_link() -> None:
    recording = read("@ 1 link up\n@ 2 link lost, the router\n@ 3 gap in the log\n")
    assert kinds(recording) == [LinkUp, LinkLost, EventsMissed]


def test_what_is_not_about_tapes_is_counted() -> None:
    other = "06-09-14 22:00:04 \\DEV2.$FTI1  TANDEM.MHS.G01  000023 OSI resource problem\n"
    recording = read(f"WELCOME\nTACL 1> EMSDIST\n{other}{other}{MOUNT}")
    assert recording.others == {"MHS": 2}
    assert recording.garbage == ["WELCOME", "TACL 1> EMSDIST"]
    assert recording.garbage_count == 2
    assert kinds(recording) == [MountRequested]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("@ noon\n", "case:1: 'noon' is neither seconds nor a date"),
        (f"{MOUNT}@ 1 coffee\n", "case:3: after a time can stand"),
        (
            '{"kind": 5}\n',
            "case:1: neither an event nor a signal in JSON: the key 'host' is missing",
        ),
        ('\n{"signal": {}}\n', "case:2: neither an event nor a signal"),
        ('{"at": "x", "signal": {}}\n', "case:1: 'x' is neither"),
        ("{\n", "case:1: neither"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(text)
    assert str(raised.value).startswith(told)


def test_a_session_has_to_be_somebodys() -> None:
    with pytest.raises(UsageError, match="--host"):
        read_recording(MOUNT.encode(), "case", None, None)


def test_signals_are_read_in_the_feeds_encoding() -> None:
    dated = json.dumps({"at": 12.5, "signal": json.loads(SIGNAL.to_json())})
    undated = json.dumps({"signal": json.loads(SIGNAL.to_json())})
    recording = read(f"{dated}\n\n{undated}\n")
    assert recording.happened == [(seconds(12.5), SIGNAL), (Instant(17, dated=True), SIGNAL)]


def heard(text: str) -> HostEvent:
    event = parse_event(text)
    assert event is not None
    found = read_host_event("DEV2", event)
    assert found is not None
    return found


def test_what_the_events_command_prints_can_be_read_again() -> None:
    policy = '06-09-14 22:00:01 \\DEV2.$X EXT.1.A 001234 VTSPolicy IDR "/VAULT00/BILL s=TAPESRV1"'
    unknown = "06-09-14 22:00:01 \\DEV2.$ZSVR TANDEM.TAPE.G06 000699 WHO KNOWS"
    told = [
        LinkUp("DEV2"),
        CaughtUp("DEV2"),
        heard(MOUNT),
        heard(policy),
        heard(unknown),
        SetAside("DEV2", "a replay brought it again", printed=heard(DISMOUNT).printed),
        EventsMissed("DEV2", "events may be missing"),
        heard(DISMOUNT),
        LinkLost("DEV2", "connection lost", LinkTrouble.DISCONNECTED),
    ]
    journal = Journal()
    for event in told:
        journal.add(event, [], Moment(0.0, 1_795_369_483_120_000_000))
    lines = [json.dumps(event_document(entry, None)) for entry in journal.entries]
    recording = read_recording("\n".join(lines).encode(), "case", None, None)
    assert kinds(recording) == [type(event) for event in told]
    assert PolicyCommand in kinds(recording)
    assert Unrecognised in kinds(recording)
    again = [event for _, event in recording.happened]
    assert again[2] == told[2]
    assert again[7] == told[7]
    assert {at for at, _ in recording.happened} == {Instant(1_795_369_483_120_000_000, dated=True)}


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read(text)
    except UsageError:
        return


@pytest.mark.parametrize("ssid", ["(not shown)", "", "X"])
def test_a_subsystem_that_was_taken_out_or_is_none_is_no_error(ssid: str) -> None:
    found = {
        "at": 1.0,
        "host": "DEV2",
        "kind": "tape dismounted",
        "node": "\\DEV2",
        "printed_at": "06-09-14 22:00:01",
        "process": "$ZSVR",
        "ssid": ssid,
        "event": 659,
        "critical": False,
        "text": "STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $T",
    }
    assert kinds(read(json.dumps(found))) == [TapeDismounted]
    assert kinds(read(json.dumps(found | {"process": "$Z1"}))) == []
