"""The parts that schemas are made of take what they say, and refuse what they do not."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from copyagent.core.history import Kind
from copyagent.schemas import of_evidence, of_hosts, of_set_up, of_tapes, shapes
from copyagent.schemas.shapes import Schema
from tests.support.documents import strict

TIME = shapes.time("when")
WORD = shapes.word(("one", "two"), "which")
THING = shapes.thing({"a": shapes.text("a")}, {"b": shapes.whole("b")}, "both")


def fits(schema: Schema, value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (TIME, "2026-11-22T01:02:03Z", "2026-11-22"),
        (TIME, "2026-11-22T01:02:03.045+01:00", "2026-11-22T01:02:03"),
        (TIME, "999999999999 s from 1970-01-01T00:00:00Z", None),
        (shapes.or_null(TIME), None, 5),
        (WORD, "one", "three"),
        (shapes.or_null(WORD), None, "three"),
        (shapes.whole("n"), 0, -1),
        (shapes.whole("n"), 7, 7.5),
        (shapes.number("n"), 7.5, "7.5"),
        (shapes.flag("f"), True, 1),
        (shapes.texts("t"), ["a"], [1]),
        (shapes.counts("c"), {"any": 1}, {"any": "1"}),
        (shapes.scalar("s"), None, []),
        (THING, {"a": "x", "more": []}, {"b": 1}),
        (THING, {"a": "x", "b": 1}, {"a": "x", "b": "1"}),
    ],
)
def test_what_fits(schema: Schema, good: object, bad: object) -> None:
    assert fits(schema, good)
    assert not fits(schema, bad)
    assert schema["description"]


def test_our_own_documents_have_no_key_that_is_not_described() -> None:
    assert not fits(strict(THING), {"a": "x", "more": []})
    assert fits(strict(shapes.counts("c")), {"any": 1})


def test_every_kind_of_entry_is_described() -> None:
    assert set(of_evidence.FACTS) == set(Kind)


@pytest.mark.parametrize("room", [of_evidence, of_hosts, of_set_up, of_tapes])
def test_everything_is_described(room: object) -> None:
    made = [value for name, value in vars(room).items() if name.isupper() and name[0] != "_"]
    bare: list[Schema] = []

    def look(schema: Any) -> None:
        if isinstance(schema, dict) and isinstance(schema.get("properties"), dict):
            for part in schema["properties"].values():
                if not {"description", "const", "properties"} & part.keys():
                    bare.append(part)
                look(part)
        elif isinstance(schema, dict) and "items" in schema:
            look(schema["items"])

    for each in made:
        look(each)
    assert bare == []
