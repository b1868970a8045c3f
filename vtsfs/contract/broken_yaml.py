"""A settings file that is no YAML: where it breaks, and what can still be read of it.

An agent that runs goes on with what it was given. To find it, whoever asks needs the paths of the
file alone, and a bracket that is missing elsewhere must not keep them out.
"""

import re
from collections.abc import Callable
from typing import Any

import yaml

#: A key at the beginning of a line begins a section; a list's dash, a blank and a comment do not.
_SECTION = re.compile(r"^(?=[^ \r\n#\-\]}])", re.MULTILINE)


def why_not_yaml(error: Exception) -> str:
    """Say on which line a text is no YAML, and what was met there, by what the parser raised."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"not YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    found = error.problem or "it ends too early"
    begun = error.context_mark
    within = ""
    if error.context:
        since = (
            f" that begins on line {begun.line + 1}" if begun and begun.line != mark.line else ""
        )
        within = f" ({error.context}{since})"
    return f"not YAML: line {mark.line + 1}, column {mark.column + 1}: {found}{within}"


def sections_that_are_yaml(text: str, read: Callable[[str], Any]) -> dict[str, Any]:
    """Return the sections of *text* that are YAML by themselves, as *read* reads them.

    *read* raises `yaml.YAMLError`, ValueError or RecursionError for what it cannot read.
    """
    found: dict[str, Any] = {}
    for section in _SECTION.split(text):
        try:
            data = read(section)
        except (yaml.YAMLError, ValueError, RecursionError):
            continue
        if isinstance(data, dict):
            found.update(data)
    return found
