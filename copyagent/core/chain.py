"""The chain of the history: what makes a changed, missing, added or cut-off entry show.

Each entry has a chain value, the SHA-256 of the former entry's value, a line feed and its own text
as it is stored. So a value names not one entry but all up to it: whoever has noted one down, on
paper or in another system's event log, can tell later whether anything before it is another now.

What the chain cannot show by itself: somebody who may write the state file can make all of it anew,
from the place of the change to the end. That shows against values that were noted elsewhere: the
event log carries one with each act of an operator, at each start and once a day.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

#: The value before the first entry.
START: Final = "0" * 64

#: How many digits of a value stand where there is little room, as in the event log.
SHORT: Final = 16

#: At the end alone: what stands before it can be an operator's words.
_MARK: Final = re.compile(r"history (\d{1,18}):([0-9a-f]{16,64})\]\s*$")


@dataclass(frozen=True, slots=True)
class Mark:
    """A chain value that was noted somewhere: of entry *number*; *value* may be its beginning."""

    number: int
    value: str

    def __str__(self) -> str:
        return f"{self.number}:{self.value}"

    @property
    def short(self) -> str:
        """The mark as the event log has it."""
        return f"history {self.number}:{self.value[:SHORT]}"


def link(previous: str, text: str) -> str:
    """Return the value of the entry with *text* after one with the value *previous*."""
    return sha256(f"{previous}\n{text}".encode()).hexdigest()


def marks_at_end(line: str) -> list[Mark]:
    """Return the mark at the end of a *line* of the event log, if there is one."""
    found = _MARK.search(line)
    return [] if found is None else [Mark(int(found[1]), found[2])]


def parse_mark(text: str) -> Mark | None:
    """Read NUMBER:HASH as an auditor has noted it down; None if it is not one."""
    found = re.fullmatch(r"(\d{1,18}):([0-9a-f]{16,64})", text.strip().lower())
    return None if found is None else Mark(int(found[1]), found[2])
