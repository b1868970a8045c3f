"""One copy as the decisions see it: the order to make it, and the ways it can end.

`CopyJob` is everything the copier is told; the outcomes are everything it may answer. Nothing else
passes between `copyagent.core` and `copyagent.transfer`, so either can be tested without the other.
"""

from dataclasses import dataclass
from enum import StrEnum

from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity


@dataclass(frozen=True, slots=True)
class TargetStamp:
    """What tells one state of a file at the target from another, without reading it.

    *size* in bytes; *mtime* in whole seconds since the epoch (SFTP version 3 has no finer time).
    *token* is inode and ctime where a command may be run there, else empty: then an edit that keeps
    the size and sets mtime back cannot be seen.
    """

    size: int
    mtime: int
    token: str = ""

    def agrees(self, other: "TargetStamp") -> bool:
        """Tell whether both stamps can be of the same, untouched file."""
        if (self.size, self.mtime) != (other.size, other.mtime):
            return False
        return not self.token or not other.token or self.token == other.token


@dataclass(frozen=True, slots=True)
class PublishedCopy:
    """What was, or is about to be, published at the target under the tape's name.

    *generation* counts the source's changes; *source* is the identity that was read. *sha256* and
    *blake3* are hex digests of the whole content. *verified* says how the target's bytes were
    compared (``command``, ``read-back``, ``adopted``). *published_ns* is since the epoch, 0 for an
    intent whose rename may or may not have happened.
    """

    generation: int
    source: Identity
    size: int
    sha256: str
    blake3: str
    stamp: TargetStamp
    verified: str
    published_ns: int = 0


@dataclass(frozen=True, slots=True)
class CopyJob:
    """An order to make the target's tape equal the source's.

    *identity* is the source as the witnesses left it: if the file is another one by now, the order
    is void. *base* is the last recorded publication, *intent* one that was begun and never
    recorded. *override* is the state of a foreign file at the target that the operator allowed to
    be replaced; in any other state it is still protected.
    """

    tape: TapeId
    target: str
    destination: TapeId
    generation: int
    identity: Identity | None
    base: PublishedCopy | None = None
    intent: PublishedCopy | None = None
    override: TargetStamp | None = None


class HoldReason(StrEnum):
    """Why a copy needs the operator's word before it goes on."""

    CONFLICT = "conflict"
    INTERRUPTED = "interrupted"
    POLICY = "held by settings"
    TARGET_CHANGED = "target changed"
    TARGET_UNKNOWN = "unknown at target"
    SOURCE_UNFIT = "source not a plain tape"
    LABEL_TWICE = "label twice here"


class WaitReason(StrEnum):
    """Why a copy waits without using up an attempt; each is looked at again by itself."""

    OPEN = "open"
    FENCED = "fenced"
    HOST_KEY = "host key"


@dataclass(frozen=True, slots=True)
class CopyDone:
    """The target's name holds the generation, durably. *sent* bytes went over the wire."""

    copy: PublishedCopy
    sent: int
    took_s: float


@dataclass(frozen=True, slots=True)
class CopyFailed:
    """The attempt failed and counts. *unreachable*: it was for want of the target itself.

    *connected*: the target had answered before the link was lost, so that this tells nothing of
    other tapes' attempts.
    """

    cause: str
    next_step: str
    unreachable: bool = False
    connected: bool = False


@dataclass(frozen=True, slots=True)
class CopyHeld:
    """A guard refused: nothing was published, and no retry will change that."""

    reason: HoldReason
    detail: str
    stamp: TargetStamp | None = None


@dataclass(frozen=True, slots=True)
class CopyWaits:
    """A guard asks for patience: nothing was published, no attempt is used up."""

    reason: WaitReason
    detail: str


@dataclass(frozen=True, slots=True)
class SourceErased:
    """The tape is empty (size 0) or gone: the target's copy is kept as it is."""

    gone: bool


@dataclass(frozen=True, slots=True)
class SourceChanged:
    """The tape is not, or no longer, what the order says; what is there now is *identity*."""

    identity: Identity | None


@dataclass(frozen=True, slots=True)
class CopyStopped:
    """The permission to publish was withdrawn while the copy ran: nothing was published."""

    detail: str


CopyOutcome = (
    CopyDone | CopyFailed | CopyHeld | CopyWaits | CopyStopped | SourceErased | SourceChanged
)
