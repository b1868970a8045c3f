"""What somebody may have meant by a name that names nothing."""

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

#: More names than these are not listed, but counted.
MOST_LISTED = 8

#: How alike two names are that may be taken for each other, from 0 to 1.
_ALIKE = 0.6
_ALIKE_PATHS = 0.85

#: Of more names than these only those that begin or end alike are compared: it takes time.
_MANY = 2000

_DIGIT = re.compile("[0-9]")


def near(name: str, known: Iterable[str], *, numbered: bool = False) -> str:
    """Return the one of *known* that *name* is likely to stand for, whatever its case; empty if none.

    If they are *numbered*, as labels are, what differs in digits alone is another one, and no slip.
    """
    names, wanted = list(known), name.upper()
    if len(names) > _MANY:
        begins, ends = wanted[:-2], wanted[-2:]
        names = [n for n in names if n.upper().startswith(begins) or n.upper().endswith(ends)]
    by_capitals = {each.upper(): each for each in reversed(names[:_MANY])}
    if numbered:
        by_capitals = {e: by_capitals[e] for e in by_capitals if not _is_next_one(wanted, e)}
    # What paths have in common says nothing: /VAULT00/PAY is not meant by /VAULT00/SCRAP.
    head = wanted[: wanted.rfind("/") + 1]
    beside = [each for each in by_capitals if head and each.startswith(head)]
    tails = {each.removeprefix(head): each for each in beside}
    found = [tails[tail] for tail in get_close_matches(wanted.removeprefix(head), tails, 1, _ALIKE)]
    others = [each for each in by_capitals if each not in beside]
    found = found or get_close_matches(wanted, others, 1, _ALIKE_PATHS if head else _ALIKE)
    return by_capitals[found[0]] if found else ""


def _is_next_one(wanted: str, name: str) -> bool:
    """Tell whether they differ in digits alone: X00017 is another tape than X00011, no slip."""
    return wanted != name and _DIGIT.sub("0", wanted) == _DIGIT.sub("0", name)


def hint(name: str, known: Iterable[str], *, otherwise: str = "") -> str:
    """Return a question such as ``; did you mean drsite?``, or *otherwise* where nothing is near."""
    found = near(name, known)
    return f"; did you mean {found}?" if found else otherwise


def listed(known: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return the names in *known* as a text, the first *most* of very many."""
    left_out = len(known) - most
    names = ", ".join(known[:most]) or "none"
    return f"{names} and {left_out} more" if left_out > 0 else names
