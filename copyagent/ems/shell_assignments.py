"""Reading a file of shell-like assignments without a shell: nothing in it is carried out.

Pure. What a shell would take for an assignment is one here, quotes, continued lines and comments
included (POSIX.1-2017, XCU 2.2 and 2.3); a name may also hold what the original's names hold, and
blanks may stand round the equals sign. What is neither assignment nor comment is given back as it
is, with its line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_STATEMENT = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_:.-]*)[ \t]*=[ \t]*")
_ASSIGNMENT_WITHIN = re.compile(r"\n[ \t]*(?:export[ \t]+)?[A-Za-z_][A-Za-z0-9_:.-]*[ \t]*=")
_PLAIN = re.compile(r"[^\s;'\"\\$`]+")
_QUOTED_PLAIN = re.compile(r"[^\"\\$`]+")
_ESCAPED_IN_QUOTES: Final = frozenset('$`"\\\n')


@dataclass(frozen=True, slots=True)
class Assignment:
    """One ``name='value'``; *line* counts from 1.

    *would_change* tells that a shell would put something else in the place of a part of *value*
    (a variable, a command's output); here it is the text that was written.
    """

    line: int
    name: str
    value: str
    would_change: bool = False


@dataclass(frozen=True, slots=True)
class Stray:
    """What stands in a *line* and is no assignment, and *why* it is none."""

    line: int
    why: str


def read_assignments(text: str) -> tuple[list[Assignment], list[Stray]]:
    """Read every assignment of *text*, in order; never raises."""
    return _Reader(text.replace("\r\n", "\n")).read()


class _Unreadable(Exception):
    """What was begun as a value does not end as one; the message says why."""


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._counted = 0
        self._would_change = False

    def read(self) -> tuple[list[Assignment], list[Stray]]:
        found: list[Assignment] = []
        strays: list[Stray] = []
        while self._skip_to_statement():
            line = self._current_line()
            statement = _STATEMENT.match(self._text, self._at)
            if statement is None:
                self._skip_line()
                strays.append(Stray(line, "is no assignment"))
                continue
            self._at, start = statement.end(), self._at
            self._would_change = False
            try:
                value = self._value()
            except _Unreadable as error:
                self._at = start
                self._skip_line()
                strays.append(Stray(line, f"{statement['name']}: {error}"))
                continue
            found.append(Assignment(line, statement["name"], value, self._would_change))
            if self._rest_is_stray():
                why = f"{statement['name']}: what follows the value is left out"
                strays.append(Stray(self._current_line(), why))
                self._skip_line()
        return found, strays

    def _current_line(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = max(self._counted, self._at)
        return self._line

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _skip_line(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end + 1

    def _skip_to_statement(self) -> bool:
        while self._at < len(self._text):
            if self._text.startswith("\\\n", self._at):
                self._at += 2
            elif self._peek() == "#":
                self._skip_line()
            elif self._peek().isspace() or self._peek() == ";":
                self._at += 1
            else:
                return True
        return False

    def _rest_is_stray(self) -> bool:
        """Whether more stands behind a value than blanks, a comment or the next statement."""
        while self._peek() in {" ", "\t", "\r"}:
            self._at += 1
        return self._peek() not in {"", "\n", ";", "#"}

    def _value(self) -> str:
        parts: list[str] = []
        while True:
            character = self._peek()
            if character == "'":
                parts.append(self._single_quoted())
            elif character == '"':
                parts.append(self._double_quoted())
            elif character == "\\":
                after = self._text[self._at + 1 : self._at + 2]
                parts.append("" if after == "\n" else after)
                self._at += 2
            elif character and character in "$`":
                self._would_change = True
                parts.append(character)
                self._at += 1
            elif found := _PLAIN.match(self._text, self._at):
                parts.append(found[0])
                self._at = found.end()
            else:
                return "".join(parts)

    def _single_quoted(self) -> str:
        end = self._text.find("'", self._at + 1)
        return self._up_to(end, self._text[self._at + 1 : max(end, 0)])

    def _up_to(self, end: int, value: str) -> str:
        """Go on behind the quote at *end*; one that was forgotten must not swallow the file."""
        if end < 0 or _ASSIGNMENT_WITHIN.search(self._text, self._at, end):
            raise _Unreadable("its quotes are not closed")
        self._at = end + 1
        return value

    def _double_quoted(self) -> str:
        parts: list[str] = []
        at = self._at + 1
        while at < len(self._text):
            character = self._text[at]
            if character == '"':
                return self._up_to(at, "".join(parts))
            if character == "\\":
                after = self._text[at + 1 : at + 2]
                parts.append(after if after in _ESCAPED_IN_QUOTES else character + after)
                if after == "\n":
                    parts.pop()
                at += 2
            elif found := _QUOTED_PLAIN.match(self._text, at):
                parts.append(found[0])
                at = found.end()
            else:
                self._would_change = True
                parts.append(character)
                at += 1
        return self._up_to(-1, "")
