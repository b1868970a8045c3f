"""Looks at what ``--json`` printed by the schema that is printed for it, more strictly than others need.

Keys that no schema describes are welcome to whoever reads a document; here they are a mistake: what
is printed is to be described.
"""

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from copyagent.schemas.catalogue import DOCUMENTS, Document

#: What was checked and found to be right.
_CHECKED: set[tuple[str, object]] = set()

#: A longer text is no word that a schema could list, and no time.
_WORD = 40


def document_of(program: str, arguments: Sequence[str]) -> Document:
    """Return the kind of document that *program* prints for *arguments*, with ``--json`` in them."""
    words = [word for word in arguments if not word.startswith("-")]
    for document in DOCUMENTS.values():
        for command in document.by:
            *names, option = command.split() if "--" in command else [*command.split(), ""]
            names = names[1:] if names[0] == "vtsfs" else names
            wanted = "vtsfs" if command.startswith("vtsfs ") else "copyagent"
            others = [o for o in ("--verify", "--proofs") if o in arguments]
            if (
                program == wanted
                and words[: len(names)] == names
                and others == [option] * bool(option)
            ):
                return document
    raise AssertionError(f"no schema for {program} {' '.join(arguments)}")


def check_output(program: str, arguments: Sequence[str], printed: str) -> None:
    """Check what a command with ``--json`` has printed; nothing if it failed before."""
    if "--json" not in arguments or not printed:
        return
    document = document_of(program, arguments)
    if program == "vtsfs":
        found: list[Any] = json.loads(printed)
    elif document.lines:
        found = [json.loads(line) for line in printed.splitlines()]
    else:
        found = [json.loads(printed)]
    for each in found:
        check_document(document.name, each)


def check_document(name: str, value: object) -> None:
    """Check one document, or one line, of the kind called *name*.

    Tests ask for the state many times a second: what looks like one that was checked is not checked
    again, since a schema cannot tell them apart.
    """
    looks = name, _looks(value)
    if looks in _CHECKED:
        return
    faults = sorted(_validator(name).iter_errors(value), key=lambda error: list(error.path))
    told = [f"{'.'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in faults]
    assert not told, f"{name} is not as its schema has it:\n" + "\n".join(told)[:4000]
    _CHECKED.add(looks)


def _looks(value: object) -> object:
    """Return all of *value* that a schema looks at: keys, types, short words, the form of times."""
    match value:
        case dict():
            return "mapping", frozenset((key, _looks(inner)) for key, inner in value.items())
        case list():
            return "list", frozenset(map(_looks, value))
        case str():
            return re.sub(r"\d", "0", value) if len(value) <= _WORD else "..."
        case bool() | None:
            return value
        case int() | float():
            return type(value), value >= 0, value == 1
    return value


@cache
def _validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(strict(DOCUMENTS[name].schema()))


def strict(schema: Any) -> Any:
    """Return *schema* without room for keys that it does not describe."""
    made = deepcopy(schema)
    for part in _objects(made):
        part.setdefault("additionalProperties", False)
    return made


def _objects(schema: Any) -> list[dict[str, Any]]:
    """Find the objects whose keys are described; conditions speak of some of an object's alone."""
    if isinstance(schema, list):
        return [part for each in schema for part in _objects(each)]
    if not isinstance(schema, dict):
        return []
    inner = [
        part
        for key, value in schema.items()
        if key not in {"allOf", "oneOf", "if", "then"}
        for part in (_within(value) if key == "properties" else _objects(value))
    ]
    return [schema, *inner] if "properties" in schema and schema.get("type") else inner


def _within(properties: dict[str, Any]) -> list[dict[str, Any]]:
    return [part for each in properties.values() for part in _objects(each)]
