"""Licence expressions (SPDX) and the texts that go with what is bundled."""

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from bundling.lock import BundleError

#: Below the tree: a folder for each component, and one for texts that several share.
FOLDER = "licences"
SHARED = "standard"

_TEXTS = ("LICEN[CS]E*", "COPYING*", "NOTICE*", "AUTHORS*")
_TOKEN = re.compile(r"[()]|[^\s()]+")


def spdx(expression: str, whose: str) -> str:
    """Return *expression* as SPDX writes it; raises `BundleError` if it is none.

    SQLite's dedication to the public has a name there, too (``blessing``).
    """
    try:
        return canonicalize_license_expression(expression)
    except InvalidLicenseExpression as error:
        raise BundleError(
            f"{whose}: {expression!r} is no SPDX expression; say the licence in components.yaml"
        ) from error


def alternatives(expression: str) -> list[frozenset[str]]:
    """Return the sets of licences of which one must be kept to (``A AND (B OR C)`` gives two).

    ``A WITH B`` is a licence of its own name.
    """
    tokens = _TOKEN.findall(expression)
    found = _any_of(tokens)
    if tokens:
        raise BundleError(f"{expression!r} is no SPDX expression: it goes on after its end")
    return found


def _any_of(tokens: list[str]) -> list[frozenset[str]]:
    found = _all_of(tokens)
    while tokens and tokens[0] == "OR":
        tokens.pop(0)
        found = found + _all_of(tokens)
    return found


def _all_of(tokens: list[str]) -> list[frozenset[str]]:
    found = _one(tokens)
    while tokens and tokens[0] == "AND":
        tokens.pop(0)
        others = _one(tokens)
        found = [left | right for left in found for right in others]
    return found


def _one(tokens: list[str]) -> list[frozenset[str]]:
    if not tokens:
        raise BundleError("an SPDX expression ends in the middle")
    word = tokens.pop(0)
    if word == "(":
        found = _any_of(tokens)
        if not tokens or tokens.pop(0) != ")":
            raise BundleError("an SPDX expression lacks a parenthesis")
        return found
    if tokens and tokens[0] == "WITH":
        tokens.pop(0)
        word = f"{word} WITH {tokens.pop(0)}"
    return [frozenset({word})]


def shared_texts(expression: str, available: Iterable[str]) -> tuple[str, ...] | None:
    """Return which of the *available* shared texts, by licence, do for *expression*; None if none do."""
    there = set(available)
    for wanted in alternatives(expression):
        if wanted <= there:
            return tuple(sorted(wanted))
    return None


def take_texts(source: Path, tree: Path, name: str) -> tuple[str, ...]:
    """Copy the texts below *source* to the folder of *name*; return their places in the tree."""
    found = sorted(path for pattern in _TEXTS for path in source.glob(pattern) if path.is_file())
    texts = [_take(path, path.name, tree, name) for path in found]
    return (*texts, *take_all(source / "licenses", tree, name))


def take_all(source: Path, tree: Path, name: str) -> tuple[str, ...]:
    """Copy every file below *source* to the folder of *name*; return their places in the tree."""
    paths = sorted(path for path in source.rglob("*") if path.is_file())
    return tuple(_take(path, str(path.relative_to(source)), tree, name) for path in paths)


def take_shared(source: Path, tree: Path, apache: Path) -> dict[str, str]:
    """Copy the texts that several share; return their places in the tree by licence."""
    texts = {path.stem: path for path in source.glob("*.txt")} | {"Apache-2.0": apache}
    return {
        licence: _take(path, f"{licence}.txt", tree, SHARED)
        for licence, path in sorted(texts.items())
    }


def _take(path: Path, as_name: str, tree: Path, folder: str) -> str:
    place = Path(FOLDER, folder, as_name)
    (tree / place).parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, tree / place)
    return str(place)
