"""What quotes the password is kept without it; what may be the name of a tape stays one."""

from copyagent.core.host_events import (
    HostEvent,
    MountRequested,
    PolicyCommand,
    Printed,
    Ring,
    TapeDismounted,
    Unrecognised,
)
from copyagent.ems.quoting import event_unquoted, printed_unquoted
from copyagent.ems.secret import NOT_SHOWN, Secret

QUOTES = Secret("Ev1l.Pass-93").is_in


def printed(text: str, process: str = "$ZSVR") -> Printed:
    return Printed(process, "TANDEM.TAPE.G06", 601, text)


def test_what_does_not_quote_it_stays_as_it_is() -> None:
    event = TapeDismounted("DEV2", "X00001", "$T", printed=printed("X00001 TAPE DISMOUNTED"))
    assert event_unquoted(event, QUOTES) is event


def test_an_event_without_its_text_stays_as_it_is() -> None:
    event = TapeDismounted("DEV2", "EV1L.PASS-93", "$T")
    assert event_unquoted(event, QUOTES) is event


def test_a_comment_goes_and_the_request_stays() -> None:
    text = "0042 MOUNT X00001 NO RING ev1l.\npass-93"
    event = MountRequested("DEV2", 42, "X00001", Ring.NO_RING, printed=printed(text))
    clean = event_unquoted(event, QUOTES)
    assert clean == event
    assert clean.printed is not None
    assert clean.printed.text == NOT_SHOWN


def test_a_command_goes() -> None:
    text = "VTSPolicy IDR 'Ev1l.Pass-93'"
    clean = event_unquoted(PolicyCommand("DEV2", text, printed=printed(text)), QUOTES)
    assert clean == PolicyCommand("DEV2", NOT_SHOWN)


def test_a_volume_that_can_be_none_means_nothing() -> None:
    text = "STATUS 1512 - Ev1l.Pass-93 TAPE DISMOUNTED FROM DRIVE $T"
    event = TapeDismounted("DEV2", "EV1L.PASS-93", "$T", printed=printed(text), node="\\DEV2")
    assert event_unquoted(event, QUOTES) == Unrecognised("DEV2", 601, NOT_SHOWN, node="\\DEV2")


def test_a_label_that_is_the_password_stays_a_label() -> None:
    """A NO RING must not be lost because somebody logs on with the label of a tape."""
    quotes = Secret("x00001").is_in
    text = "0042 MOUNT X00001 ON $X00001 NO RING"
    event = MountRequested("DEV2", 42, "X00001", Ring.NO_RING, "$X00001", printed=printed(text))
    clean: HostEvent = event_unquoted(event, quotes)
    assert clean == event
    assert clean.printed is not None
    assert clean.printed.text == NOT_SHOWN


def test_sender_and_subsystem_go_too() -> None:
    assert printed_unquoted(printed("x", "Ev1l.Pass-93"), QUOTES) == printed("x", NOT_SHOWN)


def test_words_of_a_password_are_no_quotation() -> None:
    secret = Secret("Tape.4Two")
    assert not secret.is_in("$ZSVR: STATUS 1504 - X00001 TAPE OPENED ON $TAPE")
    assert secret.is_in("LOGON VTS.EMS,TAPE.\r\n        4TWO")
    assert not Secret("").is_in("anything")
