import pytest

from copyagent.core.host_events import (
    DeviceAccepted,
    HostEvent,
    LabelType,
    MountRequested,
    RequestEnded,
    RequestOutcome,
    Ring,
    Unrecognised,
    VolumeMounted,
)
from copyagent.ems.lines import EmsEvent
from copyagent.ems.tape_events import read_host_event

HOST = "DEV2"
DASHES = ("--", " -- ", "\u2014", " - ", "\x97", "\xe2\x80\x94", " ? ", "\ufffd")
REJECTED, CANCELLED = RequestOutcome.REJECTED, RequestOutcome.CANCELLED


def read(text: str, number: int) -> HostEvent | None:
    event = EmsEvent("", "", "$ZSVR", "TANDEM.TAPE.G06", number, text)
    return read_host_event(HOST, event)


def printed(number: int, subject: str = "", dash: str = " -- ") -> str:
    return (
        f"EMSTEXT{dash}No template and no TEXT token for event. SSID = TANDEM.TAPE.G06 "
        f"Event number = {number} {subject}"
    )


@pytest.mark.parametrize("dash", DASHES)
@pytest.mark.parametrize(
    ("number", "subject", "meant"),
    [
        (648, "X00001", VolumeMounted(HOST, None, "X00001")),
        (649, "X00001", RequestEnded(HOST, None, "X00001", CANCELLED)),
        (650, "$VTAPE0", RequestEnded(HOST, None, None, CANCELLED, "$VTAPE0")),
        (651, "x00001", RequestEnded(HOST, None, "X00001", REJECTED)),
        (652, "\\DEV2.$VTAPE0", DeviceAccepted(HOST, None, "\\DEV2.$VTAPE0")),
        (653, "$VTAPE0", RequestEnded(HOST, None, None, REJECTED, "$VTAPE0")),
    ],
)
def test_what_number_and_subject_tell_is_read(
    number: int, subject: str, meant: HostEvent, dash: str
) -> None:
    for form in (f"[ Subject = {subject} ]", f"[Subject = {subject}]", f"Subject = {subject}"):
        assert read(printed(number, form, dash), number) == meant
        assert read("$ZSVR: " + printed(number, form, dash).lower(), number) == meant


@pytest.mark.parametrize(
    ("number", "in_header", "subject"),
    [
        (648, 648, ""),
        (648, 649, "[ Subject = X00001 ]"),
        (648, 648, "[ Subject = $VTAPE0 ]"),
        (648, 648, "[ Subject = TOOLONGAVOLUME ]"),
        (651, 651, "[ Subject ="),
        (652, 652, "[ Subject = X00001 ]"),
        (659, 659, "[ Subject = $VTAPE0 ]"),
        (659, 659, "[ Subject = X00001 ]"),
        (1234, 1234, "[ Subject = X00001 ]"),
    ],
)
def test_what_is_not_certain_is_kept_and_not_read(
    number: int, in_header: int, subject: str
) -> None:
    text = printed(number, subject)
    assert read(text, in_header) == Unrecognised(HOST, in_header, text.strip())


def test_a_mount_request_that_an_error_kept_from_display_has_the_ring_of_its_number() -> None:
    for number, ring, label in ((600, Ring.WITH_RING, "ANSI"), (604, Ring.NO_RING, "IBM")):
        text = (
            "EMSTEXT error (5,45) prevented display of event. SSID = TANDEM.TAPE.G06 "
            f"Event number = {number} [ Subject = X00001 ]"
        )
        meant = MountRequested(HOST, None, "X00001", ring, None, LabelType(label))
        assert read(text, number) == meant


def test_the_words_in_a_comment_mean_nothing() -> None:
    found = read(f"0001 MOUNT X1 WITH RING {printed(601, '[ Subject = X1 ]')}", 600)
    assert isinstance(found, MountRequested)
    assert found.ring is Ring.WITH_RING
