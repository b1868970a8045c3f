"""What every command does to a copy in every state, as data: ``explain`` and the manual print it.

No cell was written by hand: ``python -m tests.support.command_rows`` carries each command out on a book
with one copy in each state, and writes down what happened; a test does it again and compares.

It is taken that the target has an older generation (but for *clean* and *unsynced*, where it has none),
and keeps a former one; and for ``resume`` that the pool is paused, for ``fence`` that the copy's next
attempt meets the fence.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from copyagent.core import tape as states
from copyagent.core.records import CopyRecord


class Effect(StrEnum):
    """What becomes of the copy; each is one letter of the table."""

    NOTHING = "-"
    REFUSED = "x"
    QUEUED = "q"
    CANCELLED = "c"
    HELD = "h"
    KEPT_BACK = "k"
    LET_GO = "l"
    WAITS = "w"
    STOPPED = "s"


#: The letters in words, in the order in which the manual explains them.
MEANINGS: Final[Mapping[Effect, str]] = {
    Effect.NOTHING: "nothing, and the answer says why",
    Effect.REFUSED: "refused, with the command that helps instead; the exit status is 42",
    Effect.QUEUED: "queued with a new ladder: it is compared, and sent or done what was asked for",
    Effect.CANCELLED: "cancelled; a running copy is stopped before it is published",
    Effect.HELD: "held (by operator); a running copy is stopped before it is published",
    Effect.KEPT_BACK: "stays as it is, and whatever would have it copied later holds it",
    Effect.LET_GO: "stays as it is, and is kept back no more, or goes on as before",
    Effect.WAITS: "waits from its next attempt on",
    Effect.STOPPED: "a running copy is stopped and waits",
}

#: The commands about one tape, and those about a pool or a target, each with its column's heading.
OF_A_TAPE: Final[Mapping[str, str]] = {
    "retry": "re",
    "sync TAPE": "sy",
    "cancel": "ca",
    "hold": "ho",
    "release": "rl",
    "release --overwrite-target": "ov",
    "relocate": "lo",
    "adopt": "ad",
    "rollback": "rb",
}
OF_MANY: Final[Mapping[str, str]] = {
    "retry --failed": "rf",
    "sync POOL": "sy",
    "sync --missing POOL": "mi",
    "sync --stale POOL": "st",
    "sync --all POOL": "al",
    "pause": "pa",
    "resume": "rs",
    "fence": "fe",
    "unfence": "un",
    "take-over": "to",
}
COMMANDS: Final = (*OF_A_TAPE, *OF_MANY)

#: A line for each state: its name, and a letter for each of `COMMANDS`.
# begin of the table made by tests.support.command_rows
TABLE: Final = """\
clean                          -qxkxxxqx-qq-q-----
unsynced                       qqxkxxxqx-qq-q-----
queued                         qqchxxx-q-----wlw--
copying                        --chxxx-x-----s-s--
retry                          qqchxxx-q-----wlw--
waiting (open)                 qqchxxx-q-----wlw--
waiting (fenced)               qqchxxx-q-----wlwq-
waiting (host key)             qqchxxx-q-----wlw--
waiting (another agent)        qqchxxx-q-----wlw-q
failed                         qqchxxxqqqq-qq-----
held (conflict)                xxxkqqx-q----------
held (interrupted)             xxxkqqx-q----------
held (held by settings)        xxxkqqx-q----------
held (target changed)          xxxkxqxqq----------
held (unknown at target)       xxxkxqxqq----------
held (source not a plain tape) qqxkqqx-q----------
held (label twice here)        xxxkqqx-q----------
held (label elsewhere)         qqxkxxq-q----------
held (same storage)            qqxkxxx-q----------
held (not equal)               qqxkxqxqq----------
held (rolled back)             xxxkqqx-q----------
held (by operator)             xxxxqqx-x----------
cancelled                      qqxkxxxqq----------
superseded                     qqckxxxqq----------
copied                         -qxkxxx-q----q-----
copied, kept back              xxxxllx-x----------
kept                           xxxkxxx-x----------
unmonitored                    xxxxxxx-x----------
"""
# end of the table made by tests.support.command_rows


def read(table: str = TABLE) -> dict[str, dict[str, Effect]]:
    """Return the effect of every command in every state, by state and command."""
    rows = (line.rpartition(" ") for line in table.splitlines())
    return {
        name.strip(): dict(zip(COMMANDS, map(Effect, letters), strict=True))
        for name, _, letters in rows
    }


EFFECTS: Final = read()


def row_of(copy: CopyRecord) -> str:
    """Return which line of the table is about *copy* as it stands."""
    match copy.state:
        case states.Held() as state:
            return f"held ({state.reason})"
        case states.Waiting() as state:
            return f"waiting ({state.reason})"
    return f"{copy.state.kind}, kept back" if copy.hold is not None else copy.state.kind


def commands_for(copy: CopyRecord) -> list[str]:
    """Return the commands about a tape that would do something to *copy*, as it stands."""
    effects = EFFECTS.get(row_of(copy), {})
    idle = (Effect.NOTHING, Effect.REFUSED)
    return [command for command in OF_A_TAPE if effects.get(command, Effect.NOTHING) not in idle]
