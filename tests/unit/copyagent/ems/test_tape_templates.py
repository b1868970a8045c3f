from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from copyagent.core.host_events import (
    HostEvent,
    MountRequested,
    RequestsForgotten,
    TapeNotice,
    TapeRefused,
    Unrecognised,
)
from copyagent.ems.lines import EmsEvent
from copyagent.ems.tape_events import read_host_event
from tests.support.ems_templates import HOST, TEMPLATES, Template, Words, every_form

#: Printed as they are, and not compared: in other letters they are still the same.
AS_PRINTED = {"printed", "text", "why", "alias"}


def read(text: str, number: int, process: str = "$ZSVR") -> HostEvent | None:
    event = EmsEvent("06-09-14 22:00:01", "\\DEV2", process, "TANDEM.TAPE.G06", number, text)
    found = read_host_event(HOST, event)
    return found and replace(found, node="", printed_at="")


def names(template: Template) -> str:
    return f"{template.number} {template.name}"


@pytest.mark.parametrize("template", TEMPLATES, ids=names)
@pytest.mark.parametrize("sender", ["", "$ZSVR: ", "$ZSVR:", "\\DEV2.$ZSVR: ", "$ZSVR : "])
def test_every_text_is_read_in_every_form(template: Template, sender: str) -> None:
    for words in every_form(template):
        number, text, meant = template.case(words)
        assert read(sender + text, number) == meant


@pytest.mark.parametrize("template", TEMPLATES, ids=names)
@pytest.mark.parametrize("change", [str.lower, str.upper, str.title, str.swapcase])
def test_letter_case_makes_no_difference(template: Template, change: Callable[[str], str]) -> None:
    for words in every_form(template):
        number, text, meant = template.case(words)
        found = read(change(text), number)
        assert type(found) is type(meant)
        for field in fields(found) if found else ():
            if field.name not in AS_PRINTED:
                assert getattr(found, field.name) == getattr(meant, field.name), text


@pytest.mark.parametrize("template", [t for t in TEMPLATES if t.numbered], ids=names)
@pytest.mark.parametrize("request_number", [0, 1, 42, 999, 9999])
def test_request_numbers_are_read_with_and_without_zeros(
    template: Template, request_number: int
) -> None:
    number, text, meant = template.case(Words(request=request_number))
    short = text.replace(f"{request_number:04d}", str(request_number), 1)
    assert read(text, number) == read(f"$ZSVR: {short}", number) == meant


@pytest.mark.parametrize("template", [t for t in TEMPLATES if t.sent_by_drive], ids=names)
def test_a_tape_process_in_front_or_in_the_header_is_the_drive(template: Template) -> None:
    number, text, meant = template.case(Words())
    assert isinstance(meant, TapeNotice | TapeRefused)
    there = replace(meant, drive="$TAPE-1")
    assert read(f"$tape-1: {text}", number) == there
    assert read(f"$ZSVR: $tape-1: {text}", number) == there
    assert read(text, number, process="$tape-1") == there


@pytest.mark.parametrize(
    "dash", ["-", " -", "- ", " -- ", "\u2014", " \u2013 ", "\x97", "\xe2\x80\x94"]
)
def test_any_dash_may_stand_before_a_message(dash: str) -> None:
    for template in TEMPLATES:
        number, text, meant = template.case(Words())
        if isinstance(meant, RequestsForgotten) or text.split()[0] not in {"STATUS", "ERROR"}:
            continue
        assert read(text.replace(" - ", dash, 1), number) == meant


def test_every_number_of_a_mount_request_is_in_the_table() -> None:
    numbers = {t.number for t in TEMPLATES if isinstance(t.meant(Words()), MountRequested)}
    assert numbers == {600, 601, 602, 603, 604, 605, 609, 610, 705, 706}
    assert {606, 607, 608, 634, 637, *range(638, 645), *range(648, 654)} < {
        t.number for t in TEMPLATES
    }


@pytest.mark.parametrize("template", TEMPLATES, ids=names)
def test_half_an_event_says_what_the_whole_one_says_or_less(template: Template) -> None:
    for words in list(every_form(template))[:12]:
        number, text, meant = template.case(words)
        for end in range(len(text)):
            half = EmsEvent("", "", "$ZSVR", "TANDEM.TAPE.G06", number, text[:end])
            # Lines end between words; one that has not ended may have stopped in any.
            found = read_host_event(HOST, replace(half, unfinished=text[end] != " "))
            if found is None or isinstance(found, Unrecognised | TapeNotice):
                continue
            assert type(found) is type(meant)
            for field in fields(found):
                told = getattr(found, field.name)
                if field.name in AS_PRINTED or told is None:
                    continue
                if field.name in {"drive", "process"} and getattr(found, "volume", None):
                    assert getattr(meant, field.name).startswith(told)
                else:
                    assert told == getattr(meant, field.name), text[:end]
