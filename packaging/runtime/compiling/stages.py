"""Which stages a runtime is made of, and the key under which each one's result is kept.

Pure: a key is a digest of everything that goes into a stage, so that a change of one component is
compiled alone, with what is linked against it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from compiling.sources import Choice, Component

NEEDS: Final[Mapping[str, tuple[str, ...]]] = {
    "zlib": (),
    "libffi": (),
    "sqlite": (),
    "openssl": (),
    "libfuse": (),
    "cpython": ("zlib", "libffi", "sqlite", "openssl"),
}
"""Each stage, in the order of building, and those whose results it is linked against."""

FORMAT: Final = 1
"""Counted up when the way of building changes without a change of any file named below."""


@dataclass(frozen=True)
class Surroundings:
    """What goes into every stage: time, tools, compiler and the script that calls recipes."""

    epoch: int
    tools: str
    scripts: Mapping[str, str]
    """Name and text of each script that takes part in every stage."""


def tools_key(lock: str) -> str:
    """Key of the compiler and builders: what their lock says besides comments."""
    lines = [line.strip() for line in lock.splitlines()]
    return digest(sorted(line for line in lines if line and not line.startswith("#")))


def stage_keys(
    components: Mapping[str, Component],
    choices: Mapping[str, Choice],
    recipes: Mapping[str, str],
    surroundings: Surroundings,
) -> dict[str, str]:
    """Work out every stage's key, each including those of the stages that it needs."""
    keys: dict[str, str] = {}
    for name, needs in NEEDS.items():
        keys[name] = digest(
            {
                "format": FORMAT,
                "files": sorted(choices[name].files.items()),
                "leave_out": list(components[name].leave_out),
                "recipe": recipes[name],
                "epoch": surroundings.epoch,
                "tools": surroundings.tools,
                "scripts": sorted(surroundings.scripts.items()),
                "needs": {need: keys[need] for need in needs},
            }
        )
    return keys


def runtime_key(
    keys: Mapping[str, str], assembly: Mapping[str, str], described: Mapping[str, object]
) -> str:
    """Key of the finished runtime: its stages, how they are put together, and what is told of them."""
    return digest([sorted(keys.items()), sorted(assembly.items()), dict(described)])


def digest(value: object) -> str:
    """SHA-256 of *value* as JSON with sorted keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def patches_to_apply(
    series: str, leave_out: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide quilt's *series* into the patches that are applied, in order, and those left out."""
    names = [words[0] for words in map(str.split, series.splitlines()) if words]
    names = [name for name in names if not name.startswith("#")]
    left_out = [name for name in names if any(fnmatchcase(name, glob) for glob in leave_out)]
    return tuple(name for name in names if name not in left_out), tuple(left_out)
