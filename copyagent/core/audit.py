"""A pool here compared with its copy at a target, file by file: what is not as it should be.

Pure: told what lies here, what lies there, and what is on record. A record is believed as to what
was published; that the target still has it, size and date must say, or the content, if it was read.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from copyagent.core.on_record import DOUBTED, OnRecord
from vtsfs.contract.naming import PoolId
from vtsfs.contract.signals import Identity


class Flaw(StrEnum):
    """What is wrong with a file; each has its own cure."""

    MISSING = "missing"
    STALE = "stale"
    DIFFERENT = "different"
    EXTRA = "extra"
    STRAY = "stray"


#: The state of a copy that waits for an operator, as records tell it.
HELD = ("held", "cancelled")

#: Flaws that the records know of, with what `copyagent sync` is told for them.
MENDED_BY: Mapping[Flaw, str] = {
    Flaw.MISSING: "--missing",
    Flaw.STALE: "--stale",
}

#: Up to so many tapes that only seem to be copied are named one by one.
FEW = 10


@dataclass(frozen=True, slots=True)
class Here:
    """A file at the source; *identity* is None for what is no plain file."""

    identity: Identity | None


@dataclass(frozen=True, slots=True)
class There:
    """A file at the target: *size* in bytes, *mtime* in whole seconds; *plain*: it is one."""

    size: int
    mtime: int
    plain: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """One file that is not as it should be, and why.

    *held*: its copy is, so no sync mends it. *unknown*: by what is on record all is well.
    """

    flaw: Flaw
    name: str
    why: str
    held: bool = False
    unknown: bool = False


@dataclass(slots=True)
class Audit:
    """What was found in a pool so far. *good* counts the tapes whose copy is as it should be.

    *in_use* counts tapes that are open or not judged yet, of which nothing is said; *kept* copies
    of tapes that were erased or deleted here, which stay on purpose.
    """

    good: int = 0
    in_use: int = 0
    kept: int = 0
    flaws: Counter[Flaw] = field(default_factory=Counter)
    #: Those of the flaws that are of held tapes, which a synchronisation leaves alone.
    held: Counter[Flaw] = field(default_factory=Counter)
    #: The tapes of which the records say that all is well: a synchronisation has to be told.
    unknown: dict[str, Flaw] = field(default_factory=dict)

    def commands(self, pool: PoolId, target: str) -> list[str]:
        """Return the commands that would mend what was found, as far as copies can."""
        if len(self.unknown) > FEW:
            return [f"copyagent sync {pool} --all --target {target}"]
        unknown = Counter(self.unknown.values())
        wanted = [
            f"{pool} {option}"
            for flaw, option in MENDED_BY.items()
            if self.flaws[flaw] > self.held[flaw] + unknown[flaw]
        ]
        wanted += [f"{pool}/{label}" for label in sorted(self.unknown)]
        return [f"copyagent sync {what} --target {target}" for what in wanted]

    def tape(
        self, label: str, here: Here | None, there: There | None, record: OnRecord | None
    ) -> Found | None:
        """Take in one tape; return what is wrong with its copy, None if nothing is."""
        if record is not None and record.unsettled:
            self.in_use += 1
            return None
        erased = here is None or (here.identity is not None and here.identity.size == 0)
        if erased:
            found = self._erased(label, there, record)
        else:
            found = self._tape(label, here, there, record)
            self.good += found is None
        if found is not None:
            held = record is not None and record.state in HELD
            found = replace(found, held=held)
            self.flaws[found.flaw] += 1
            self.held[found.flaw] += held
            if found.unknown and not held:
                self.unknown[label] = found.flaw
        return found

    def withdraw(self, found: Found) -> None:
        """Take back what was found, to look again: it may have changed meanwhile."""
        self.flaws[found.flaw] -= 1
        self.held[found.flaw] -= found.held
        self.unknown.pop(found.name, None)

    def _erased(self, label: str, there: There | None, record: OnRecord | None) -> Found | None:
        if there is None:
            return None
        if record is not None and record.published is not None:
            self.kept += 1
            return None
        return Found(Flaw.EXTRA, label, "there is no such tape here, nor was it copied from here")

    def _tape(
        self, label: str, here: Here | None, there: There | None, record: OnRecord | None
    ) -> Found | None:
        identity = None if here is None else here.identity
        if identity is None:
            return Found(Flaw.STRAY, label, "it has a tape's name here and is no plain file")
        if there is None:
            gone = record is not None and record.published is not None
            why = "its copy is gone" if gone else "there is no copy"
            return Found(Flaw.MISSING, label, _state(record) or why, unknown=gone)
        if not there.plain:
            return Found(Flaw.DIFFERENT, label, "it is no plain file there", unknown=True)
        if record is None:
            why = _unlike(identity, there)
            return Found(_older(identity, there), label, why) if why else None
        published = record.published
        if published is None:
            return Found(Flaw.MISSING, label, "what is there was not copied from here")
        if not published.source.same_bytes(identity):
            return Found(
                Flaw.STALE, label, _state(record) or "it was changed here since it was copied"
            )
        if record.generation > published.generation:
            return Found(
                Flaw.STALE, label, _state(record) or "a newer generation is not copied yet"
            )
        if published.stamp == DOUBTED:
            why = "its content was found to be another one"
            return Found(Flaw.DIFFERENT, label, why, unknown=True)
        if (there.size, there.mtime) != (published.stamp.size, published.stamp.mtime):
            return Found(
                Flaw.DIFFERENT,
                label,
                f"size and date there are {there.size}, {there.mtime}, published were "
                f"{published.stamp.size}, {published.stamp.mtime}",
                unknown=True,
            )
        return None

    def content(self, label: str, why: str) -> Found:
        """Take in that the content of a tape that counted as good is another one there."""
        self.good -= 1
        self.flaws[Flaw.DIFFERENT] += 1
        self.unknown[label] = Flaw.DIFFERENT
        return Found(Flaw.DIFFERENT, label, why, unknown=True)

    def companion(self, name: str, here: Here | None, there: There | None) -> Found | None:
        """Take in a tape's companion; what was deleted here stays there."""
        found = None
        if here is not None and here.identity is not None:
            if there is None:
                found = Found(Flaw.MISSING, name, "this companion has no copy")
            elif why := _unlike(here.identity, there):
                found = Found(Flaw.STALE, name, f"companion: {why}")
        if found is not None:
            self.flaws[found.flaw] += 1
        return found

    def stray(self, name: str, where: str) -> Found:
        """Take in a file that is neither a tape nor a companion."""
        self.flaws[Flaw.STRAY] += 1
        return Found(Flaw.STRAY, name, f"{where}: neither a tape nor a companion, not copied")


def _unlike(here: Identity, there: There) -> str:
    """Say in what size and date differ; SFTP gives whole seconds, in 32 bits."""
    if not there.plain:
        return "it is no plain file there"
    if here.size != there.size:
        return f"it has {here.size} bytes here and {there.size} there"
    if _seconds(here) != there.mtime:
        return "its date is another one there"
    return ""


def _older(here: Identity, there: There) -> Flaw:
    return Flaw.STALE if there.mtime < _seconds(here) else Flaw.DIFFERENT


def _seconds(here: Identity) -> int:
    return min(max(here.mtime_ns // 1_000_000_000, 0), 0xFFFFFFFF)


def _state(record: OnRecord | None) -> str:
    """Say how a copy stands that is not made."""
    at_rest = {"", "clean", "copied", "unsynced"}
    return "" if record is None or record.state in at_rest else f"its copy is {record.state}"
