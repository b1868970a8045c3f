"""A password in memory: shown nowhere, and found wherever a host echoes it.

Pure. A host may show what was typed in many ways: in capitals, wrapped at the width of the
terminal, with control characters or colours in between, cut off. Whatever is quoted of a host goes
through `Secret.redact`, which drops whole lines: asterisks in the place of single characters would
tell which ones they were.

What a host turns into something else (backwards, in hexadecimal) cannot be found by looking for
it. A host that does so knew the password, and tells it to who gave it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

PIECE: Final = 4
"""This many characters of a secret in a row give it away."""
SCATTERED: Final = 6
"""The same where other characters stand in between, which comes about by chance more easily."""
NOT_SHOWN: Final = "(not shown)"

# Control characters, blanks and the soft hyphen: a terminal shows nothing there.
_UNSEEN = r"[\x00-\x20\x7f-\xa0\xad]"
# What steers a terminal (ECMA-48): control sequences, strings, and two-character escapes.
_ESCAPE = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]P^_X]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)


class Secret:
    """Hold a text that no message, log line or traceback shows."""

    __slots__ = ("_looks", "_text", "_wholes")

    def __init__(self, text: str) -> None:
        self._text = text
        self._looks = _looks_for(text, PIECE, SCATTERED)
        self._wholes = _looks_for(text, len(text), len(text))[:2]

    def __bool__(self) -> bool:
        """Whether there is a secret at all."""
        return bool(self._text)

    def reveal(self) -> str:
        """Give the text itself, to be sent and nothing else."""
        return self._text

    def redact(self, text: str) -> str:
        """Put a note in the place of every line of *text* in which the secret can be read.

        Any `PIECE` characters of it in a row count, in whatever case, also over the ends of lines.
        """
        read = _PHRASES.sub(lambda phrase: _INNOCENT * len(phrase[0]), text)
        found = {line for look in self._looks for line in look.lines_found_in(read)}
        if not found:
            return text
        lines = text.split("\n")
        return "\n".join(NOT_SHOWN if at in found else line for at, line in enumerate(lines))

    def is_in(self, text: str) -> bool:
        """Tell whether all of the secret can be read in *text*, in whatever case, over line ends.

        For what a host prints of its own accord, where a few characters in a row of a password such
        as ``Tape.4Two`` are ordinary words.
        """
        return any(look.finds(text) for look in self._wholes)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))


# What hosts say about passwords (TACL reference manual 429513-018, Safeguard user's guide
# 422089-020) tells nothing of one, even if one is made of these words.
_PHRASES = re.compile(
    r"(?i)\binvalid\s+user(?:\s?name)?\s+or\s+password\b"
    r"|\b(?:re-?)?enter\s+(?:new|old|current)\s+password\b"
    r"|\bpassword(?:\s+has)?\s+expire[ds]\b"
    r"|\bpassword(?=\s?:)"
)
_INNOCENT: Final = "\uffff"


@dataclass(frozen=True, slots=True)
class _Look:
    """One way to look at a text: what is passed over, and the pieces that must not be found."""

    passed_over: re.Pattern[str]
    pieces: frozenset[str]

    def finds(self, text: str) -> bool:
        """Tell whether there is a piece in *text*."""
        thin = self.passed_over.sub("", text).casefold()
        return any(piece in thin for piece in self.pieces)

    def lines_found_in(self, text: str) -> set[int]:
        """Number the lines of which a piece takes something."""
        # Nearly always nothing is found, and where it would stand need not be known.
        if not self.finds(text):
            return set()
        thin, line_of = self._traced(text)
        found: set[int] = set()
        for piece in self.pieces:
            at = thin.find(piece)
            while at >= 0:
                found.update(line_of[at : at + len(piece)])
                at = thin.find(piece, at + 1)
        return found

    def _traced(self, text: str) -> tuple[str, list[int]]:
        """Thin *text* out, and give for each character that is left the line it stands in."""
        left = bytearray(b"\1" * len(text))
        for match in self.passed_over.finditer(text):
            left[match.start() : match.end()] = bytes(match.end() - match.start())
        thin: list[str] = []
        line_of: list[int] = []
        line = 0
        for character, is_left in zip(text, left, strict=True):
            if character == "\n":
                line += 1
            if is_left:
                folded = character.casefold()
                thin += folded
                line_of += [line] * len(folded)
        return "".join(thin), line_of


def _looks_for(secret: str, piece: int, scattered: int) -> tuple[_Look, ...]:
    # Also as a host shows it that takes what we type for UTF-8, or sends that.
    forms = (secret, secret.encode("utf-8", "replace").decode("latin-1"))
    bare = {folded for form in forms if (folded := re.sub(_UNSEEN, "", form).casefold())}
    if not bare:
        return ()
    known = {same for form in (*forms, *bare) for same in form + form.upper() + form.lower()}
    foreign = f"{_UNSEEN}|[^{''.join(re.escape(character) for character in sorted(known))}]"
    return (
        _Look(re.compile(f"(?:{_UNSEEN})+"), _pieces(bare, piece)),
        _Look(re.compile(f"{_ESCAPE}|{_UNSEEN}"), _pieces(bare, piece)),
        _Look(re.compile(f"(?:{foreign})+"), _pieces(bare, scattered)),
    )


def _pieces(secrets: set[str], most: int) -> frozenset[str]:
    return frozenset(
        secret[at : at + min(most, len(secret))]
        for secret in secrets
        for at in range(max(1, len(secret) - most + 1))
    )
