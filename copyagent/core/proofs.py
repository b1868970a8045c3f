"""Dismounts and what proves each: entries of the history are matched in one pass, in their order.

A dismount is proven at a target by the first copy there of its generation or of a later one. Until
that comes it is open. What is open is all that is remembered, so a year passes through in little
memory; each dismount is handed out when it is proven, or at the end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from copyagent.core.dates import parse_iso
from copyagent.core.history import Kind
from copyagent.core.witness import Verdict

#: An entry as `history.document` has it.
Entry = Mapping[str, Any]

#: Entries by which content comes to be owed.
OWING: Final = frozenset({Kind.DISMOUNTED, Kind.CHANGED})

#: Entries that tell what became of it: all that is looked for after the time that is asked about.
SETTLING: Final = tuple(
    kind.value
    for kind in (
        *(Kind.DISMOUNTED, Kind.CHANGED, Kind.COPIED, Kind.KEPT),
        *(Kind.FAILED, Kind.HELD, Kind.CANCELLED),
    )
)


class Outcome(StrEnum):
    """What became of one dismount at one target."""

    COPIED = "copied"
    LATER = "copied with a later generation"
    NOT_OWED = "no copy needed"
    ERASED = "erased here before it was copied"
    RECEIVED = "replaced by a peer's before it was copied"
    HELD = "held"
    FAILED = "failed"
    CANCELLED = "cancelled"
    WAITING = "not copied yet"
    AGAIN = "judged again"


#: With these nothing is owed any more, though nothing was copied.
MOOT: Final = frozenset({Outcome.ERASED, Outcome.RECEIVED})

#: At the end, these are what is still to be done.
OPEN: Final = frozenset({Outcome.HELD, Outcome.FAILED, Outcome.CANCELLED, Outcome.WAITING})

_KEEPS: Final = {
    Kind.HELD: Outcome.HELD,
    Kind.FAILED: Outcome.FAILED,
    Kind.CANCELLED: Outcome.CANCELLED,
}


@dataclass(frozen=True, slots=True)
class Proof:
    """One dismount, by its entry, and what became of it at *target* (empty: no copy was needed).

    *took_s* is from its end to the publication, None without one. *copy* is the entry of that. *why*
    says what keeps an open one.
    """

    dismount: Entry
    target: str
    outcome: Outcome
    ended_ns: int
    copy: Entry | None = None
    took_s: float | None = None
    why: str = ""


@dataclass(slots=True)
class _Open:
    """A dismount whose content has not come to a target yet."""

    dismount: Entry
    ended_ns: int
    outcome: Outcome = Outcome.WAITING
    why: str = ""

    @property
    def generation(self) -> int:
        return int(self.dismount["generation"])


@dataclass(slots=True)
class Matching:
    """Matches entries, to be given in their order; see `take` and `rest`."""

    open: dict[tuple[str, str], list[_Open]] = field(default_factory=dict)
    targets: set[str] = field(default_factory=set)

    def take(self, entry: Entry) -> Iterator[Proof]:
        """Take the next *entry* of the time that is asked about; hand out what it settles."""
        if entry["kind"] in OWING:
            yield from self._moot(entry)
            yield from self._owed(entry)
        else:
            yield from self.settle(entry)

    def settle(self, entry: Entry) -> Iterator[Proof]:
        """Take an *entry* from after that time: it settles, and owes nothing new."""
        way = (entry["tape"], entry["target"])
        match entry["kind"]:
            case Kind.COPIED:
                yield from self._copied(way, entry)
            case Kind.KEPT:
                yield from self._end(way, Outcome.ERASED)
            case Kind.DISMOUNTED | Kind.CHANGED:
                yield from self._moot(entry)
            case kind if kind in _KEEPS:
                for one in self.open.get(way, ()):
                    one.outcome, one.why = _KEEPS[kind], why_of(entry)

    def rest(self) -> Iterator[Proof]:
        """Hand out what nothing has settled, oldest first."""
        rest = [(one, target) for (_, target), found in self.open.items() for one in found]
        rest.sort(key=lambda pair: (pair[0].dismount["number"], pair[1]))
        self.open.clear()
        for one, target in rest:
            yield Proof(one.dismount, target, one.outcome, one.ended_ns, why=one.why)

    def _owed(self, entry: Entry) -> Iterator[Proof]:
        ended_ns = parse_iso(entry.get("ended")) or parse_iso(entry["at"])
        held = _names(entry, "held_at")
        again, known = bool(entry.get("again")), False
        targets = dict.fromkeys([*_names(entry, "copy_to"), *held])
        for target in targets:
            owed = self._same(entry, target) if again else None
            if owed is None:
                owed = _Open(entry, ended_ns)
                self.targets.add(target)
                self.open.setdefault((entry["tape"], target), []).append(owed)
            else:
                known = True
            if target in held:
                owed.outcome, owed.why = Outcome.HELD, str(entry.get("verdict", ""))
        if again and (known or not targets):
            yield Proof(entry, "", Outcome.AGAIN, ended_ns)
        elif not targets:
            yield Proof(entry, "", Outcome.NOT_OWED, ended_ns)

    def _same(self, entry: Entry, target: str) -> _Open | None:
        """Find the dismount that *entry* judges once more, if its copy is still open."""
        found = self.open.get((entry["tape"], target), [])
        return found[-1] if found and found[-1].generation == entry["generation"] else None

    def _copied(self, way: tuple[str, str], copy: Entry) -> Iterator[Proof]:
        found = self.open.pop(way, [])
        newer = [one for one in found if one.generation > copy["generation"]]
        if newer:
            self.open[way] = newer
        done_ns = parse_iso(copy.get("published")) or parse_iso(copy["at"])
        for one in found:
            if one.generation <= copy["generation"]:
                same = one.generation == copy["generation"]
                took_s = max(done_ns - one.ended_ns, 0) / 1e9
                outcome = Outcome.COPIED if same else Outcome.LATER
                yield Proof(one.dismount, way[1], outcome, one.ended_ns, copy, took_s)

    def _moot(self, entry: Entry) -> Iterator[Proof]:
        """What is empty, or a peer's by now, has nothing of what it had: there is nothing to copy."""
        outcome = Outcome.ERASED if entry.get("size") == 0 else None
        if entry.get("verdict") == Verdict.RECEIVED:
            outcome = Outcome.RECEIVED
        if outcome is not None:
            for target in sorted(self.targets):
                yield from self._end((entry["tape"], target), outcome)

    def _end(self, way: tuple[str, str], outcome: Outcome) -> Iterator[Proof]:
        for one in self.open.pop(way, []):
            yield Proof(one.dismount, way[1], outcome, one.ended_ns)


def evidence(proof: Proof) -> dict[str, Any]:
    """Return *proof* as ``copyagent report --proofs`` prints it: the dismount's entry, and more."""
    copy = proof.copy or {}
    return {
        **proof.dismount,
        "target": proof.target,
        "outcome": proof.outcome.value,
        "cause": proof.why,
        "took_s": proof.took_s,
        "copy": copy.get("number"),
        "copy_generation": copy.get("generation"),
        **{key: copy.get(key) for key in _PROVEN},
    }


def why_of(entry: Entry) -> str:
    """Say why a copy failed, is held or was cancelled, by the entry that tells of it."""
    said = (entry.get(key) for key in ("user", "because", "reason", "cause"))
    return ": ".join(str(part) for part in said if part)


#: What the entry of a copy proves it by.
_PROVEN: Final = ("published", "sha256", "root", "verified", "way", "sent", "attempts")


def _names(entry: Entry, key: str) -> list[str]:
    return str(entry.get(key) or "").split()
