"""Nothing that a host prints raises, and none of it takes more than time in proportion to it."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.ems.lines import MAX_EVENT, EmsEvent, EmsLineDecoder, is_prompt, parse_event
from copyagent.ems.policy import read_policy_command
from copyagent.ems.tape_events import read_host_event

HEADER = "06-09-14 22:00:01 \\DEV2.$ZSVR TANDEM.TAPE.G06 000601 "
UNITS = (
    *("A ", "1 ", "- ", ". ", "$A ", "$A: ", "\\A.$A: ", "$ZSVR: ", "$A.", "\\", "\\A.", "$", "1"),
    *("MOUNT ", "STATUS ", "STATUS 1 - ", "ERROR 1 - ", "VOLUME ", "TAPE ", "TAPE ON DRIVE A "),
    *("ON $T ", "REEL 1 ", "DENSITY 1 ", "TAPEMODE X ", "NO ", "WITH ", "RING ", "NO RING "),
    *("REQUEST FOR ", "UNREQUESTED OLD ", "WRONG TAPE, ", "EMSTEXT ", "EVENT NUMBER = 1 "),
    *("$ZSVR A ", "ABENDED A $ZSVR", "A$ZSVR"),
    *("No template SUBJECT = ", "$ZSVR ", "ABENDED ", "TAPEFILE ", "VTSPolicy ", "06-09-14 "),
    *("06-09-14 22:00:01 ", "06-09-14 22:00:01 A ", HEADER, HEADER[:-1], "* ", "*", "1> ", "TACL "),
    *(
        "\t",
        "\r",
        "\f",
        "\0",
        "\x1b[",
        "\x1b[0m",
        "\x1b[1;",
        "\n",
        " \n",
        "A\n",
        "\u2014",
        "\xe2\x80\x94",
    ),
)
OPENINGS = (
    *(
        "",
        "$ZSVR: 0001 MOUNT X1 ",
        "0001 MOUNT SCRATCH TAPE ",
        "STATUS 1512 - ",
        "ERROR 3 - WRONG ",
    ),
    *("EMSTEXT -- No template ", "\\DEV2.$ZSVR: ", "0001 REQUEST FOR DEVICE "),
)


def event(text: str, number: int = 601, ssid: str = "TANDEM.TAPE.G06") -> EmsEvent:
    return EmsEvent("06-09-14 22:00:01", "\\DEV2", "$ZSVR", ssid, number, text)


def of_another(text: str) -> EmsEvent:
    return replace(event(text, 101, "TANDEM.NONSTOP.G06"), process="$NCP")


def decode(text: str) -> list[EmsEvent]:
    decoder = EmsLineDecoder()
    return decoder.feed(text) + decoder.flush(unfinished_too=True)


def cpu_seconds(work: Callable[[str], object], text: str) -> float:
    best = 60.0
    for _ in range(3):
        begun = time.process_time()
        work(text)
        best = min(best, time.process_time() - begun)
    return best


def assert_linear(work: Callable[[str], object], opening: str, unit: str) -> None:
    """Four times the text may take eight times as long; work in the square of it takes sixteen."""
    count = 6000 // len(unit) + 1
    small = cpu_seconds(work, opening + unit * count)
    large = cpu_seconds(work, opening + unit * count * 4)
    assert large < 8 * small + 0.004, f"{opening!r} {unit!r}: {small * 1e3:.2f}, {large * 1e3:.2f}"


@pytest.mark.parametrize("unit", UNITS)
def test_meaning_is_found_in_linear_time(unit: str) -> None:
    for opening in OPENINGS:
        assert_linear(lambda text: read_host_event("DEV2", event(text)), opening, unit)
    for opening in ("", "Process $ZSVR ", "ABENDED "):
        assert_linear(lambda text: read_host_event("DEV2", of_another(text)), opening, unit)


@pytest.mark.parametrize("unit", UNITS)
def test_lines_are_put_together_in_linear_time(unit: str) -> None:
    for opening in ("", HEADER, HEADER[:18], "\\DEV2.$A B", HEADER + "\n   "):
        assert_linear(decode, opening, unit)
        assert_linear(is_prompt, opening, unit)
        assert_linear(parse_event, opening, unit)
    assert_linear(lambda text: read_policy_command("DEV2", event(text)), "VTSPolicy ", unit)


def test_one_line_without_an_end_takes_linear_time_however_it_is_cut() -> None:
    def feed(text: str) -> None:
        decoder = EmsLineDecoder()
        for at in range(0, len(text), 7):
            decoder.feed(text[at : at + 7])

    assert_linear(feed, HEADER, "x" * 100)


hostile = st.lists(st.sampled_from((*UNITS, *OPENINGS, "\x85", "\u2028", "\xff")), max_size=40).map(
    "".join
)


@given(hostile, st.integers(-99999, 999999), st.lists(st.integers(0, 2000), max_size=6))
def test_hostile_text_is_read_without_an_error_and_cuts_change_nothing(
    text: str, number: int, cuts: list[int]
) -> None:
    for ssid in ("TANDEM.TAPE.G06", "CUSTOMER.1.J00"):
        read_host_event("DEV2", event(text, number, ssid))
    whole = decode(text)
    assert all(len(found.text) <= MAX_EVENT for found in whole)
    for found in whole:
        read_host_event("DEV2", found)
    decoder, events = EmsLineDecoder(), []
    places = sorted({min(cut, len(text)) for cut in cuts})
    for a, b in zip([0, *places], [*places, len(text)], strict=True):
        events += decoder.feed(text[a:b])
    assert events + decoder.flush(unfinished_too=True) == whole
