import pytest

from copyagent.core.host_events import (
    DismountFailed,
    HostEvent,
    Printed,
    TapeNotice,
    TapeRefused,
    VolumePassedOver,
)
from copyagent.ems.tape_messages import read_message
from copyagent.ems.tape_templates import Header

HOST = "DEV2"


def read(body: str, drive: str | None = None) -> HostEvent | None:
    head = Header(HOST, "", "", Printed("$ZSVR", "TANDEM.TAPE.G06", 614, body), drive)
    return read_message(head, body)


@pytest.mark.parametrize(
    ("body", "meant"),
    [
        (
            "ERROR 3 - WRONG TAPE, X00002 MOUNTED, SHOULD BE X00001",
            TapeRefused(HOST, "X00002", "$TAPE", "X00001"),
        ),
        ("Error 4 - Wrong tape, not labelled", TapeRefused(HOST, None, "$TAPE", None)),
        (
            "ERROR 3 - WRONG TAPE, NOT MOUNTED, SHOULD BE IS",
            TapeRefused(HOST, "NOT", "$TAPE", "IS"),
        ),
        (
            "ERROR 1016 - ACS TAPE X1 MOUNTED ON $VTAPE1 IS WRONG LABEL TYPE",
            TapeRefused(HOST, "X1", "$VTAPE1"),
        ),
        (
            "0042 ERROR 1021 - VOLUME X1 CANNOT BE USED, SELECTING ALTERNATE",
            VolumePassedOver(HOST, "X1"),
        ),
        ("ERROR 1015 - DISMOUNT OF TAPE X1 FAILED", DismountFailed(HOST, "X1")),
    ],
)
def test_errors_that_say_what_became_of_a_tape(body: str, meant: HostEvent) -> None:
    assert read(body, "$TAPE") == meant


@pytest.mark.parametrize(
    ("body", "volume", "drive"),
    [
        ("WARNING 908 - VOLUME X1 ON $VTAPE1 IS NOT EXPIRED", "X1", "$VTAPE1"),
        ("WARNING 3 - WRONG TAPE, X1 MOUNTED, SHOULD BE X2", None, "$TAPE"),
        ("ERROR 15 - BAD TRAILER LABELS X1", "X1", "$TAPE"),
        ("STATUS 1515 - Connection to TPTM completed successfully", None, "$TAPE"),
        ("ERROR 1029 - Tapefile X1 terminated abnormally", None, "$TAPE"),
        ("ERROR 9999", None, "$TAPE"),
    ],
)
def test_a_message_that_decides_nothing_keeps_what_it_names(
    body: str, volume: str | None, drive: str
) -> None:
    found = read(body, "$TAPE")
    assert isinstance(found, TapeNotice)
    assert (found.volume, found.drive) == (volume, drive)


@pytest.mark.parametrize(
    "body", ["", "ERROR", "ERROR - 3", "ERRORS 3 - X", "X ERROR 3 - X", "ERROR 123456 - X"]
)
def test_what_is_no_numbered_message_is_none(body: str) -> None:
    assert read(body) is None
