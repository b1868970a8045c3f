"""Requests for lists: the tapes with their states, and what is pending.

Part of the protocol (`copyagent.control.protocol`), which carries them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from copyagent.control.inquiries import Given
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import PoolId, TapeId

#: Most copies of a target that a queue lists; the others are counted.
MOST_QUEUED = 5000

#: Most states, or pools, that are named in one request.
MOST_NAMED = 200


@dataclass(frozen=True, slots=True)
class Tapes:
    """Ask for tapes with their states, a page at a time, by name; all conditions together.

    *states* are as printed (`core.shown_states.states_named`); none means any, as do no *pools* and no
    *target*. *after* is the last tape that is known already.
    """

    states: tuple[str, ...] = ()
    pools: tuple[PoolId, ...] = ()
    target: str = ""
    unprotected: bool = False
    after: TapeId | None = None
    kept_back: bool = False

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {
            "kept_back": self.kept_back,
            "states": list(self.states),
            "pools": [str(pool) for pool in self.pools],
            "target": self.target,
            "unprotected": self.unprotected,
            "after": "" if self.after is None else str(self.after),
        }

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        states = _texts(args, "states")
        pools = tuple(PoolId.parse(text) for text in _texts(args, "pools"))
        given = Given(args, "tapes")
        after = given.text("after", "")
        made = cls(
            states,
            pools,
            given.text("target", ""),
            given.flag("unprotected"),
            TapeId.parse(after) if after else None,
            given.flag("kept_back"),
        )
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class Queue:
    """Ask for what is pending in the order of its turn: at *target* or (empty) at each, *most* of it."""

    target: str = ""
    most: int = MOST_QUEUED

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"target": self.target, "most": self.most}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "queue")
        made = cls(given.text("target", ""), given.number("most", MOST_QUEUED, at_least=1))
        given.end()
        return made


def _texts(args: dict[str, Any], name: str) -> tuple[str, ...]:
    value = args.pop(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UsageError(f"tapes needs {name}, a list of texts")
    if len(value) > MOST_NAMED:
        raise UsageError(f"tapes takes at most {MOST_NAMED} {name}")
    return tuple(value)
