"""Whether the history is what was written: every entry looked at once, in the order of its number.

What is compared: each value with the one before and the entry's text; the text with the columns by
which entries are found; the numbers with each other; the beginning with what was pruned; the end
with the head, which is kept in another table; kept settings with the entry that names them; and all
of it with marks that were noted down elsewhere.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from copyagent.core.chain import START, Mark, link
from copyagent.core.dates import iso
from copyagent.core.history import Kind

#: A row of the history as it lies in the file: number, time, kind, tape, text, value.
Row = tuple[object, object, object, object, object, object]

#: Faults that are kept; of the others the number is told.
MOST_FAULTS: Final = 100

#: Characters kept of one: it quotes what somebody may have written into the file.
LONGEST_FAULT: Final = 500

_KEYS: Final = {
    *("number", "at_ns", "kind", "tape"),
    *("target", "generation", "settings", "facts"),
}


@dataclass(slots=True)
class Checked:
    """What was found. Nothing in *faults*: all is as it was written.

    *first* and *last* are numbers of entries, 0 without any; *newest* is what to note down. *late*
    is the last entry that a former release wrote and that was chained afterwards. *marks* counts
    those that agree, *pruned_marks* those of entries that are not kept any more.
    """

    count: int = 0
    first: int = 0
    last: int = 0
    first_ns: int = 0
    last_ns: int = 0
    newest: Mark = field(default_factory=lambda: Mark(0, START))
    late: int = 0
    pruned: int = 0
    marks: int = 0
    pruned_marks: int = 0
    fault_count: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def intact(self) -> bool:
        """Whether nothing was found."""
        return not self.fault_count

    def fault(self, text: str) -> None:
        """Add a fault."""
        self.fault_count += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(f"{text[:LONGEST_FAULT]}..." if len(text) > LONGEST_FAULT else text)


@dataclass(slots=True)
class _Walk:
    """The way through the rows, and what can be judged at its end only."""

    checked: Checked
    marks: dict[int, list[Mark]]
    value: str = START
    first_text: str = ""
    first_value: str = ""
    cut: tuple[int, str] | None = None
    late_first: int = 0
    settings: dict[str, str] = field(default_factory=dict)


def check(
    rows: Iterable[Row],
    head: str | None,
    settings: Mapping[str, str],
    marks: Iterable[Mark] = (),
) -> Checked:
    """Look at all *rows*, by number; *head* and *settings* are as they lie beside them.

    *marks* were noted down elsewhere, all of this history.
    """
    by_number: dict[int, list[Mark]] = {}
    for mark in marks:
        by_number.setdefault(mark.number, []).append(mark)
    walk = _Walk(Checked(), by_number)
    for row in rows:
        _step(walk, row)
    _check_beginning(walk)
    _check_end(walk, head)
    _check_marks(walk)
    for digest, kept in walk.settings.items():
        if digest not in settings:
            walk.checked.fault(f"the settings {digest[:16]} that were in force are missing")
        elif sha256(settings[digest].encode(errors="replace")).hexdigest() != kept:
            walk.checked.fault(f"the settings {digest[:16]} are not those that were in force")
    return walk.checked


def _step(walk: _Walk, row: Row) -> None:
    number, at_ns, kind, tape, text, value = row
    checked = walk.checked
    if not (isinstance(number, int) and isinstance(text, str) and isinstance(value, str)):
        checked.fault(f"entry {number}: is not of the form of an entry")
        return
    entry = _entry(text)
    if entry is None:
        checked.fault(f"entry {number}: its text was changed, it cannot be read")
    elif (entry["number"], entry["at_ns"], entry["kind"], entry["tape"]) != (
        *(number, at_ns),
        *(kind, tape),
    ):
        checked.fault(
            f"entry {number}: is filed as {kind} of {tape or 'no tape'} at {_time(at_ns)}, and its "
            f"text says {entry['number']}, {entry['kind']} of {entry['tape'] or 'no tape'} at "
            f"{_time(entry['at_ns'])}"
        )
    _follow(walk, number, text, value)
    if isinstance(at_ns, int):
        checked.first_ns, checked.last_ns = checked.first_ns or at_ns, at_ns
    if entry is not None:
        _note(walk, entry)
    for mark in walk.marks.pop(number, ()):
        if value.startswith(mark.value):
            checked.marks += 1
        else:
            checked.fault(
                f"entry {number}: its value was noted down as {mark.value} and is "
                f"{value[: len(mark.value)]}: it, or one before it, was changed since"
            )


def _follow(walk: _Walk, number: int, text: str, value: str) -> None:
    """Check that the entry comes after the one before."""
    checked = walk.checked
    if not checked.count:
        checked.first, walk.first_text, walk.first_value = number, text, value
        if number < 1:
            checked.fault(f"entry {number}: no entry has such a number")
    elif number != checked.last + 1:
        checked.fault(f"{_entries(checked.last + 1, number - 1)} missing")
    elif link(walk.value, text) != value:
        checked.fault(f"entry {number}: was changed, or does not belong behind entry {number - 1}")
    checked.count += 1
    checked.last, walk.value = number, value


def _note(walk: _Walk, entry: Mapping[str, Any]) -> None:
    """Remember what an entry says of the chain itself."""
    facts = entry["facts"]
    match entry["kind"]:
        case Kind.PRUNED if isinstance(facts.get("last"), int):
            walk.cut = facts["last"], str(facts.get("value"))
            walk.checked.pruned = facts["last"]
        case Kind.CHAINED if isinstance(facts.get("last"), int):
            walk.late_first, walk.checked.late = facts.get("first", 0), facts["last"]
        case Kind.LOADED if isinstance(facts.get("redacted"), str):
            walk.settings[str(entry["settings"])] = facts["redacted"]


def _check_beginning(walk: _Walk) -> None:
    """The first entry is the very first, or comes right after what was pruned."""
    checked, first = walk.checked, walk.checked.first
    if not checked.count:
        return
    if walk.cut is not None:
        pruned, value = walk.cut
        if first > pruned + 1:
            checked.fault(f"{_entries(pruned + 1, first - 1)} missing, and not on record as pruned")
        elif first <= pruned:
            checked.fault(f"entry {first}: is there, and entries up to {pruned} were pruned")
        elif link(value, walk.first_text) != walk.first_value:
            checked.fault(f"entry {first}: was changed, or does not belong behind the pruned ones")
    elif first not in (1, walk.late_first):
        if first > 1:
            checked.fault(f"{_entries(1, first - 1)} missing, and not on record as pruned")
    elif link(START, walk.first_text) != walk.first_value:
        checked.fault(f"entry {first}: was changed")


def _check_end(walk: _Walk, head: str | None) -> None:
    """The head, in another table, names the newest entry and its value."""
    checked = walk.checked
    checked.newest = Mark(checked.last, walk.value)
    text, _, value = (head or "0:").partition(":")
    number = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0
    if head is None and not checked.count:
        return
    if number > checked.last:
        checked.fault(f"{_entries(checked.last + 1, number)} missing: cut off at the end")
    elif number < checked.last:
        checked.fault(f"{_entries(number + 1, checked.last, plural='were', singular='was')} added")
    elif value != walk.value:
        checked.fault(f"entry {number}: is not the newest that was written")


def _check_marks(walk: _Walk) -> None:
    """Of entries that are not there, marks still tell that they were."""
    checked = walk.checked
    missing = [mark for marks in walk.marks.values() for mark in marks]
    for mark in sorted(missing, key=lambda mark: mark.number):
        if mark.number == 0 and START.startswith(mark.value):
            checked.marks += 1
        elif 0 < mark.number <= checked.pruned:
            checked.pruned_marks += 1
        elif mark.number > checked.last:
            checked.fault(
                f"entry {mark.number}: was noted down as {mark.value} and is not there: cut off at "
                "the end, or this is another history, begun anew or restored"
            )
        else:
            checked.fault(f"entry {mark.number}: was noted down as {mark.value} and is not there")


def _entry(text: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict) or not entry.keys() >= _KEYS:
        return None
    return entry if isinstance(entry["facts"], dict) else None


def _entries(first: int, last: int, *, plural: str = "are", singular: str = "is") -> str:
    if first >= last:
        return f"entry {first} {singular}"
    return f"entries {first} to {last} {plural}"


def _time(at_ns: object) -> str:
    return iso(at_ns) or "0" if isinstance(at_ns, int) else repr(at_ns)
