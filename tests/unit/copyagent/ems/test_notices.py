"""What a host is told: the right messages, in words that are nothing but text, and not too many."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.ems.notices import (
    APART,
    KINDS,
    WINDOW_S,
    Outgoing,
    heartbeat,
    heartbeat_number,
    lines_to_type,
    notice,
    safe_text,
)
from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE, TEXT_LIMIT, Message, Severity

SYSTEM = "TAPESRV1"
COPIED = {"tape": "/VAULT00/BILL/X00001", "target": "dr", "size": "1 MiB", "took": "2s"}

#: Messages of data replication that somebody has to act on and that no host is told, and why.
UNTOLD = {
    messages.OUTBOX_FAILURE.id: "the overlay writes it, which has no session with a host",
    messages.HANDLER_FAILED.id: "the overlay writes it, which has no session with a host",
    messages.ENCRYPTED_REFUSED.id: "the overlay writes it, which has no session with a host",
    messages.SETTINGS_REFUSED.id: "nothing changes by it, and whoever loaded them is told",
}


# ---- which ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted(CATALOGUE))
def test_whatever_needs_somebody_has_a_kind(number: int) -> None:
    """Who adds a hold or an error decides here whether hosts are told."""
    message = CATALOGUE[number]
    of_copies = number // 1000 % 100 == 24
    if of_copies and message.severity >= Severity.ERROR:
        assert (number in KINDS) != (number in UNTOLD), message.text
    if " held: " in message.text:
        assert KINDS[number] == "held", message.text
    if not of_copies:
        assert number not in KINDS, "trouble of a link is not told over that link"


def test_there_is_something_of_every_kind() -> None:
    assert set(KINDS.values()) == {"failed", "held", "behind", "copied"}


# ---- in which words ------------------------------------------------------------------------------

#: Everything that TACL, an OSS shell, or a quoted argument of either could take for more than text.
SPECIAL = "\"'`[]{}()<>|&;~^%!?*=\\\r\n\t\x00\x07\x1b\x7f\x85\u2028"


@pytest.mark.parametrize("sign", SPECIAL)
def test_no_special_sign_is_left(sign: str) -> None:
    assert safe_text(f"a{sign}b") == "a b"
    assert safe_text(f"{sign}a{sign * 3}") == "a"


@given(st.text())
def test_any_text_becomes_one_line_of_plain_signs(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9 ./,:_@#$+-]*", safe_text(text))
    assert safe_text(safe_text(text)) == safe_text(text)


@pytest.mark.parametrize(
    "label",
    [
        'X"; STOP $ZSVR; "',
        "X[#OUTPUT boom]",
        "X'$(rm -rf /)'",
        "X`id`",
        "X\r\nLOGOUT",
        "X & y",
        "X == comment",
        "%*%",
        "%text%",
        "X~;LOGOUT",
        "Ä\ud800ÿ",
    ],
)
def test_a_hostile_label_cannot_break_out_of_the_command(label: str) -> None:
    fields = COPIED | {"tape": f"/VAULT00/BILL/{label}"}
    (line,) = lines_to_type(['RUN $S.V.VTSNOTE "%text%"'], notice(SYSTEM, messages.COPIED, fields))
    assert line.count('"') == 2
    assert line.endswith('"')
    assert not set(line[line.index('"') + 1 : -1]) & set(SPECIAL)
    assert line.isascii()
    assert line.isprintable()


@pytest.mark.parametrize("message", CATALOGUE.values(), ids=lambda m: str(m.id))
@pytest.mark.parametrize("length", [1, 20, 500])
def test_a_notice_is_the_logs_text_behind_the_systems_name(message: Message, length: int) -> None:
    text = notice("A" * 15, message, dict.fromkeys(message.fields, "x" * length))
    assert text.startswith(f"VTS-AUTOCOPY {'A' * 15} {message.id:06} ")
    assert len(text) <= TEXT_LIMIT


def test_the_words_themselves() -> None:
    assert notice(SYSTEM, messages.COPIED, COPIED) == (
        "VTS-AUTOCOPY TAPESRV1 224101 /VAULT00/BILL/X00001 copied to dr: 1 MiB in 2s"
    )


def test_every_line_of_a_command_can_have_the_text() -> None:
    assert lines_to_type(["a %text% b %text%", "c"], "T") == ["a T b T", "c"]


# ---- heartbeats ----------------------------------------------------------------------------------


def test_a_heartbeat_is_known_again() -> None:
    text = heartbeat(SYSTEM, 17)
    assert text == "VTS-AUTOCOPY TAPESRV1 HEARTBEAT 17"
    assert heartbeat_number(text, SYSTEM) == 17
    assert heartbeat_number(f'"{text}"', SYSTEM) == 17
    assert heartbeat_number(f"  {text}\x07", SYSTEM) == 17
    assert safe_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "VTS-AUTOCOPY OTHER HEARTBEAT 17",
        "VTS-AUTOCOPY TAPESRV1 HEARTBEAT",
        "VTS-AUTOCOPY TAPESRV1 HEARTBEAT x",
        "VTS-AUTOCOPY TAPESRV1 224101 x",
        "VTS-AUTOCOPY TAPESRV11 HEARTBEAT 17",
        "HEARTBEAT 17",
        "",
    ],
)
def test_what_is_no_heartbeat_of_ours(text: str) -> None:
    assert heartbeat_number(text, SYSTEM) is None


@given(st.text(), st.integers(0, 10**17))
def test_any_text_can_be_looked_at(text: str, number: int) -> None:
    heartbeat_number(text, SYSTEM)
    assert heartbeat_number(heartbeat(SYSTEM, number), SYSTEM) == number


# ---- how many ------------------------------------------------------------------------------------


def copied(number: int) -> dict[str, str]:
    return COPIED | {"tape": f"/VAULT00/BILL/T{number:05}"}


def test_the_first_are_told_at_once_and_what_follows_within_a_minute_together() -> None:
    outgoing = Outgoing(SYSTEM)
    for number in range(100):
        outgoing.add(messages.COPIED, copied(number), 1000.0 + number / 10)
    assert [text.split()[3] for text in outgoing.waiting] == [
        f"/VAULT00/BILL/T{number:05}" for number in range(APART)
    ]
    assert outgoing.next_due() == 1000.0 + WINDOW_S
    outgoing.gather(1000.0 + WINDOW_S)
    assert outgoing.waiting[-1] == (
        "VTS-AUTOCOPY TAPESRV1 224101 and 94 more like this: /VAULT00/BILL/T00099 copied to dr: "
        "1 MiB in 2s"
    )


def test_a_single_one_more_is_told_in_full_when_the_minute_is_over() -> None:
    outgoing = Outgoing(SYSTEM)
    for number in range(APART + 1):
        outgoing.add(messages.COPIED, copied(number), number * 11.0)
    assert len(outgoing.waiting) == APART
    outgoing.gather(60.0)
    assert outgoing.waiting[-1] == notice(SYSTEM, messages.COPIED, copied(APART))


def test_different_messages_do_not_wait_for_each_other() -> None:
    outgoing = Outgoing(SYSTEM)
    outgoing.add(messages.COPIED, copied(1), 0.0)
    outgoing.add(messages.CAUGHT_UP, {"pool": "p", "target": "t", "took": "1h"}, 0.0)
    assert len(outgoing.waiting) == 2


def test_a_steady_stream_is_one_line_a_minute_and_what_is_over_is_forgotten() -> None:
    outgoing = Outgoing(SYSTEM)
    for second in range(600):
        outgoing.add(messages.COPIED, copied(second), float(second))
    assert len(outgoing.waiting) == APART + 9
    outgoing.gather(700.0)
    outgoing.gather(800.0)
    assert outgoing.next_due() is None
    before = len(outgoing.waiting)
    for number in range(3):
        outgoing.add(messages.COPIED, copied(number), 801.0)
    assert len(outgoing.waiting) == before + 3


def test_of_too_many_the_oldest_are_dropped_and_counted() -> None:
    outgoing = Outgoing(SYSTEM, most=3)
    for number in range(10):
        outgoing.add(messages.COPIED, copied(number), number * 61.0)
    assert len(outgoing.waiting) == 3
    assert outgoing.dropped == 7
    assert outgoing.waiting[-1].split()[3] == "/VAULT00/BILL/T00009"
    outgoing.put_back("again")
    assert outgoing.dropped == 8
    assert len(outgoing.waiting) == 3
