import copy
import time
import tracemalloc
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.ems.telnet import (
    BREAK,
    MAX_SUBNEGOTIATION,
    MOST_ANSWERS,
    MOST_REQUESTS,
    NOP,
    TelnetDecoder,
    encode_line,
)

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, SGA, TERMINAL_TYPE, NAWS, BINARY = 1, 3, 24, 31, 0


def decode(*pieces: bytes) -> tuple[bytes, bytes]:
    decoder = TelnetDecoder()
    decoded = [decoder.feed(piece) for piece in pieces]
    return b"".join(d.text for d in decoded), b"".join(d.reply for d in decoded)


def one_by_one(data: bytes) -> list[bytes]:
    return [data[i : i + 1] for i in range(len(data))]


@pytest.mark.parametrize(
    ("sent", "reply"),
    [
        ((DO, TERMINAL_TYPE), (WONT, TERMINAL_TYPE)),
        ((DO, NAWS), (WONT, NAWS)),
        ((DO, BINARY), (WONT, BINARY)),
        ((DO, ECHO), (WONT, ECHO)),
        ((DO, SGA), (WILL, SGA)),
        ((WILL, ECHO), (DO, ECHO)),
        ((WILL, SGA), (DO, SGA)),
        ((WILL, TERMINAL_TYPE), (DONT, TERMINAL_TYPE)),
    ],
)
def test_it_stays_a_plain_terminal(sent: tuple[int, int], reply: tuple[int, int]) -> None:
    assert decode(b"a" + bytes((IAC, *sent)) + b"b") == (b"ab", bytes((IAC, *reply)))


def test_what_is_so_already_is_not_answered_again() -> None:
    request = bytes((IAC, WILL, ECHO))
    assert decode(request, request, request)[1] == bytes((IAC, DO, ECHO))


def test_what_is_given_up_is_acknowledged_once() -> None:
    on, off = bytes((IAC, WILL, ECHO)), bytes((IAC, WONT, ECHO))
    assert decode(on, off, off)[1] == bytes((IAC, DO, ECHO, IAC, DONT, ECHO))


def test_refusing_what_was_never_offered_needs_no_answer() -> None:
    assert decode(bytes((IAC, DONT, SGA, IAC, WONT, NAWS)))[1] == b""


def test_a_doubled_escape_is_one_byte_of_text() -> None:
    assert decode(b"a\xff\xffb") == (b"a\xffb", b"")


def test_a_subnegotiation_is_left_out_whole() -> None:
    inside = bytes((IAC, SB, TERMINAL_TYPE, 1, IAC, IAC, 65, IAC, SE))
    assert decode(b"x" + inside + b"y") == (b"xy", b"")


def test_a_subnegotiation_that_does_not_end_swallows_no_more_than_its_limit() -> None:
    stream = b"a" + bytes((IAC, SB, TERMINAL_TYPE)) + b"x" * 5000 + b"\nSTATUS 1512\n"
    text, _ = decode(stream)
    assert text.startswith(b"ax")
    assert text.endswith(b"\nSTATUS 1512\n")
    assert len(stream) - len(text) == MAX_SUBNEGOTIATION + 2
    assert decode(*one_by_one(stream))[0] == text


def test_other_commands_are_left_out() -> None:
    assert decode(b"a" + NOP + b"b" + BREAK + b"c" + bytes((IAC, 249)) + b"d") == (b"abcd", b"")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"a\r\nb", b"a\nb"),
        (b"a\r\0b", b"a\rb"),
        (b"a\nb", b"a\nb"),
        (b"a\r\r\nb", b"a\r\nb"),
        (b"\0a\0", b"a"),
        (b"a\r\xff\xf1\nb", b"a\nb"),
    ],
)
def test_line_ends_become_line_feeds(raw: bytes, text: bytes) -> None:
    assert decode(raw)[0] == text
    assert decode(*one_by_one(raw))[0] == text


@given(st.data())
def test_where_the_stream_is_cut_makes_no_difference(data: st.DataObject) -> None:
    telnet = st.sampled_from([IAC, DONT, DO, WONT, WILL, SB, SE, ECHO, SGA, 24, 13, 10, 0, 65])
    stream = bytes(data.draw(st.lists(telnet, max_size=60)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*pieces) == decode(stream) == decode(*one_by_one(stream))


@given(st.binary(max_size=400))
def test_garbage_never_raises_and_is_answered_by_no_more_than_it_was(garbage: bytes) -> None:
    text, reply = decode(garbage)
    assert len(text) <= len(garbage)
    assert len(reply) <= len(garbage)
    assert reply.count(bytes((IAC, WILL))) <= 1


@pytest.mark.parametrize("verbs", [(WILL, WONT), (DO, DONT), (DO, WILL)])
@pytest.mark.parametrize("option", [ECHO, SGA, TERMINAL_TYPE])
def test_a_negotiation_without_end_is_not_answered_without_end(
    verbs: tuple[int, int], option: int
) -> None:
    decoder = TelnetDecoder()
    request = b"".join(bytes((IAC, verb, option)) for verb in verbs)
    replies = sum(len(decoder.feed(request * 1000).reply) for _ in range(20))
    assert replies <= 3 * MOST_ANSWERS
    assert decoder.feed(b"TACL 1> ").text == b"TACL 1> "


@pytest.mark.parametrize(
    "piece",
    [
        bytes((IAC, DO, TERMINAL_TYPE)),
        bytes((IAC, WILL, ECHO)),
        bytes((IAC, WILL, ECHO, IAC, DO, TERMINAL_TYPE, IAC, WONT, ECHO)),
        bytes((IAC, IAC)),
        NOP,
    ],
)
def test_a_flood_of_commands_costs_little_more_than_text(piece: bytes) -> None:
    """Else whoever floods us keeps the copies waiting: what takes long is done for all at once."""

    def seconds(data: bytes, decoder: TelnetDecoder) -> float:
        began = time.process_time()
        decoder.feed(data)
        return time.process_time() - began

    decoder = TelnetDecoder()
    decoder.feed(piece * (MOST_REQUESTS + 1))
    lines = b"x" * 38 + b"\r\n"
    flood = min(seconds(piece * (4_000_000 // len(piece)), decoder) for _ in range(3))
    text = min(seconds(lines * 100_000, TelnetDecoder()) for _ in range(3))
    assert flood < 20 * text + 0.01


@cache
def nearly_tired(left: int) -> TelnetDecoder:
    """Make a decoder that looks at *left* more requests."""
    decoder = TelnetDecoder()
    decoder.feed(bytes((IAC, DO, TERMINAL_TYPE)) * (MOST_REQUESTS - left))
    return decoder


@given(st.integers(0, 3), st.data())
def test_what_is_passed_over_in_runs_is_what_is_passed_over_byte_by_byte(
    left: int, data: st.DataObject
) -> None:
    telnet = st.sampled_from([IAC, IAC, IAC, DO, WILL, WONT, SB, SE, 241, ECHO, 24, 13, 10])
    stream = bytes(data.draw(st.lists(telnet, max_size=80)))
    whole, bytewise = (copy.deepcopy(nearly_tired(left)) for _ in range(2))
    pieces = [bytewise.feed(byte) for byte in one_by_one(stream)]
    decoded = whole.feed(stream)
    assert decoded.text == b"".join(piece.text for piece in pieces)
    assert decoded.reply == b"".join(piece.reply for piece in pieces)


def test_a_subnegotiation_without_end_is_not_kept() -> None:
    decoder = TelnetDecoder()
    decoder.feed(bytes((IAC, SB, TERMINAL_TYPE)))
    tracemalloc.start()
    try:
        for _ in range(200):
            # Each piece keeps it going anew.
            decoder.feed(bytes((IAC, SB)) + b"x" * 900 + bytes((IAC, IAC)) * 60)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 20_000


def test_eight_bits_are_text() -> None:
    eight = bytes(range(0x80, 0xFF))
    assert decode(eight) == (eight, b"")


def test_every_option_but_two_is_refused() -> None:
    for option in range(256):
        assert decode(bytes((IAC, DO, option)))[1][1] == (WILL if option == SGA else WONT)
        agrees = option in {ECHO, SGA}
        assert decode(bytes((IAC, WILL, option)))[1][1] == (DO if agrees else DONT)


def test_a_typed_line_ends_with_both_bytes_and_escapes_its_text() -> None:
    assert encode_line("LOGON VTS.EMS") == b"LOGON VTS.EMS\r\n"
    assert encode_line("a\xffb") == b"a\xff\xffb\r\n"


def test_a_typed_line_cannot_hold_a_second_one() -> None:
    assert encode_line("LOGON a\r\nPURGE $SYSTEM.*.*") == b"LOGON aPURGE $SYSTEM.*.*\r\n"
    assert encode_line("snow\u2603\x1b") == b"snow?\r\n"
