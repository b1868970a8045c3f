"""Requests about evidence: the history of copies, what is on record of them, and doubts about it.

Part of the protocol (`copyagent.control.protocol`), which carries them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from copyagent.core import on_record
from vtsfs.contract.errors import NameInvalid, UsageError
from vtsfs.contract.messages import one_line
from vtsfs.contract.naming import PoolId, TapeId

#: Most entries of the history, or copies on record, in one answer.
MAX_ENTRIES = 2000

#: Most words in a list.
MAX_WORDS = 50

#: Longest description of what is wrong with a copy, in characters.
MAX_DETAIL = 500

_LARGEST = 2**62


@dataclass(slots=True)
class Given:
    """The arguments that came with a request: each is taken once, and none may be left."""

    args: dict[str, Any]
    command: str

    def text(self, name: str, default: str | None = None) -> str:
        """Take a text; raise `UsageError` if it is missing without a *default*, or is none."""
        value = self.args.pop(name, default)
        if not isinstance(value, str):
            raise UsageError(f"{self.command} needs {name}, a text")
        return value

    def number(self, name: str, at_most: int = _LARGEST, *, at_least: int = 0) -> int:
        """Take a whole number between the two bounds; *at_least* if it is missing."""
        value = self.args.pop(name, at_least)
        if isinstance(value, bool) or not isinstance(value, int):
            raise UsageError(f"{self.command} needs {name} as a whole number")
        if not at_least <= value <= at_most:
            raise UsageError(f"{name} has to be from {at_least} to {at_most}, not {value}")
        return value

    def flag(self, name: str) -> bool:
        """Take a yes or no; no if it is missing."""
        value = self.args.pop(name, False)
        if not isinstance(value, bool):
            raise UsageError(f"{self.command} needs {name} as true or false")
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """Take a short list of texts; none if it is missing."""
        value = self.args.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise UsageError(f"{self.command} needs {name} as a list of texts")
        if len(value) > MAX_WORDS:
            raise UsageError(f"{self.command} takes at most {MAX_WORDS} {name}")
        return tuple(value)

    def where(self) -> TapeId | PoolId | None:
        """Take a tape or a pool; None if there is neither."""
        text = self.text("where", "")
        if not text:
            return None
        try:
            return PoolId.parse(text) if text.count("/") == 2 else TapeId.parse(text)
        except NameInvalid as error:
            raise NameInvalid(f"{text!r} is neither a tape nor a pool") from error

    def end(self) -> None:
        """Raise `UsageError` if anything is left: it would have meant something."""
        if self.args:
            left = ", ".join(map(repr, sorted(self.args)))
            raise UsageError(f"{self.command} does not take {left}")


@dataclass(frozen=True, slots=True)
class History:
    """Ask for what became of copies, oldest first and at most *most*; all conditions together.

    *after* is the number of an entry that is known already, *since_ns* a time since the epoch;
    *last* asks for the newest so many of what fits, 0 for all. *failed*: only what went wrong.
    *until_ns* is the end of the time asked about, which does not belong to it; 0: none. *kinds* are
    the kinds of entries that are wanted, none: all.
    """

    where: TapeId | PoolId | None = None
    since_ns: int = 0
    failed: bool = False
    after: int = 0
    last: int = 0
    most: int = MAX_ENTRIES
    until_ns: int = 0
    kinds: tuple[str, ...] = ()

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried; an agent of the release before knows most."""
        args: dict[str, object] = {
            "where": "" if self.where is None else str(self.where),
            "since_ns": self.since_ns,
            "failed": self.failed,
            "after": self.after,
            "last": self.last,
            "most": self.most,
        }
        more: dict[str, object] = {"until_ns": self.until_ns, "kinds": list(self.kinds)}
        return args | {name: value for name, value in more.items() if value}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "history")
        made = cls(
            given.where(),
            given.number("since_ns"),
            given.flag("failed"),
            given.number("after"),
            given.number("last"),
            given.number("most", MAX_ENTRIES, at_least=1),
            given.number("until_ns"),
            given.words("kinds"),
        )
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class Copies:
    """Ask what is on record of the copies of a tape, or of the tapes of a pool, by name.

    *after* is the last tape that is known already; at most *most* tapes are answered.
    """

    where: TapeId | PoolId
    after: str = ""
    most: int = MAX_ENTRIES

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"where": str(self.where), "after": self.after, "most": self.most}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "copies")
        where = given.where()
        if where is None:
            raise UsageError("copies needs where, a tape or a pool")
        made = cls(where, given.text("after", ""), given.number("most", MAX_ENTRIES, at_least=1))
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class Doubt:
    """Tell that a copy is not what was published."""

    word: on_record.Doubt

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {
            "tape": str(self.word.tape),
            "target": self.word.target,
            "published_ns": self.word.published_ns,
            "detail": self.word.detail,
        }

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "doubt")
        word = on_record.Doubt(
            TapeId.parse(given.text("tape")),
            given.text("target"),
            given.number("published_ns"),
            one_line(given.text("detail"))[:MAX_DETAIL],
        )
        given.end()
        return cls(word)
