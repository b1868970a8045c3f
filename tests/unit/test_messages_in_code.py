"""Every place that writes a message of the catalogue gives it the fields that it has."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE, Message

ROOT = Path(__file__).parents[2]
#: Keywords of `EventLog.write` that are no fields of the text.
COLUMNS = {"now_ns", "user", "ip", "program", "once"}
#: What an act of an operator says of states: it becomes part of the mark.
STATES = {"old", "new"}
NAMES = {value: name for name, value in vars(messages).items() if isinstance(value, Message)}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for package in ("vtsfs", "copyagent"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name != "messages.py":
                yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def message_of(node: ast.expr) -> Message | None:
    """Return the message that ``messages.NAME`` or an imported ``NAME`` stands for."""
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    found = getattr(messages, name, None)
    return found if isinstance(found, Message) else None


def written() -> Iterator[tuple[str, Message, set[str]]]:
    """Find every call that is given a message and keywords, wherever it is."""
    for path, tree in trees():
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call) or any(k.arg is None for k in call.keywords):
                continue
            function = getattr(call.func, "attr", getattr(call.func, "id", ""))
            for argument in call.args:
                message = message_of(argument)
                if message is not None and function in {"write", "say", "say_once"}:
                    where = f"{path.relative_to(ROOT)}:{call.lineno}"
                    yield where, message, {str(k.arg) for k in call.keywords}


WRITTEN = list(written())


@pytest.mark.parametrize(
    ("where", "message", "given"), WRITTEN, ids=[f"{w}-{m.id}" for w, m, _ in WRITTEN]
)
def test_the_fields_are_given(where: str, message: Message, given: set[str]) -> None:
    assert set(message.fields) - given == set(), where
    states = STATES if message is messages.OPERATOR_ACTION else set()
    assert given - set(message.fields) - COLUMNS - states == set(), where


def test_no_message_is_only_in_the_catalogue() -> None:
    mentioned = {
        message.id
        for _, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name) and (message := message_of(node)) is not None
    }
    assert [NAMES[CATALOGUE[number]] for number in sorted(set(CATALOGUE) - mentioned)] == []
