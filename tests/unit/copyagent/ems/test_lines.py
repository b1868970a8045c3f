import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import (
    MountRequested,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    VolumeMounted,
)
from copyagent.ems.lines import (
    KEPT_GARBAGE,
    MAX_EVENT,
    MAX_LINE,
    EmsEvent,
    EmsLineDecoder,
    is_prompt,
    parse_event,
)
from copyagent.ems.tape_events import read_host_event
from tests.support.ems_cases import printed_cases
from tests.support.ems_host import Layout
from tests.support.ems_templates import HOST, Case, placed

# The lines that manuals print (Guardian user's guide; EMS FastStart). The first has lost its
# indent in the stored copy; the blanks of the others are as printed.
DENSITY = (
    "93-09-04 10:30:57 \\SAGE.$ZSVR TANDEM.TAPE.D20 000654 $TAPE: WARNING\n"
    "904 - VOLUME ABC001 DENSITY CHANGED TO 1600\n"
    "FROM 6250\n"
)
MAIL = (
    "96-10-03 15:09:51 \\NET.$FTI1  TANDEM.MHS.G01          000023 $ZL1 \n"
    "        MR.\\NET.MRGRP1 $RL11: OSI resource\n"
    "        problem with device \\NET.$LAPX.#Z0004BW\n"
    "        on call APS_ASSOC\n"
)
PAYROLL = (
    "89-11-20 14:21:14 \\MTL.02,171  CUSTOMER.1.J00  000004 Program: \n"
    "       MYPROG of application: PAYROLL, BATCH RUN\n"
    "       started \n"
)
MEANT = [
    EmsEvent(
        "93-09-04 10:30:57",
        "\\SAGE",
        "$ZSVR",
        "TANDEM.TAPE.D20",
        654,
        "$TAPE: WARNING 904 - VOLUME ABC001 DENSITY CHANGED TO 1600 FROM 6250",
    ),
    EmsEvent(
        "96-10-03 15:09:51",
        "\\NET",
        "$FTI1",
        "TANDEM.MHS.G01",
        23,
        "$ZL1 MR.\\NET.MRGRP1 $RL11: OSI resource problem with device \\NET.$LAPX.#Z0004BW"
        " on call APS_ASSOC",
    ),
    EmsEvent(
        "89-11-20 14:21:14",
        "\\MTL",
        "02,171",
        "CUSTOMER.1.J00",
        4,
        "Program: MYPROG of application: PAYROLL, BATCH RUN started",
    ),
]


def decode(*pieces: str) -> list[EmsEvent]:
    decoder = EmsLineDecoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.flush()


def header(text: str, number: str = "000601", mark: str = "") -> str:
    return f"06-09-14 22:00:01 \\DEV2.$ZSVR {mark}TANDEM.TAPE.G06 {number} {text}"


def test_the_manuals_own_samples_are_read_whole_and_byte_by_byte() -> None:
    stream = DENSITY + MAIL + PAYROLL
    assert decode(stream) == MEANT
    assert decode(*stream) == MEANT


@pytest.mark.parametrize(
    ("sample", "meant"), [(DENSITY, MEANT[0]), (MAIL, MEANT[1]), (PAYROLL, MEANT[2])]
)
def test_each_sample_by_itself(sample: str, meant: EmsEvent) -> None:
    assert decode(sample) == [meant]
    assert decode(*sample) == [meant]


@given(st.data())
def test_any_events_at_any_width_cut_anywhere_read_the_same(data: st.DataObject) -> None:
    cases: list[Case] = data.draw(st.lists(printed_cases(), max_size=6))
    layout = Layout(width=data.draw(st.integers(20, 132)), indent=data.draw(st.integers(1, 40)))
    printed_at = "06-09-14 22:00:01"
    critical = data.draw(st.booleans())
    end = data.draw(st.sampled_from(["\n", "\r\n", "\n\n", "\r\r\n", "\0\n"]))
    lines: list[str] = []
    for number, text, _ in cases:
        lines += layout.lines(printed_at, number, text, critical=critical)
        if data.draw(st.booleans()):
            # Other subsystems say anything, also what would be of tapes if the tape server said it.
            other = layout.of("$ZDSK", "TANDEM.STORAGE.G06")
            lines += other.lines(printed_at, number, text, critical=critical)
    stream = "".join(line + end for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    events = decode(*pieces)
    assert all(event.critical is critical for event in events)
    meant = [placed(event, layout.node, printed_at) for _, _, event in cases]
    found = [read_host_event(HOST, event) for event in events if event.process == "$ZSVR"]
    assert found == meant
    others = [read_host_event(HOST, event) for event in events if event.process != "$ZSVR"]
    assert all(other is None or isinstance(other, RequestsForgotten) for other in others)


@given(st.text(max_size=500), st.lists(st.integers(0, 500), max_size=5))
def test_random_text_never_raises_and_cuts_change_nothing(text: str, cuts: list[int]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts})
    pieces = [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert decode(*pieces) == decode(text)


@given(st.lists(st.sampled_from([DENSITY, "junk\n", "  x\n", "TACL 1> ", "06-09-14 22:00:01 "])))
def test_garbage_between_events_loses_no_header(parts: list[str]) -> None:
    found = decode("".join(f"{part}\n" for part in parts) + MAIL)
    assert found[-1] == MEANT[1]


def test_a_critical_mark_and_a_negative_number() -> None:
    (event,) = decode(header("text", number="-00012", mark="* ") + "\n")
    assert (event.critical, event.number, event.ssid) == (True, -12, "TANDEM.TAPE.G06")
    (event,) = decode(header("text", mark="*") + "\n")
    assert event.critical


def test_an_event_without_text_or_node() -> None:
    assert parse_event("06-09-14 22:00:01 $ZSVR TANDEM.TAPE.G06 000601") == EmsEvent(
        "06-09-14 22:00:01", "", "$ZSVR", "TANDEM.TAPE.G06", 601, ""
    )


def test_an_event_is_given_when_the_next_begins_or_time_has_passed() -> None:
    decoder = EmsLineDecoder()
    assert decoder.feed(header("one") + "\n") == []
    assert [event.text for event in decoder.feed(header("two") + "\n")] == ["one"]
    assert [event.text for event in decoder.flush()] == ["two"]
    assert decoder.flush() == []
    assert decoder.feed(header("three") + "\n") == []


def test_what_comes_after_a_flush_gives_the_event_once_more_and_longer() -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("$ZSVR: 0042 MOUNT") + "\n")
    (early,) = decoder.flush()
    assert not early.amended
    decoder.feed("        X00001 WITH RING\n")
    (late,) = decoder.flush()
    assert (late.text, late.amended) == ("$ZSVR: 0042 MOUNT X00001 WITH RING", True)
    assert decoder.feed(header("next") + "\n") == []


def test_half_a_line_waits_for_its_end_unless_told_otherwise() -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("STATUS 1512 - X00001 TAPE DIS"))
    assert decoder.flush() == []
    (half,) = decoder.flush(unfinished_too=True)
    assert half.unfinished
    assert decoder.flush(unfinished_too=True) == []
    decoder.feed("MOUNTED FROM DRIVE $T\n")
    (whole,) = decoder.flush()
    assert (whole.text, whole.amended, whole.unfinished) == (
        "STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $T",
        True,
        False,
    )


@pytest.mark.parametrize("indent", ["   ", ""])
def test_half_a_continuation_line_finds_its_event(indent: str) -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("STATUS 1512 - X00001") + f"\n{indent}TAPE DISMOUNTED FR")
    assert [event.text for event in decoder.flush(unfinished_too=True)] == [
        "STATUS 1512 - X00001 TAPE DISMOUNTED FR"
    ]
    decoder.feed("OM DRIVE $T\n")
    (whole,) = decoder.flush()
    assert whole.text == "STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $T"
    assert decoder.garbage_count == 0


def test_a_header_that_has_not_ended_is_given_after_the_event_before_it() -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("one") + "\n" + header("two"))
    assert [e.text for e in decoder.flush(unfinished_too=True)] == ["one", "two"]
    assert decoder.flush(unfinished_too=True) == []


def test_an_unindented_line_after_a_pause_is_no_continuation() -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("one") + "\n")
    decoder.flush()
    decoder.feed("something else\n")
    assert decoder.flush() == []
    assert list(decoder.garbage) == ["something else"]


def test_a_prompt_is_no_continuation_and_may_stand_before_a_header() -> None:
    decoder = EmsLineDecoder()
    assert [e.text for e in decoder.feed(header("one") + "\nTACL 2> \n")] == ["one"]
    decoder.feed("\\DEV2.$SYSTEM.VTS 3> " + header("two") + "\n")
    assert [e.text for e in decoder.flush()] == ["two"]


def test_what_is_typed_after_a_prompt_is_no_continuation() -> None:
    (event,) = decode(header("one") + "\nTACL 2> STATUS *, USER\n")
    assert event.text == "one"


def test_a_header_in_a_comment_is_no_header() -> None:
    forged = header("STATUS 1512 - X1 TAPE DISMOUNTED FROM DRIVE $T")
    (event,) = decode(header("$ZSVR: 0001 MOUNT X1 WITH RING") + f"\n    {forged}\n")
    assert event.text.startswith("$ZSVR: 0001 MOUNT X1 WITH RING 06-09-14")
    (event,) = decode(header("$ZSVR: 0001 MOUNT X1 WITH RING") + f"\n    12> {forged}\n")
    assert event.text.startswith("$ZSVR: 0001 MOUNT X1 WITH RING 12> 06-09-14")


def test_garbage_is_counted_and_the_latest_kept() -> None:
    decoder = EmsLineDecoder()
    for n in range(100):
        decoder.feed(f"junk {n}\n")
    assert decoder.garbage_count == 100
    assert list(decoder.garbage) == [f"junk {n}" for n in range(100 - KEPT_GARBAGE, 100)]


def test_what_begins_as_a_header_and_is_none_is_garbage() -> None:
    decoder = EmsLineDecoder()
    decoder.feed("06-09-14 22:00:01 what is this\n" + header("one") + "\n")
    assert decoder.garbage_count == 1
    assert [e.text for e in decoder.flush()] == ["one"]


def test_memory_is_bounded() -> None:
    decoder = EmsLineDecoder()
    for _ in range(1000):
        decoder.feed("x" * 1000)
    assert len(decoder.unfinished_line) == MAX_LINE
    decoder.feed("\n" + header("one") + "\n")
    for _ in range(10000):
        decoder.feed("    and more of it\n")
    (event,) = decoder.flush()
    assert len(event.text) <= MAX_EVENT
    assert decoder.shortened_count > 0


@pytest.mark.parametrize(
    "line", ["TACL 1>", "TACL 12> ", "12> ", "\\DEV2.$SYSTEM.VTS 3>", "$DATA1 VTS 4> "]
)
def test_prompts(line: str) -> None:
    assert is_prompt(line)


@pytest.mark.parametrize("line", ["", ">", "a > b", "TACL", "Password:", "x 1> y"])
def test_no_prompts(line: str) -> None:
    assert not is_prompt(line)


@pytest.mark.parametrize("line", ["$" + "a" * 4000, "$a" + " a1" * 1500, "1" * 4000, "\\" * 4000])
def test_hostile_lines_take_linear_time(line: str) -> None:
    # Quadratic matching would take minutes for these.
    for _ in range(200):
        assert not is_prompt(line)
        assert parse_event(f"06-09-14 22:00:01 {line}") is None


def test_a_header_is_not_tied_to_column_widths() -> None:
    narrow = re.sub(r" +", "   ", header("one"))
    assert decode(narrow + "\n") == decode(header("one") + "\n")


def test_words_that_a_narrow_device_cut_are_found_together_again() -> None:
    line = header("$ZSVR: 0042 VOLUME X00001 MOUNTED", number="000648")
    for width in range(18, len(line)):
        cut = "".join(f"{line[at : at + width]}\n" for at in range(0, len(line), width))
        (event,) = decode(cut)
        found = read_host_event(HOST, event)
        assert isinstance(found, VolumeMounted), cut
        assert (found.request, found.volume) == (42, "X00001")


@pytest.mark.parametrize("indent", [1, 7, 20])
@pytest.mark.parametrize("width", [60, 79, 80, 132])
def test_words_that_were_cut_before_an_indent_are_found_together_again(
    width: int, indent: int
) -> None:
    # Two breaks at least: of a single one nobody can tell whether it took a blank's place.
    comment = "NIGHTLY BACKUP, NO RING NEEDED " * 4
    for more in range(30):
        line = header(
            f"$ZSVR: 0042 MOUNT X00001 REEL 2 ON $VTAPE0 WITH RING {comment}",
            number=" " * more + "000600",
        )
        room = width - indent
        rest = [line[at : at + room] for at in range(width, len(line), room)]
        (event,) = decode("\n".join([line[:width], *(" " * indent + part for part in rest)]) + "\n")
        found = read_host_event(HOST, event)
        assert isinstance(found, MountRequested), (more, event.text)
        assert (found.request, found.ring) == (42, Ring.WITH_RING)


@pytest.mark.parametrize("room", [7, 9, 12])
def test_words_longer_than_a_line_are_found_together_again(room: int) -> None:
    words = ["STATUS", "1512", "-", "X00001", "TAPE", "DISMOUNTED", "FROM", "DRIVE", "$V"]
    pieces = [word[at : at + room] for word in words for at in range(0, len(word), room)]
    first = header("", number="000659").rstrip()
    full = f"{'':{len(first) - room}}"
    (event,) = decode(first + "\n" + "".join(f"{full}{piece}\n" for piece in pieces))
    assert read_host_event(HOST, event) == TapeDismounted(
        HOST, "X00001", "$V", node="\\DEV2", printed_at="06-09-14 22:00:01"
    )


@given(st.data())
def test_headers_that_are_wrapped_themselves_and_no_indent_at_all(data: st.DataObject) -> None:
    cases: list[Case] = data.draw(st.lists(printed_cases(), min_size=1, max_size=4))
    # What looks like a prompt at the left edge is taken for one.
    cases = [(number, text.replace("1>", "1"), event) for number, text, event in cases]
    layout = Layout(width=data.draw(st.integers(20, 132)), indent=data.draw(st.integers(0, 20)))
    stream = "".join(
        f"{line}\n"
        for number, text, _ in cases
        for line in layout.lines("06-09-14 22:00:01", number, text)
    )
    found = [read_host_event(HOST, event) for event in decode(stream)]
    meant = [placed(event, layout.node, "06-09-14 22:00:01") for _, _, event in cases]
    assert found == meant


@pytest.mark.parametrize(
    "before",
    ["Enter Choice> ", "$ ", "/home/vts: ", "half a word", "Password:", "TACL 1>", "2> ", "x\r"],
)
def test_an_event_on_the_line_of_something_else_is_recovered(before: str) -> None:
    events = decode(before + header("one") + "\n" + header("two") + "\n")
    assert [event.text for event in events] == ["one", "two"]


def test_an_event_on_a_line_that_was_given_up_is_recovered() -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("STATUS 1512 - X00001 TAPE DIS"))
    (half,) = decoder.flush(unfinished_too=True)
    assert half.unfinished
    given = decoder.feed(header("two") + "\n" + header("three") + "\n")
    assert [event.text for event in given] == ["STATUS 1512 - X00001 TAPE DIS", "two"]


def test_a_forged_header_within_a_line_stays_in_its_comment() -> None:
    forged = header("STATUS 1512 - X1 TAPE DISMOUNTED FROM DRIVE $T", number="000659")
    request = header("$ZSVR: 0001 MOUNT X1 WITH RING", number="000600")
    for line in (f"{request} {forged}\n", f"{request}\n    {forged}\n", f"{request}\nX {forged}\n"):
        (event,) = decode(line)
        assert event.number == 600
    decoder = EmsLineDecoder()
    decoder.feed(request)
    decoder.flush(unfinished_too=True)
    assert [e.number for e in decoder.feed(f" X{forged}\n") + decoder.flush()] == [600]


def test_a_date_at_the_left_edge_is_no_header_unless_one_follows() -> None:
    request = header("$ZSVR: 0001 MOUNT X1 WITH RING DUE", number="000600")
    (event,) = decode(f"{request}\n06-09-14 22:00:01 AT THE LATEST\n")
    assert event.text.endswith("DUE 06-09-14 22:00:01 AT THE LATEST")


@pytest.mark.parametrize(
    "end", ["\n", "\r\n", "\r\r\n", "\n\r", "\r", "\r\0\n", "\n\0\0\0", "\f", "\n\f"]
)
@pytest.mark.parametrize("begin", ["", "\0", "\x07", "\x1b[0m", "\x11", "\x1b[2J\x1b[1;1H"])
def test_paper_and_terminal_controls_are_no_text(begin: str, end: str) -> None:
    lines = [header("$ZSVR: 0042 MOUNT"), "\tX00001\tWITH RING", header("next")]
    (event, _) = decode("".join(begin + line + end for line in lines) + "\n")
    assert event.text == "$ZSVR: 0042 MOUNT X00001 WITH RING"


@pytest.mark.parametrize(
    "mark", ["* ", "*  ", "*", " * ", "  *  "], ids=["gap", "wide", "none", "apart", "both"]
)
@pytest.mark.parametrize("sender", ["\\MTL.02,171", "\\MTL.2, 171", "$ZSVR", "\\DEV2.$ZSVR"])
def test_the_critical_mark_in_any_column(mark: str, sender: str) -> None:
    for gap in ("", " ", "   "):
        if not (gap + mark).startswith((" ", "*")):
            continue
        line = f"06-09-14 22:00:01 {sender}{gap}{mark}CUSTOMER.1.J00  -00004 Program:"
        (event,) = decode(line + "\n")
        assert (event.critical, event.number, event.ssid) == (True, -4, "CUSTOMER.1.J00")
        assert event.process == sender.rpartition(".")[2]


def test_a_year_may_have_its_century() -> None:
    assert decode("20" + header("one") + "\n20" + header("two") + "\n") == decode(
        header("one") + "\n" + header("two") + "\n"
    )


def test_headers_in_small_letters() -> None:
    (event,) = decode(header("text").lower() + "\n")
    assert (event.node, event.process, event.subsystem) == ("\\dev2", "$zsvr", "TAPE")
    assert read_host_event(HOST, event) is not None


def test_a_pause_within_a_line_without_an_indent_takes_nothing_from_its_event() -> None:
    decoder = EmsLineDecoder()
    decoder.feed(header("$ZSVR: 0001 MOUNT") + "\nX000")
    decoder.flush()
    decoder.feed("01 NO RING\n")
    (event,) = decoder.flush()
    found = read_host_event(HOST, event)
    assert isinstance(found, MountRequested)
    assert (found.volume, found.ring) == ("X00001", Ring.NO_RING)


@pytest.mark.parametrize("length", range(1, 18))
def test_the_beginning_of_a_date_is_no_part_of_the_event_before(length: int) -> None:
    decoder = EmsLineDecoder()
    one, other = header("$ZSVR: 0001 VOLUME X00001 MOUNTED"), header("$ZSVR: 0002 MOUNT A NO RING")
    decoder.feed(f"{one}\n{other[:length]}")
    (event,) = decoder.flush(unfinished_too=True)
    assert event == parse_event(one)
    decoder.feed(f"{other[length:]}\n")
    assert decoder.flush() == [parse_event(other)]
