"""Where in the settings file each key stands, and each value as the file would write it."""

import json
from collections.abc import Iterator
from typing import Any

import yaml

from vtsfs.contract.settings import Settings

#: A key by its parts; an entry of a list has its number for a name.
Key = tuple[str, ...]

_MERGE = "tag:yaml.org,2002:merge"


def written(value: Any) -> str:
    """Write *value* as YAML on one line."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    text = text.removesuffix("\n...\n").strip()
    # A text of several lines is written on one, as JSON and YAML alike have it.
    return json.dumps(value) if "\n" in text else text


def lines_of(text: str) -> dict[Key, int]:
    """Return the line of each key in *text*, from 1; empty for what is no YAML.

    What is merged in (``<<``) stands where it was written.
    """
    found: dict[Key, int] = {}
    try:
        _enter(yaml.compose(text, Loader=yaml.SafeLoader), (), found)
    except (yaml.YAMLError, RecursionError):
        return {}
    return found


def _enter(node: Any, key: Key, found: dict[Key, int]) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, entry in enumerate(node.value):
            found[*key, str(index)] = entry.start_mark.line + 1
            _enter(entry, (*key, str(index)), found)
    elif isinstance(node, yaml.MappingNode):
        merged = [value for name, value in node.value if name.tag == _MERGE]
        for value in merged:
            # Of several that are merged in, the first one counts.
            several = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for each in reversed(several):
                _enter(each, key, found)
        for name, value in node.value:
            if name.tag != _MERGE and isinstance(name, yaml.ScalarNode):
                found[*key, name.value] = name.start_mark.line + 1
                _enter(value, (*key, name.value), found)


def values_of(settings: Settings) -> Iterator[tuple[Key, Any]]:
    """Return every key with its value as the file writes it, lists of plain values as one value."""
    return _values((), settings.model_dump(mode="json"))


def _values(key: Key, value: Any) -> Iterator[tuple[Key, Any]]:
    if isinstance(value, dict) and value:
        for name, part in value.items():
            yield from _values((*key, str(name)), part)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for index, part in enumerate(value):
            yield from _values((*key, str(index)), part)
    else:
        yield key, value
