from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import (
    DeviceRequested,
    DeviceUse,
    HostEvent,
    LabelType,
    MountRequested,
    PolicyCommand,
    RequestEnded,
    RequestOutcome,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeInUse,
    TapeNotice,
    TapeOnline,
    TapeOpened,
    Unrecognised,
)
from copyagent.ems.lines import EmsEvent
from copyagent.ems.tape_events import read_host_event
from copyagent.ems.tape_templates import RING_OF_NUMBER
from tests.support.ems_cases import printed_cases
from tests.support.ems_templates import HOST, Case


def read(
    text: str, number: int = 600, *, process: str = "$ZSVR", ssid: str = "TANDEM.TAPE.G06"
) -> HostEvent | None:
    event = EmsEvent("06-09-14 22:00:01", "\\DEV2", process, ssid, number, text)
    found = read_host_event(HOST, event)
    if found is not None:
        assert (found.node, found.printed_at) == ("\\DEV2", "06-09-14 22:00:01")
    return found


def same(found: HostEvent | None, meant: HostEvent | None) -> bool:
    """Compare all but the header's fields."""
    if found is None or meant is None:
        return found is meant
    return replace(found, node="", printed_at="") == replace(meant, node="", printed_at="")


@given(printed_cases())
def test_every_template_is_read_with_and_without_its_prefix(case: Case) -> None:
    number, text, meant = case
    assert same(read(text, number), meant)


@given(printed_cases(), st.sampled_from([str.lower, str.upper, str.title]))
def test_letter_case_makes_no_difference(case: Case, change: Callable[[str], str]) -> None:
    number, text, meant = case
    found = read(change(text), number)
    assert type(found) is type(meant)
    for name in ("request", "volume", "ring", "drive", "wanted", "used", "how", "label_type"):
        assert getattr(found, name, None) == getattr(meant, name, None)


@pytest.mark.parametrize(
    ("text", "volume", "ring"),
    [
        ("$ZSVR: 0043 MOUNT X00001 NO RING PLEASE MOUNT WITH RING OFF", "X00001", Ring.NO_RING),
        ("$ZSVR: 0043 MOUNT X00001 WITH RING THE LAST ONE HAD NO RING", "X00001", Ring.WITH_RING),
        ("0001 MOUNT NO NO RING WITH RING", "NO", Ring.NO_RING),
        ("0001 MOUNT WITH WITH RING NO RING", "WITH", Ring.WITH_RING),
        ("0001 MOUNT TMF NO RING WITH RING", "TMF", Ring.NO_RING),
        ("0001 MOUNT TMF TMF NO RING", "TMF", Ring.NO_RING),
        ("0001 MOUNT X1 REEL 2 DENSITY 6250 ON $T NO RING WITH RING", "X1", Ring.NO_RING),
        ("0001 MOUNT SCRATCH WITH RING", "SCRATCH", Ring.WITH_RING),
        ("0001 MOUNT X1 NO RING, URGENT: WITH RING", "X1", Ring.NO_RING),
        ("0001 MOUNT X1 NO RING.", "X1", Ring.NO_RING),
    ],
)
def test_the_ring_is_the_one_after_the_fixed_fields(text: str, volume: str, ring: Ring) -> None:
    found = read(text)
    assert isinstance(found, MountRequested)
    assert (found.volume, found.ring) == (volume, ring)


def test_fields_that_no_manual_lists_are_passed_over_if_the_number_agrees() -> None:
    text = "0001 MOUNT X00001 REEL 1 TAPEMODE STARTSTOP ON $T NO RING WITH RING"
    found = read(text, 601)
    assert isinstance(found, MountRequested)
    assert (found.volume, found.drive, found.ring) == ("X00001", "$T", Ring.NO_RING)
    assert isinstance(read(text, 600), Unrecognised)
    assert isinstance(read(text, 9600), Unrecognised)


def test_a_request_without_a_ring_is_not_guessed_from_its_number() -> None:
    for number in RING_OF_NUMBER:
        assert isinstance(read("$ZSVR: 0001 MOUNT X00001 ON $T RINGO", number), Unrecognised)
        assert isinstance(read("$ZSVR: 0001 MOUNT", number), Unrecognised)


@pytest.mark.parametrize("number", [600, 601, 604, 610, 706])
def test_where_number_and_words_disagree_no_ring_is_believed(number: int) -> None:
    for words in ("NO RING", "NO RING WITH RING", "WITH RING"):
        found = read(f"$ZSVR: 0001 MOUNT X00001 {words}", number)
        assert isinstance(found, MountRequested)
        agreed = number == 600 and words == "WITH RING"
        assert found.ring is (Ring.WITH_RING if agreed else Ring.NO_RING)


@pytest.mark.parametrize(
    "text",
    [
        "0001 MOUNT LTO X00001 WITH RING",
        "0001 MOUNT LTO ABCDEF ON $T WITH RING",
        "0001 MOUNT X00001 URGENT WITH RING",
        "0001 MOUNT X00001 SAY WITH RING",
        "0001 MOUNT",
        "0001 MOUNT X00001",
        "0001 MOUNT X00001 WITH",
        "0001 VOLUME MOUNTED",
        "0001 VOLUME X00001",
        "STATUS 1512 - X00001 TAPE DISMOUN",
        "STATUS 1512 - TAPE DISMOUNTED FRO",
        "STATUS 1504 - X00001 TAPE OPENED ON",
        "REQUEST CANCELLED",
    ],
)
def test_what_is_not_certain_is_not_read(text: str) -> None:
    found = read(text, 600)
    assert isinstance(found, Unrecognised | TapeNotice)


def test_a_scratch_request_can_name_a_volume() -> None:
    found = read("$ZSVR: 0007 MOUNT IBM SCRATCH TAPE ABC123 ON $T WITH RING", 605)
    meant = MountRequested(HOST, 7, "ABC123", Ring.WITH_RING, "$T", LabelType.IBM, scratch=True)
    assert same(found, meant)


def test_an_alias_is_only_taken_from_the_form_that_has_one() -> None:
    found = read("$ZSVR: 0007 MOUNT X00001 WITH RING ALIAS = NONE")
    assert isinstance(found, MountRequested)
    assert found.alias is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (
            "$ZSVR: 0004 REQUEST TO USE $TAPE UNLABELED",
            DeviceRequested(HOST, 4, "$TAPE", DeviceUse.UNLABELLED),
        ),
        (
            "UNREQUESTED ANSI TAPE AMBER1 ONLINE ON $TAPE1",
            TapeOnline(HOST, "AMBER1", "$TAPE1", LabelType.ANSI),
        ),
        (
            "$ZSVR: STATUS 1504 - vid TAPE OPENED ON $tape-device",
            TapeOpened(HOST, "VID", "$TAPE-DEVICE"),
        ),
        (
            "$TAPE: WARNING 904 - VOLUME ABC001 DENSITY CHANGED TO 1600 FROM 6250",
            TapeNotice(
                HOST,
                "WARNING",
                904,
                "VOLUME ABC001 DENSITY CHANGED TO 1600 FROM 6250",
                "ABC001",
                "$TAPE",
            ),
        ),
        (
            "$ZSVR: 0005 UNKNOWN TAPE ON $TAPE, ACCEPT OR MOUNT CORRECT TAPE TO PROCEED",
            DeviceRequested(HOST, 5, "$TAPE", DeviceUse.UNKNOWN_TAPE),
        ),
        (
            "Status 1516 - X1 tape on drive $t used by 2,171",
            TapeInUse(HOST, "X1", "$T", "2,171"),
        ),
        ("STATUS 1512 - TAPE DISMOUNTED FROM DRIVE $T", TapeDismounted(HOST, None, "$T")),
        ("STATUS 1512 - X1 TAPE DISMOUNTED", TapeDismounted(HOST, "X1", None)),
        (
            "STATUS 1508 - UNREQUESTED OLD TMF TAPE T1 ONLINE ON $T",
            TapeOnline(HOST, "T1", "$T", LabelType.TMF),
        ),
        (
            "\\DEV2.$ZSVR: 0003 REQUEST FOR VOLUME X1 CANCELED",
            RequestEnded(HOST, 3, "X1", RequestOutcome.CANCELLED),
        ),
        (
            "STATUS 502 - VOLUME X1 REJECTED",
            RequestEnded(HOST, None, "X1", RequestOutcome.REJECTED),
        ),
        (
            "Status 1514 - Connection to LIB1 completed successfully",
            TapeNotice(
                HOST, "STATUS", 1514, "Connection to LIB1 completed successfully", drive="LIB1"
            ),
        ),
    ],
)
def test_forms_seen_in_manuals(text: str, meant: HostEvent) -> None:
    assert same(read(text), meant)


def test_tape_hardware_is_no_mount() -> None:
    assert read("$TAPE: COVER OPEN", 327, process="$TAPE") is None


def test_events_of_other_subsystems_are_none_whatever_they_say() -> None:
    for text in ("0001 MOUNT X00001 WITH RING", "STATUS 1512 - X1 TAPE DISMOUNTED FROM DRIVE $T"):
        assert read(text, process="$FTI1", ssid="TANDEM.MHS.G01") is None


def test_the_tape_server_is_known_by_its_name_where_the_subsystem_prints_as_a_number() -> None:
    found = read("0001 MOUNT X00001 NO RING", ssid="TANDEM.46.G06")
    assert isinstance(found, MountRequested)


@pytest.mark.parametrize(
    ("text", "process"),
    [
        ("Process $ZSVR abended", "$NCP"),
        ("ABENDED: \\DEV2.$ZSVR CPU 1", "$ZPM"),
        ("$ZSVR: ABENDED, RESTARTING", "$ZSVR"),
    ],
)
def test_an_abend_of_the_tape_server_forgets_its_requests(text: str, process: str) -> None:
    ssid = "TANDEM.TAPE.G06" if process == "$ZSVR" else "TANDEM.EMS.G06"
    assert isinstance(read(text, 700, process=process, ssid=ssid), RequestsForgotten)


def test_an_abend_in_a_comment_forgets_nothing() -> None:
    assert isinstance(read("0001 MOUNT X1 WITH RING $ZSVR ABENDED"), MountRequested)
    text = "$ZSVR: 0001 MOUNT X1 URGENT NO RING AS $ZSVR ABENDED"
    assert isinstance(read(text, 601), Unrecognised)


@pytest.mark.parametrize(
    ("text", "number", "ssid"),
    [
        ("Process $ZSVR abended", 512, "TANDEM.EMS.G06"),
        ("Process $ZSVR abended", 101, "CUSTOMER.1.J00"),
        ("$ZSVR asked for X1, $MYJOB ABENDED", 101, "TANDEM.NONSTOP.G06"),
        ("ABENDED: $MYJOB of $ZSVR", 101, "TANDEM.NONSTOP.G06"),
    ],
)
def test_what_anybody_can_write_of_an_abend_forgets_nothing(
    text: str, number: int, ssid: str
) -> None:
    assert read(text, number, process="$NCP", ssid=ssid) is None


def test_the_abend_of_a_job_forgets_nothing() -> None:
    text = "$ZSVR: Error1029 - Tapefile NIGHTLY terminated abnormally"
    assert isinstance(read(text, 688), Unrecognised)


def test_a_policy_command_can_come_from_anybody() -> None:
    text = 'VTSPolicy IDR "/VAULT00/BILL/X00001 s=VTS1"'
    found = read(text, 1234, process="12,34", ssid="EXTERNAL.0.0")
    assert same(found, PolicyCommand(HOST, text))


@given(st.text(max_size=300), st.integers(-99999, 999999))
def test_any_text_is_read_without_an_error(text: str, number: int) -> None:
    read(text, number)
    read(f"0001 MOUNT {text}", number)
    read(f"STATUS {text}", number)


def test_long_texts_take_linear_time() -> None:
    for word in ("A ", "MOUNT ", "ON $T ", "NO ", "REEL 1 "):
        assert read("0001 MOUNT X1 " + word * 30000, 601) is not None
