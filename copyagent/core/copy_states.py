"""The states of one tape's copy at one target: each carries exactly what is true in it.

What leads from one to the other is in `copyagent.core.tape`, which hands on all names of here.
"""

from dataclasses import dataclass
from typing import Literal

from copyagent.core.copying import HoldReason, TargetStamp, WaitReason
from copyagent.core.time import Moment


@dataclass(frozen=True, slots=True)
class Clean:
    """Nothing has changed since the tape is watched, or a peer brought it."""

    kind: Literal["clean"] = "clean"


@dataclass(frozen=True, slots=True)
class Unsynced:
    """The tape was there before AutoCopy was; it has never been copied."""

    kind: Literal["unsynced"] = "unsynced"


@dataclass(frozen=True, slots=True)
class Queued:
    """A copy is due, at *due* if the tape rests until then. *failures* attempts were made."""

    generation: int
    failures: int = 0
    due: Moment | None = None
    kind: Literal["queued"] = "queued"


@dataclass(frozen=True, slots=True)
class Copying:
    """Attempt number *failures* + 1 is running."""

    generation: int
    failures: int
    started_ns: int
    kind: Literal["copying"] = "copying"


@dataclass(frozen=True, slots=True)
class Retrying:
    """*failures* attempts failed, the last for *cause*; the next is due at *due*.

    *permanent*: it will fail again until somebody has mended something.
    """

    generation: int
    failures: int
    cause: str
    next_step: str
    due: Moment
    permanent: bool = False
    kind: Literal["retry"] = "retry"


@dataclass(frozen=True, slots=True)
class Failed:
    """All attempts failed. *unreachable*: for want of the target, so its return re-arms.

    *permanent*: nothing but somebody's doing can help. *whole_vault*: what was wanting is the vault
    there, not the way to the target.
    """

    generation: int
    failures: int
    cause: str
    next_step: str
    unreachable: bool
    at_ns: int
    permanent: bool = False
    whole_vault: bool = False
    kind: Literal["failed"] = "failed"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A guard asked for patience; looked at again at *due*, without using up an attempt."""

    generation: int
    failures: int
    reason: WaitReason
    detail: str
    due: Moment
    kind: Literal["waiting"] = "waiting"


@dataclass(frozen=True, slots=True)
class Held:
    """Only an operator's word, or a newer complete generation, goes on from here.

    *stamp* and *place*: see `CopyHeld`.
    """

    generation: int
    reason: HoldReason
    detail: str
    at_ns: int
    stamp: TargetStamp | None = None
    place: str = ""
    kind: Literal["held"] = "held"


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An operator stopped the copy of *generation*; a newer complete one is copied again.

    *by* is the user who did, *because* the reason given.
    """

    generation: int
    by: str
    because: str
    at_ns: int
    kind: Literal["cancelled"] = "cancelled"


@dataclass(frozen=True, slots=True)
class Superseded:
    """The tape was mounted for writing while its copy was pending."""

    generation: int
    kind: Literal["superseded"] = "superseded"


@dataclass(frozen=True, slots=True)
class Copied:
    """The target has this generation, durably and verified."""

    generation: int
    at_ns: int
    kind: Literal["copied"] = "copied"


@dataclass(frozen=True, slots=True)
class Kept:
    """The source was erased or deleted; the target's copy stays."""

    how: str
    at_ns: int
    kind: Literal["kept"] = "kept"


#: States in which the target lacks something that is not merely an older tape's first copy.
Owing = Queued | Retrying | Failed | Waiting | Held | Cancelled | Superseded


@dataclass(frozen=True, slots=True)
class Unmonitored:
    """The settings do not ask for this copy any more; what is known of it is kept.

    *was* is what was owed when they ceased to, and is again when they ask for it again.
    """

    was: Owing | None = None
    kind: Literal["unmonitored"] = "unmonitored"


State = (
    Clean
    | Unsynced
    | Queued
    | Copying
    | Retrying
    | Failed
    | Waiting
    | Held
    | Cancelled
    | Superseded
    | Copied
    | Kept
    | Unmonitored
)

#: States in which the target has, or needs, nothing newer (DESIGN section 11).
PROTECTED = (Clean, Copied, Kept, Unmonitored)

#: States that the scheduler looks at.
PENDING = (Queued, Retrying, Waiting)
