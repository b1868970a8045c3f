"""What became of copies, one entry each: the evidence that is kept when the tape has moved on.

An entry is decided here, in the very moment in which the copy's state changes, and is committed in
that change's transaction: there is no copy on record without its entry, and none twice. Entries
are numbered without gaps, never changed, and carry all they say in themselves, so that each can be
chained to the one before by a digest of its text.

Two ways to bound them were weighed. A ring by number, as the journal has: a busy pool pushes out
what an auditor of a quiet one asks for. By age, and by number only as a last resort against a full
disk: it is the second.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from copyagent.core import tape as states
from copyagent.core.copying import CopyDone
from copyagent.core.dates import iso
from vtsfs.contract.naming import TapeId

Scalar = str | int | float | bool | None

#: How long entries are kept, in seconds, and how many at the most.
KEPT_S: Final = 400 * 86_400
KEPT_MOST: Final = 1_000_000

#: Characters kept of a text.
LONGEST_TEXT: Final = 1000


class Kind(StrEnum):
    """What an entry tells; more may come, and readers have to pass over what they do not know."""

    COPIED = "copied"
    FAILED = "failed"
    HELD = "held"
    DOUBTED = "doubted"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. *at_ns* is when the agent decided it, since the epoch.

    *settings* is the SHA-256 of the settings file in force. *facts* depend on the kind.
    """

    number: int
    at_ns: int
    kind: str
    tape: str
    target: str
    generation: int
    settings: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(slots=True)
class History:
    """Makes entries; *newest* is the number of the last one. *unsaved* wait for the next commit."""

    settings: str = ""
    newest: int = 0
    unsaved: list[Entry] = field(default_factory=list)

    def add(
        self,
        kind: Kind,
        tape: TapeId,
        target: str,
        generation: int,
        at_ns: int,
        **facts: Scalar,
    ) -> None:
        """Write down that something of *kind* became of a copy."""
        self.newest += 1
        cut = {name: _cut(value) for name, value in facts.items()}
        self.unsaved.append(
            Entry(self.newest, at_ns, kind, str(tape), target, generation, self.settings, cut)
        )

    def copied(
        self, tape: TapeId, target: str, done: CopyDone, attempts: int | None, at_ns: int
    ) -> None:
        """Write down a finished copy; *attempts* is None where it was superseded meanwhile."""
        copy = done.copy
        self.add(
            Kind.COPIED,
            tape,
            target,
            copy.generation,
            at_ns,
            size=copy.size,
            sent=done.sent,
            skipped=done.skipped,
            resumed=done.resumed,
            way=done.way,
            root=copy.root,
            sha256=copy.sha256,
            verified=copy.verified,
            attempts=attempts,
            took_s=round(done.took_s, 3),
            modified=iso(copy.source.mtime_ns),
            published=iso(copy.published_ns),
        )

    def became(self, tape: TapeId, target: str, state: states.State, at_ns: int) -> None:
        """Write down that a copy came to a *state* from which it does not go on by itself."""
        match state:
            case states.Failed():
                self.add(
                    Kind.FAILED,
                    tape,
                    target,
                    state.generation,
                    at_ns,
                    attempts=state.failures,
                    cause=state.cause,
                )
            case states.Held():
                self.add(
                    Kind.HELD,
                    tape,
                    target,
                    state.generation,
                    at_ns,
                    reason=state.reason.value,
                    cause=state.detail,
                )

    def news(self) -> list[Entry]:
        """Hand over what is not saved yet."""
        taken, self.unsaved = self.unsaved, []
        return taken


def document(entry: Entry) -> dict[str, Scalar]:
    """Return *entry* as ``copyagent history --json`` prints it."""
    return {
        "number": entry.number,
        "at": iso(entry.at_ns),
        "kind": entry.kind,
        "tape": entry.tape,
        "target": entry.target,
        "generation": entry.generation,
        "settings": entry.settings,
        **entry.facts,
    }


def _cut(value: Scalar) -> Scalar:
    return (
        f"{value[:LONGEST_TEXT]}..."
        if isinstance(value, str) and len(value) > LONGEST_TEXT
        else value
    )
