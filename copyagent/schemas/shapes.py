"""What schemas are made of: values with their meaning, lists, and objects that may grow; pure.

Every key that is printed is described, those that are always there are required. More keys may come
within a version: whoever reads a document passes over what is not known. A key never changes its
meaning and is never taken away without another version.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

Schema = dict[str, Any]

_TIME: Final = (
    r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?(Z|[+-]\d\d:\d\d)"
    r"|-?\d+ s from 1970-01-01T00:00:00Z)$"
)


def text(meaning: str) -> Schema:
    """A text."""
    return {"type": "string", "description": meaning}


def whole(meaning: str) -> Schema:
    """A whole number that is not below 0: a count, a size in bytes, a number of something."""
    return {"type": "integer", "minimum": 0, "description": meaning}


def number(meaning: str) -> Schema:
    """A number with or without decimals."""
    return {"type": "number", "description": meaning}


def flag(meaning: str) -> Schema:
    """True or false."""
    return {"type": "boolean", "description": meaning}


def time(meaning: str) -> Schema:
    """A time: ISO 8601 in UTC, or with an offset where ``--local`` was asked for.

    A file's date that no calendar knows is written in seconds.
    """
    return {"type": "string", "pattern": _TIME, "description": meaning}


def word(words: Iterable[str], meaning: str) -> Schema:
    """One of *words*; more may come with a later release of the same version."""
    return {"type": "string", "enum": [str(each) for each in words], "description": meaning}


def or_null(schema: Schema) -> Schema:
    """The same, or null."""
    made = dict(schema)
    if "$ref" in made:
        meaning = made.pop("description", None)
        either: Schema = {"anyOf": [made, {"type": "null"}]}
        return either if meaning is None else either | {"description": meaning}
    made["type"] = [made["type"], "null"]
    if "enum" in made:
        made["enum"] = [*made["enum"], None]
    return made


def listed(items: Schema, meaning: str) -> Schema:
    """A list."""
    return {"type": "array", "items": items, "description": meaning}


def counts(meaning: str) -> Schema:
    """Counts by name."""
    return {
        "type": "object",
        "additionalProperties": {"type": "integer", "minimum": 0},
        "description": meaning,
    }


def texts(meaning: str) -> Schema:
    """A list of texts."""
    return listed({"type": "string"}, meaning)


def thing(
    keys: Mapping[str, Schema],
    maybe: Mapping[str, Schema] | None = None,
    meaning: str = "",
) -> Schema:
    """An object that always has *keys*, and *maybe* some others that are described as well."""
    made: Schema = {
        "type": "object",
        "required": list(keys),
        "properties": {**keys, **(maybe or {})},
    }
    return made | ({"description": meaning} if meaning else {})


def scalar(meaning: str) -> Schema:
    """A text, a number, true, false or null."""
    return {"type": ["string", "number", "boolean", "null"], "description": meaning}
