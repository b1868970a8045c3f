import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE, TEXT_LIMIT, Message, Severity, next_step

#: The numbers that operators, their filters and the manual know (the design, section 11).
PROMISED = {
    *(220101, 420102, 420103, 620104),
    *(224101, 424110, 624111, 624120, 624121, 624122, 624123, 224126),
    *(424130, 424131, 824140, 824141, 224170, 624180),
}
ALL = sorted(CATALOGUE.values(), key=lambda message: message.id)


def by_id(message: Message) -> str:
    return str(message.id)


def test_the_catalogue_has_every_message_once() -> None:
    defined = [value for value in vars(messages).values() if isinstance(value, Message)]
    assert len(defined) == len(CATALOGUE)
    assert set(CATALOGUE) >= PROMISED


def test_no_two_messages_are_alike() -> None:
    texts = [re.sub(r"\{\w+\}", "*", message.text) for message in ALL]
    assert len(set(texts)) == len(texts)
    assert len({message.id % 100_000 for message in ALL}) == len(ALL)


@pytest.mark.parametrize("message", ALL, ids=by_id)
def test_an_id_says_severity_and_subsystem(message: Message) -> None:
    assert message.severity in Severity
    assert message.id // 1000 % 100 in {20, 24}
    assert message.id % 1000 >= 100


@pytest.mark.parametrize("message", ALL, ids=by_id)
def test_every_message_has_a_next_step(message: Message) -> None:
    assert message.next_step.endswith((".", "TAPE", "TEXT", "--failed", "{pool}"))
    unknown = set(re.findall(r"\{(\w+)\}", message.next_step)) - set(message.fields)
    assert not unknown


@pytest.mark.parametrize("message", ALL, ids=by_id)
def test_long_fields_are_cut_and_the_fixed_words_stay(message: Message) -> None:
    text = message.render(dict.fromkeys(message.fields, f"<{'x' * 300}>"))
    assert len(text) <= TEXT_LIMIT
    for fixed in re.split(r"\{\w+\}", message.text):
        assert fixed in text


@pytest.mark.parametrize("message", ALL, ids=by_id)
@given(value=st.text(max_size=400), limit=st.integers(20, 400))
def test_no_field_breaks_the_line(message: Message, value: str, limit: int) -> None:
    text = message.render(dict.fromkeys(message.fields, value), limit=limit)
    assert len(text) <= limit
    assert "|" not in text
    assert text.isprintable()


def test_a_long_name_keeps_its_beginning_and_end() -> None:
    cause = "begin" + "-" * 300 + "end"
    text = messages.LINK_LOST.render({"host": "DEV2", "cause": cause})
    assert text.startswith("EMS link to DEV2 lost: begin-")
    assert text.endswith("-end")
    assert "~" in text
    assert len(text) == TEXT_LIMIT


def test_braces_in_a_field_are_only_text() -> None:
    assert "{host}" in messages.LINK_UP.render({"host": "{host}"})


def test_the_next_step_can_be_typed_in() -> None:
    tape = "/VAULT00/BILL/X00001"
    fields = {"tape": tape, "detail": "a writer"}
    assert f"copyagent release {tape} --because TEXT" in next_step(messages.CONFLICT, fields)
    assert "vtsfs attach VAULT00." in next_step(messages.NOT_COVERED, {"vault": "VAULT00"})
