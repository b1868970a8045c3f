"""One copy as the decisions see it: the order to make it, and the ways it can end.

`CopyJob` is everything the copier is told; the outcomes are everything it may answer. Nothing else
passes between `copyagent.core` and `copyagent.transfer`, so either can be tested without the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from copyagent.core.changes import Change
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity
from vtsfs.contract.units import format_size

#: What stands on record where somebody who wants something gave no reason, and need not.
NO_REASON = "no reason given"


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

    *generation* counts the source's changes; *source* is the identity that was read. *sha256* is a
    hex digest of the whole content, empty where it was not computed; *root* is the digest of its
    chunk map (`copyagent.transfer.chunks`), which names the content as well.
    *verified* says how the target's bytes were compared. *published_ns* is since the epoch, 0 for
    an intent whose rename may or may not have happened.

    *sole*: every connection that ever had the file open for writing has had its CLOSE answered, so
    that no server process can still write into it. *name* is empty for what stands under the tape's
    name, else that of the file in our staging directory in which a former generation is kept.
    """

    generation: int
    source: Identity
    size: int
    sha256: str
    stamp: TargetStamp
    verified: str
    published_ns: int = 0
    root: str = ""
    sole: bool = False
    name: str = ""


class Errand(StrEnum):
    """What an operator wants of a copy besides a copy, at its next start and once."""

    ADOPT = "adopt"
    RELOCATE = "relocate"
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True)
class Wish:
    """An operator's word for one copy; it goes into `CopyJob` and is over when that has ended.

    ADOPT: take what stands at the target as the base if it is equal; send nothing if it is not.
    RELOCATE: the file of that label at *place* (an absolute path at the target) may be moved here.
    ROLL_BACK: give the tape's name back to the kept *generation*. *asked* is the generation of the
    source that it was asked for: when the tape has changed since, only a relocation is still wanted.
    """

    errand: Errand
    generation: int = 0
    place: str = ""
    asked: int = 0


@dataclass(frozen=True, slots=True)
class CopyJob:
    """An order to make the target's tape equal the source's.

    *identity* is the source as the witnesses left it: if the file is another one by now, the order
    is void. *base* is the last recorded publication, *intent* one that was begun and never
    recorded. *override* is the state of a foreign file at the target that the operator allowed to
    be replaced; in any other state it is still protected.

    *changes* is what is known of the changes since, or before, *base*: `core.changes` tells from it
    which bytes can differ. *kept* are the former generations at the target, newest first, of which
    *keep* are to stay.
    """

    tape: TapeId
    target: str
    destination: TapeId
    generation: int
    identity: Identity | None
    base: PublishedCopy | None = None
    intent: PublishedCopy | None = None
    override: TargetStamp | None = None
    changes: tuple[Change, ...] = ()
    kept: tuple[PublishedCopy, ...] = ()
    keep: int = 0
    wish: Wish | None = None


class HoldReason(StrEnum):
    """Why a copy needs the operator's word before it goes on."""

    CONFLICT = "conflict"
    INTERRUPTED = "interrupted"
    POLICY = "held by settings"
    TARGET_CHANGED = "target changed"
    TARGET_UNKNOWN = "unknown at target"
    SOURCE_UNFIT = "source not a plain tape"
    LABEL_TWICE = "label twice here"
    LABEL_ELSEWHERE = "label elsewhere"
    SAME_STORAGE = "same storage"
    NOT_EQUAL = "not equal"
    ROLLED_BACK = "rolled back"
    BY_OPERATOR = "by operator"


#: How the target came by a generation: all of it sent; what the overlay saw being changed; what
#: differs by digest; nothing, because it was equal (recorded, or adopted); or a kept generation.
Way = Literal["whole", "extents", "digests", "equal", "adopted", "rolled back"]

_WAYS: Mapping[Way, str] = {
    "whole": "the whole tape",
    "extents": "what the overlay saw being changed",
    "digests": "what differs by digest",
    "equal": "the same bytes",
    "adopted": "what stood there is equal",
    "rolled back": "a kept generation",
}


class WaitReason(StrEnum):
    """Why a copy waits without using up an attempt; each is looked at again by itself."""

    OPEN = "open"
    FENCED = "fenced"
    HOST_KEY = "host key"
    FOREIGN_AGENT = "another agent"


@dataclass(frozen=True, slots=True)
class CopyDone:
    """The target's name holds the generation, durably.

    *sent* bytes of the tape went over the wire, *skipped* were at the target already, *resumed* of
    them from an earlier attempt at this generation. *way* says how the target came by it. *kept*
    are the former generations that are at the target now, newest first.
    """

    copy: PublishedCopy
    sent: int
    took_s: float
    skipped: int = 0
    resumed: int = 0
    way: Way = "whole"
    kept: tuple[PublishedCopy, ...] = ()

    @property
    def amount(self) -> str:
        """Say for people how much was sent."""
        if not self.sent:
            return "nothing to send"
        size = format_size(self.copy.size)
        return size if self.way == "whole" else f"{format_size(self.sent)} of {size}"

    @property
    def summary(self) -> str:
        """Say for people how the target came by the generation, and how much was sent for it."""
        resumed = (
            f", {format_size(self.resumed)} were there from an earlier attempt"
            if self.resumed
            else ""
        )
        return f"{_WAYS[self.way]} ({self.amount}{resumed})"


@dataclass(frozen=True, slots=True)
class CopyFailed:
    """The attempt failed and counts. *unreachable*: it was for want of the target itself.

    *connected*: the target had answered before the link was lost, so that this tells nothing of
    other tapes' attempts. *permanent*: another attempt cannot succeed until somebody has mended
    something; it is made all the same. *whole_vault*: every copy into that vault of the target
    would fail so.
    """

    cause: str
    next_step: str
    unreachable: bool = False
    connected: bool = False
    permanent: bool = False
    whole_vault: bool = False


@dataclass(frozen=True, slots=True)
class CopyHeld:
    """A guard refused: nothing was published, and no retry will change that.

    *stamp* is of the file at the target that an operator may allow to be replaced, *place* where
    over there the label was found instead. *standing* is set if the name was given to a former
    generation: it stands there now, and *kept* are the others.
    """

    reason: HoldReason
    detail: str
    stamp: TargetStamp | None = None
    place: str = ""
    standing: PublishedCopy | None = None
    kept: tuple[PublishedCopy, ...] = ()


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
