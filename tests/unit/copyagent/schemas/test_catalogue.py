"""Every command's JSON has a schema, every schema is one, and what is kept beside the code agrees."""

import json
from pathlib import Path

import click
import pytest
from jsonschema import Draft202012Validator

from copyagent.cli.commands import copyagent
from copyagent.schemas.catalogue import DOCUMENTS, Document
from tests.support.documents import document_of, strict
from vtsfs.cli import cli as vtsfs

KEPT = Path(__file__).parents[4] / "packaging" / "schemas"
ALL = list(DOCUMENTS.values())


def with_json(
    program: str, group: click.Group, before: tuple[str, ...] = ()
) -> list[tuple[str, ...]]:
    """Return the words of every command that has the option ``--json``."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        words = (*before, name)
        if isinstance(command, click.Group):
            found += with_json(program, command, words)
        elif any("--json" in param.opts for param in command.params):
            found.append((program, *words))
    return found


COMMANDS = [*with_json("copyagent", copyagent), *with_json("vtsfs", vtsfs)]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_a_command_prints_has_a_schema(words: tuple[str, ...]) -> None:
    program, *command = words
    assert document_of(program, command).by


def test_every_command_that_a_schema_names_prints_json() -> None:
    named = {command.partition(" --")[0] for document in ALL for command in document.by}
    told = {" ".join(words).removeprefix("copyagent ") for words in COMMANDS}
    assert named == told


@pytest.mark.parametrize("document", ALL, ids=lambda document: document.name)
def test_a_schema_is_one(document: Document) -> None:
    schema = document.schema()
    Draft202012Validator.check_schema(schema)
    Draft202012Validator.check_schema(strict(schema))
    assert schema["required"][0] == "schema"
    assert schema["properties"]["schema"]["const"] == document.version
    assert json.loads(json.dumps(schema)) == schema


@pytest.mark.parametrize("document", ALL, ids=lambda document: document.name)
def test_the_kept_schema_is_what_is_printed(document: Document) -> None:
    """A change of what others rest on is to be seen in a review."""
    kept = json.loads((KEPT / document.file).read_text(encoding="ascii"))
    assert kept == document.schema(), "python -m tests.support.schema_files writes it anew"


def test_nothing_else_is_kept() -> None:
    assert {path.name for path in KEPT.iterdir()} == {document.file for document in ALL}


@pytest.mark.parametrize("document", ALL, ids=lambda document: document.name)
def test_others_may_find_keys_that_they_do_not_know(document: Document) -> None:
    assert "additionalProperties" not in document.schema()


def test_names_are_in_order_and_say_what_they_are() -> None:
    assert list(DOCUMENTS) == sorted(DOCUMENTS)
    assert [document.name for document in ALL if not document.by] == ["notify"]
    assert all(document.title and not document.title.endswith(".") for document in ALL)
