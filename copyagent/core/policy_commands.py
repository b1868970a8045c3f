"""What a ``VTSPolicy`` command says: text in, an order out.

The grammar is that of the original (installation guide 6.02, page 52; operations guides 6.03.41 page
93, 6.04.04 page 97): after the command's name one quoted string, in single or double quotes; words in
it are separated by blanks, ``=`` joins a keyword and its value with or without blanks round it, and
``/`` and dots are parts of a word. Parameters are case-sensitive::

    VTSPolicy IDR "/VAULT00/BILL/X00001 s=TAPESRV1 d=drsite"

The keywords of IDR itself are in no manual that was seen; those of the backup applications are known
here. A keyword that is not known makes the command one that is not understood: ``S=OTHER`` must not
be passed over, and the rest be obeyed by a system it was not meant for.
"""

import re
from dataclasses import dataclass

from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import PoolId, TapeId

#: The commands of the original, but for IDR: backup applications, and what takes tapes away.
OTHER_COMMANDS = frozenset(
    {"HPD", "TSM", "BEX", "NBU", "LEG", "ARC", "FTX", "BMA", "DELETE", "ERASE"}
)

_LONG_NAMES = {"s": "source", "d": "destination", "st": "sourceTSM", "o": "optfile", "r": "r"}
_KEYWORDS = frozenset({*_LONG_NAMES.values(), "destinationTSM"})

_COMMAND = re.compile(r"\s*VTSPolicy\s+([^\s\"']+)\s*(.*)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"=|[^\s=]+")


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """``VTSPolicy IDR``, understood: bring *where* to *destination*, or to all its targets if None.

    *source* names the system that is to do it; None if the command leaves that open.
    """

    where: TapeId | PoolId
    source: str | None = None
    destination: str | None = None


@dataclass(frozen=True, slots=True)
class OtherCommand:
    """A command that is none of ours: *name* in capitals, empty if it is nobody's."""

    name: str


@dataclass(frozen=True, slots=True)
class NotUnderstood:
    """``VTSPolicy IDR`` with a *fault*; *source* as far as it could be read."""

    fault: str
    source: str | None = None


class _Fault(Exception):
    """What is wrong with the string of a command."""


def read_command(text: str) -> SyncOrder | OtherCommand | NotUnderstood:
    """Read a command from the word VTSPolicy on; never raises, and looks at each character once."""
    found = _COMMAND.match(text)
    name = found[1].upper() if found is not None else ""
    if found is None or name != "IDR":
        return OtherCommand(name if name in OTHER_COMMANDS else "")
    keywords: dict[str, str] = {}
    try:
        words = _WORD.findall(_unquoted(found[2]))
        path = words[0] if words else ""
        _read_keywords(words[1:], keywords)
        where = _path(path)
    except _Fault as fault:
        return NotUnderstood(str(fault), keywords.get("source"))
    return SyncOrder(where, keywords.get("source"), keywords.get("destination"))


def _unquoted(text: str) -> str:
    """Return what stands between the quotes; without them nobody knows whether all has come."""
    rest = text.rstrip()
    quote = rest[:1]
    if quote not in {'"', "'"}:
        raise _Fault("what follows IDR is not in quotes")
    end = rest.find(quote, 1)
    if end < 0:
        raise _Fault("its quote is not closed")
    if end != len(rest) - 1:
        raise _Fault("something follows its closing quote")
    return rest[1:end]


def _read_keywords(words: list[str], into: dict[str, str]) -> None:
    for index in range(0, len(words), 3):
        keyword, *joined = words[index : index + 3]
        if keyword == "=" or len(joined) != 2 or joined[0] != "=" or joined[1] == "=":
            raise _Fault(f"{keyword} is not of the form keyword=value")
        name = _LONG_NAMES.get(keyword, keyword)
        if name not in _KEYWORDS:
            raise _Fault(f"{keyword} is no known keyword (capitals and small letters count)")
        if name in into:
            raise _Fault(f"{name} stands there twice")
        into[name] = joined[1]


def _path(text: str) -> TapeId | PoolId:
    try:
        return TapeId.parse(text) if text.count("/") == 3 else PoolId.parse(text)
    except NameInvalid as error:
        raise _Fault(str(error)) from error
