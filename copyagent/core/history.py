"""What became of copies, one entry each: the evidence that is kept when the tape has moved on.

An entry is decided here, in the very moment in which the copy's state changes, and is committed in
that change's transaction: there is no copy on record without its entry, and none twice. Entries
are numbered without gaps, never changed, and carry all they say in themselves; each is chained to
the one before (`copyagent.core.chain`).

Two ways to bound them were weighed. A ring by number, as the journal has: a busy pool pushes out
what an auditor of a quiet one asks for. By age, and by number only as a last resort against a full
disk: it is the second.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Final

from copyagent.core import tape as states
from copyagent.core.chain import START, Mark, link
from copyagent.core.copying import CopyDone
from copyagent.core.dates import iso
from vtsfs.contract.naming import TapeId
from vtsfs.contract.redaction import redacted

Scalar = str | int | float | bool | None

#: Characters kept of a text.
LONGEST_TEXT: Final = 1000


class Kind(StrEnum):
    """What an entry tells; more may come, and readers have to pass over what they do not know.

    `KEPT`: the tape was erased or deleted here, so nothing is owed of it any more. `DISMOUNTED` is a
    verdict on what a host mount or the overlay's sessions left, `CHANGED` one on a tape that changed
    without either. `LOADED` tells which settings came into force, `STOPPED` that the agent ended in
    good order, `PRUNED` which entries are kept no longer, `CHAINED` which were written before there
    was a chain.
    """

    COPIED = "copied"
    FAILED = "failed"
    HELD = "held"
    DOUBTED = "doubted"
    CANCELLED = "cancelled"
    KEPT = "kept"
    DISMOUNTED = "dismounted"
    CHANGED = "changed"
    ACTION = "action"
    LOADED = "loaded"
    STOPPED = "stopped"
    ALARM = "alarm"
    PRUNED = "pruned"
    CHAINED = "chained"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. *at_ns* is when the agent decided it, since the epoch.

    *tape* and *target* are empty and *generation* is 0 where it is about none. *settings* is the
    SHA-256 of the settings file in force. *facts* depend on the kind. *chain* is no part of what the
    entry says: it is the value that stands for this entry and all before it.
    """

    number: int
    at_ns: int
    kind: str
    tape: str
    target: str
    generation: int
    settings: str
    facts: Mapping[str, Scalar] = field(default_factory=dict)
    chain: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """The oldest entries, *first* to *last*: the last is of *last_ns*, and *value* is its chain's."""

    first: int
    last: int
    last_ns: int
    value: str

    @property
    def count(self) -> int:
        """How many they are: numbers have no gaps."""
        return self.last - self.first + 1


@dataclass(slots=True)
class History:
    """Makes entries; *newest* is the number of the last one, *chain* its value.

    *unsaved* wait for the next commit, as do *texts*: settings that came into force, redacted, by the
    digest of their file.
    """

    settings: str = ""
    newest: int = 0
    chain: str = START
    unsaved: list[Entry] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)

    @property
    def mark(self) -> Mark:
        """What to note down elsewhere of the history as it is now."""
        return Mark(self.newest, self.chain)

    def add(
        self,
        kind: Kind,
        at_ns: int,
        *,
        tape: TapeId | None = None,
        target: str = "",
        generation: int = 0,
        settings: str = "",
        **facts: Scalar,
    ) -> None:
        """Write down that something of *kind* happened, or became of a copy.

        *settings* is the digest of those it happened under, if others are in force by now.
        """
        about = ("" if tape is None else str(tape), target, generation)
        self._enter(kind, at_ns, about, settings, facts)

    def _enter(
        self,
        kind: Kind,
        at_ns: int,
        about: tuple[str, str, int],
        settings: str,
        facts: Mapping[str, Scalar],
    ) -> None:
        cut = {fact: _cut(value) for fact, value in facts.items()}
        made = Entry(self.newest + 1, at_ns, kind, *about, settings or self.settings, cut)
        self.newest, self.chain = made.number, link(self.chain, text_of(made))
        self.unsaved.append(replace(made, chain=self.chain))

    def copied(
        self,
        tape: TapeId,
        target: str,
        done: CopyDone,
        attempts: int | None,
        at_ns: int,
        *,
        settings: str = "",
    ) -> None:
        """Write down a finished copy; *attempts* is None where it was superseded meanwhile.

        *settings* is the digest of those under which it began, if others are in force by now.
        """
        copy = done.copy
        self.add(
            Kind.COPIED,
            at_ns,
            tape=tape,
            target=target,
            generation=copy.generation,
            settings=settings,
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
                    at_ns,
                    tape=tape,
                    target=target,
                    generation=state.generation,
                    attempts=state.failures,
                    cause=state.cause,
                )
            case states.Held():
                self.add(
                    Kind.HELD,
                    at_ns,
                    tape=tape,
                    target=target,
                    generation=state.generation,
                    reason=state.reason.value,
                    cause=state.detail,
                )

            case states.Kept():
                self.add(Kind.KEPT, at_ns, tape=tape, target=target, how=state.how)
            case states.Cancelled():
                self.add(
                    Kind.CANCELLED,
                    at_ns,
                    tape=tape,
                    target=target,
                    generation=state.generation,
                    user=state.by,
                    because=state.because,
                )

    def loaded(
        self, digest: str, text: str, *, how: str, user: str, at_ns: int, **facts: Scalar
    ) -> None:
        """Write down that the settings with *digest* are in force from now on, and keep them.

        *text* is that of the file; what is kept of it is redacted, and named by a digest of its own,
        so that the chain covers it. *how* is start, reload or SIGHUP.
        """
        kept = redacted(text)
        self.settings = digest
        self.texts[digest] = kept
        sum_of_kept = sha256(kept.encode()).hexdigest()
        said = {"how": how, "user": user, "redacted": sum_of_kept, **facts}
        self._enter(Kind.LOADED, at_ns, ("", "", 0), digest, said)

    def prune(self, cut: Cut, at_ns: int) -> None:
        """Write down that the entries of *cut* are kept no longer; with that entry they go."""
        self.add(
            Kind.PRUNED,
            at_ns,
            count=cut.count,
            first=cut.first,
            last=cut.last,
            until=iso(cut.last_ns),
            value=cut.value,
        )

    def news_of_settings(self) -> dict[str, str]:
        """Hand over the settings that are not saved yet."""
        taken, self.texts = self.texts, {}
        return taken

    def news(self) -> list[Entry]:
        """Hand over what is not saved yet."""
        taken, self.unsaved = self.unsaved, []
        return taken


def text_of(entry: Entry) -> str:
    """Return the text of *entry*, as it is stored and chained: ASCII, keys in order, no blanks."""
    return json.dumps(
        {
            "number": entry.number,
            "at_ns": entry.at_ns,
            "kind": str(entry.kind),
            "tape": entry.tape,
            "target": entry.target,
            "generation": entry.generation,
            "settings": entry.settings,
            "facts": dict(entry.facts),
        },
        sort_keys=True,
        separators=(",", ":"),
    )


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
        "chain": entry.chain,
        **entry.facts,
    }


def _cut(value: Scalar) -> Scalar:
    if not isinstance(value, str):
        return value
    # What no encoding can write, as of a name that is not in UTF-8, would keep all from being saved.
    text = value.encode(errors="replace").decode()
    return f"{text[:LONGEST_TEXT]}..." if len(text) > LONGEST_TEXT else text
