"""What is on record of a tape's copies, for those who compare it with what is really there."""

from dataclasses import dataclass

from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.core.records import TapeRecord
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

#: No file has it: a copy that carries it is compared by its content before anything is built on it.
DOUBTED = TargetStamp(-1, -1)


@dataclass(frozen=True, slots=True)
class OnRecord:
    """One tape's copy at one target. *published* is what stands under the tape's name there.

    *state* is that of the copy (`copyagent.core.tape`), *generation* and *identity* are the
    source's. *kept* are former generations, newest first. *unsettled*: the tape is open for
    writing, or what was written is not judged yet. *lacking*: the target has not all there is of
    the tape, since *lacking_ns* (0: nobody knows since when).
    """

    tape: TapeId
    target: str
    state: str
    generation: int
    identity: Identity | None
    published: PublishedCopy | None
    kept: tuple[PublishedCopy, ...] = ()
    unsettled: bool = False
    lacking: bool = False
    lacking_ns: int = 0


def on_record(record: TapeRecord) -> list[OnRecord]:
    """Return what is on record of each copy of one tape."""
    return [
        OnRecord(
            tape=record.tape,
            target=target,
            state=copy.state.kind,
            generation=record.generation,
            identity=record.identity,
            published=copy.base,
            kept=copy.kept,
            unsettled=record.unsettled,
            lacking=not record.protected_at(target),
            lacking_ns=0 if record.protected_at(target) else record.behind_ns or copy.owed_ns,
        )
        for target, copy in record.copies.items()
    ]


@dataclass(frozen=True, slots=True)
class Doubt:
    """That the copy of *tape* at *target* is not what was published at *published_ns*: *detail*."""

    tape: TapeId
    target: str
    published_ns: int
    detail: str
