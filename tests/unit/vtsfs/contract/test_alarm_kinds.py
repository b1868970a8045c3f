"""Names for messages: by severity, by kind, by ID."""

import re
from pathlib import Path

import pytest

from vtsfs.contract import messages
from vtsfs.contract.alarm_kinds import BY_OVERLAY, KINDS, fault_of, kind_of, wants
from vtsfs.contract.messages import CATALOGUE


def test_a_message_is_wanted_by_its_severity_its_kind_or_its_id() -> None:
    for on in ("critical", "not-covered", "824140"):
        assert wants((on,), messages.NOT_COVERED)
    for on in ("error", "behind", "824141"):
        assert not wants((on,), messages.NOT_COVERED)
    assert not wants((), messages.NOT_COVERED)


@pytest.mark.parametrize("message", CATALOGUE.values(), ids=lambda message: str(message.id))
def test_every_message_has_a_kind(message: messages.Message) -> None:
    assert message.id in KINDS[kind_of(message)]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("erorr", "one of critical"),
        ("999999", "no message of that ID"),
        ("42", "six digits"),
        *((str(number), "the agent does not see") for number in BY_OVERLAY),
    ],
)
def test_what_names_nothing_is_refused(name: str, words: str) -> None:
    assert words in fault_of(name)


def test_the_manual_names_every_kind() -> None:
    page = (Path(__file__).parents[4] / "man" / "vts-autocopy.yaml.5").read_text(encoding="ascii")
    part = page[page.index(".It Va notify.on") : page.index(".It Va notify.run")]
    named = {word for line in part.splitlines() for word in re.split(r"[, ]+", line[:32])}
    assert set(KINDS) <= named


def test_kinds_and_ids_are_accepted() -> None:
    assert [fault_of(name) for name in (*KINDS, "824140")] == [""] * (len(KINDS) + 1)
