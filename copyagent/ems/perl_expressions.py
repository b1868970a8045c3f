"""Perl's regular expressions, as the original's configuration writes them, in Python's words.

Pure. Most of both languages is the same (perlre, Python's ``re``). What is written otherwise is
rewritten; what Python has no words for is refused with the reason, since an expression that means
nearly the same is worse than none.
"""

from __future__ import annotations

import re
from typing import Final

_DELIMITED = re.compile(r"\s*(?:m|qr)?(?P<open>[/{(\[<!|,#~%])(?P<rest>.*)\Z", re.DOTALL)
_CLOSING: Final = {"{": "}", "(": ")", "[": "]", "<": ">"}
_FLAGS: Final = frozenset("imsx")
_FLAGS_WITHOUT_MEANING: Final = frozenset("go")
_SAME_IN_PYTHON: Final = frozenset("dDwWsSbBAnrtfa0123456789")
_OTHER_WORDS: Final = {
    "Z": r"(?=\n?\Z)",
    "z": r"\Z",
    "h": r"[ \t]",
    "R": r"(?:\r\n|[\n\r\f\x0b])",
    "e": r"\x1b",
    "E": "",
}
_OTHER_WORDS_IN_A_CLASS: Final = {"h": r" \t", "e": r"\x1b", "b": r"\b"}
_POSIX: Final = {
    "alpha": "A-Za-z",
    "digit": "0-9",
    "alnum": "A-Za-z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r"\s",
    "blank": r" \t",
    "word": r"\w",
    "xdigit": "0-9A-Fa-f",
}
_POSIX_CLASS = re.compile(r"\[:(\^?)(\w+):\]")
_HEXADECIMAL = re.compile(r"\\x(?:\{([0-9A-Fa-f]{1,2})\}|([0-9A-Fa-f]{2}))")
_GROUP = re.compile(r"\\g(?:\{(\d+)\}|(\d))|\\k(?:<(\w+)>|\{(\w+)\}|'(\w+)')")
_NAMED = re.compile(r"\(\?(?:<|')([A-Za-z_]\w*)(?:>|')")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]|\{)")


def python_expression(perl: str) -> str:
    """Return what *perl*, with or without its delimiters and flags, is in Python.

    Raises ValueError with the reason if there is nothing that means the same.
    """
    body, flags = _undelimited(perl)
    found = _Rewriter(body).rewrite()
    expression = f"(?{flags}){found}" if flags else found
    try:
        re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"has no meaning in Python: {error}") from error
    return expression


def _undelimited(perl: str) -> tuple[str, str]:
    delimited = _DELIMITED.match(perl)
    starts_as_one = perl.lstrip().startswith(("/", "m", "qr"))
    if delimited is None or not starts_as_one:
        return perl, ""
    opening = delimited["open"]
    body, closing, flags = delimited["rest"].rpartition(_CLOSING.get(opening, opening))
    if not closing:
        raise ValueError(f"begins with {opening} and does not end with it")
    flags = flags.strip()
    foreign = set(flags) - _FLAGS - _FLAGS_WITHOUT_MEANING
    if foreign:
        raise ValueError(f"has a flag that Python has not: {''.join(sorted(foreign))}")
    return body, "".join(sorted(set(flags) & _FLAGS))


class _Rewriter:
    def __init__(self, body: str) -> None:
        self._body = body
        self._at = 0
        self._out: list[str] = []

    def rewrite(self) -> str:
        while self._at < len(self._body):
            character = self._body[self._at]
            if character == "\\":
                self._escape()
            elif character == "[":
                self._character_class()
            elif named := _NAMED.match(self._body, self._at):
                self._put(f"(?P<{named[1]}>", named.end())
            elif _VARIABLE.match(self._body, self._at):
                raise ValueError("holds a variable")
            elif self._body.startswith(("(?{", "(??{"), self._at):
                raise ValueError("holds a program")
            else:
                self._put(character, self._at + 1)
        return "".join(self._out)

    def _put(self, text: str, at: int) -> None:
        self._out.append(text)
        self._at = at

    def _escape(self) -> None:
        after = self._body[self._at + 1 : self._at + 2]
        if hexadecimal := _HEXADECIMAL.match(self._body, self._at):
            self._put(rf"\x{int(hexadecimal[1] or hexadecimal[2], 16):02x}", hexadecimal.end())
        elif group := _GROUP.match(self._body, self._at):
            number, name = group[1] or group[2], group[3] or group[4] or group[5]
            self._put(f"(?:\\{number})" if number else f"(?P={name})", group.end())
        elif after == "Q":
            quoted, _, _ = self._body[self._at + 2 :].partition("\\E")
            self._put(re.escape(quoted), self._at + 2 + len(quoted))
        elif after in _OTHER_WORDS:
            self._put(_OTHER_WORDS[after], self._at + 2)
        elif after in _SAME_IN_PYTHON or not (after.isascii() and after.isalnum()):
            self._put(f"\\{after}", self._at + 2)
        else:
            raise ValueError(f"holds \\{after}, which Python has not")

    def _character_class(self) -> None:
        body, at = self._body, self._at + 1
        out = ["["]
        if body.startswith("^", at):
            out.append("^")
            at += 1
        first = at
        while at < len(body) and (body[at] != "]" or at == first):
            if body.startswith("--", at):
                raise ValueError("holds -- in a class, which Python keeps for other things")
            posix = _POSIX_CLASS.match(body, at)
            if posix is not None:
                if posix[1] or posix[2] not in _POSIX:
                    raise ValueError(f"holds {posix[0]}, which Python has not")
                out.append(_POSIX[posix[2]])
                at = posix.end()
            elif body[at] == "\\":
                self._at = at
                out.append(self._escape_in_a_class())
                at = self._at
            else:
                # Python keeps doubled ones of these for operations on sets.
                out.append(f"\\{body[at]}" if body[at] in "[]&|~" else body[at])
                at += 1
        if at >= len(body):
            raise ValueError("holds a [ that is not closed")
        self._put("".join([*out, "]"]), at + 1)

    def _escape_in_a_class(self) -> str:
        after = self._body[self._at + 1 : self._at + 2]
        if hexadecimal := _HEXADECIMAL.match(self._body, self._at):
            self._at = hexadecimal.end()
            return rf"\x{int(hexadecimal[1] or hexadecimal[2], 16):02x}"
        if after in _OTHER_WORDS_IN_A_CLASS:
            found = _OTHER_WORDS_IN_A_CLASS[after]
        elif after in _SAME_IN_PYTHON - {"A", "B"} or not (after.isascii() and after.isalnum()):
            found = f"\\{after}"
        else:
            raise ValueError(f"holds \\{after} in a class, which Python has not")
        self._at += 2
        return found
