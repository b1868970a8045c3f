"""The verdict: what two witnesses together say about one tape (DESIGN section 5).

Each witness's evidence is reduced to one word, and `VERDICTS` has an entry for every pair of words:
a test walks through the whole product. The reduction is in `overlay_says` and `host_says`; time
comes in as an argument. Nothing here keeps state.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from copyagent.core.host_events import Ring
from copyagent.core.host_mount import HostMount
from vtsfs.contract.signals import Access, Identity


class Overlay(StrEnum):
    """What the overlay (or the sweep) says."""

    OPEN = "open for writing"
    INTERRUPTED = "interrupted"
    WROTE = "wrote"
    UNWRITTEN = "nothing written"
    CHANGED = "changed without a session"
    RECEIVED = "received from a peer"
    NOTHING = "nothing"


class Host(StrEnum):
    """What EMS says."""

    NO_RING = "no ring"
    WITH_RING = "with ring, not dismounted"
    OVERDUE = "with ring, not dismounted for too long"
    DISMOUNTED = "with ring, dismounted"
    NO_RING_LATER = "no ring, asked for long after"
    IN_USE = "in use, ring not told"
    RETURNED = "dismounted, ring not told"
    SILENT = "silent"
    PENDING = "nothing yet"


class Verdict(StrEnum):
    """The two together. The value is what the operator reads."""

    OPEN = "open"
    INTERRUPTED = "interrupted"
    CONFLICT = "conflict"
    READ_ONLY = "agreed, read only"
    HOST_HAS_IT = "host still has it"
    OVERDUE = "with the host for too long"
    AGREED = "agreed"
    UNWRITTEN = "agreed, unwritten"
    RING_UNTOLD = "agreed, ring not told"
    OVERLAY_ONLY = "overlay only"
    UNCONFIRMED = "unconfirmed, unchanged"
    HOST_ONLY = "host only"
    CHANGED = "changed without a mount"
    RECEIVED = "received"
    UNDECIDED = "awaiting host"
    NONE = "nothing to judge"


#: The number of each verdict in the table of the design, which evidence names beside the word.
NUMBERS: Mapping[Verdict, int] = {
    Verdict.OPEN: 1,
    Verdict.INTERRUPTED: 2,
    Verdict.CONFLICT: 3,
    Verdict.READ_ONLY: 4,
    Verdict.HOST_HAS_IT: 5,
    Verdict.OVERDUE: 5,
    Verdict.AGREED: 6,
    Verdict.UNWRITTEN: 7,
    Verdict.OVERLAY_ONLY: 8,
    Verdict.UNCONFIRMED: 9,
    Verdict.HOST_ONLY: 10,
    Verdict.CHANGED: 11,
    Verdict.RECEIVED: 12,
    Verdict.RING_UNTOLD: 13,
    Verdict.UNDECIDED: 0,
    Verdict.NONE: 0,
}


def _row(**verdicts: Verdict) -> dict[Host, Verdict]:
    """One overlay word against all host words; *rest* stands for those not named."""
    rest = verdicts.get("rest")
    return {host: verdicts.get(host.name, rest) or Verdict.NONE for host in Host}


#: Every pair of words. An open or incomplete tape outranks whatever a host says, because a host
#: event can be forged; a conflict outranks copying.
VERDICTS: Mapping[Overlay, Mapping[Host, Verdict]] = {
    Overlay.OPEN: _row(rest=Verdict.OPEN),
    Overlay.INTERRUPTED: _row(rest=Verdict.INTERRUPTED),
    Overlay.WROTE: _row(
        NO_RING=Verdict.CONFLICT,
        WITH_RING=Verdict.HOST_HAS_IT,
        OVERDUE=Verdict.OVERDUE,
        DISMOUNTED=Verdict.AGREED,
        NO_RING_LATER=Verdict.UNDECIDED,
        IN_USE=Verdict.HOST_HAS_IT,
        RETURNED=Verdict.RING_UNTOLD,
        SILENT=Verdict.OVERLAY_ONLY,
        PENDING=Verdict.UNDECIDED,
    ),
    Overlay.UNWRITTEN: _row(
        NO_RING=Verdict.READ_ONLY,
        WITH_RING=Verdict.HOST_HAS_IT,
        OVERDUE=Verdict.OVERDUE,
        DISMOUNTED=Verdict.UNWRITTEN,
        NO_RING_LATER=Verdict.READ_ONLY,
        IN_USE=Verdict.HOST_HAS_IT,
        RETURNED=Verdict.UNCONFIRMED,
        SILENT=Verdict.UNCONFIRMED,
        PENDING=Verdict.UNDECIDED,
    ),
    Overlay.CHANGED: _row(rest=Verdict.CHANGED),
    Overlay.RECEIVED: _row(rest=Verdict.RECEIVED),
    Overlay.NOTHING: _row(rest=Verdict.NONE, DISMOUNTED=Verdict.HOST_ONLY),
}

#: Verdicts that end nothing: more evidence, or time, has to come.
WAITING = frozenset({Verdict.OPEN, Verdict.HOST_HAS_IT, Verdict.UNDECIDED, Verdict.NONE})

#: Verdicts that rest on a host's word about the tape, or on one that only a tape of its name had.
BY_HOST = frozenset(
    {Verdict.CONFLICT, Verdict.AGREED, Verdict.UNWRITTEN, Verdict.OVERDUE, Verdict.HOST_ONLY,
     Verdict.RING_UNTOLD}
)  # fmt: skip

#: Verdicts reached without the host; its late evidence may still change them.
WITHOUT_HOST = frozenset({Verdict.OVERLAY_ONLY, Verdict.UNCONFIRMED})


@dataclass(frozen=True, slots=True)
class Session:
    """One span of a tape being open, as the overlay told of it.

    *closed_ns* is 0 while it is open. *interrupted*: the overlay ended before the last release.
    """

    session: str
    access: Access
    opened_ns: int
    opened: Identity | None = None
    closed_ns: int = 0
    identity: Identity | None = None
    wrote: bool = False
    bytes_written: int = 0
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen of one tape and has not been judged to an end.

    *sessions* are closed ones, in order of arrival; *changes* are causes of changes without a
    session. *judged_ns* is when the sessions were judged without the host, if they are judged again
    (ns since the epoch, else 0). *quiet_since* and *began* are monotonic seconds: the last and the first of it. *waited*
    is how long, in seconds, the tape was quiet already when the last of it came: an overlay tells of
    a session when it has settled.
    """

    sessions: tuple[Session, ...] = ()
    changes: tuple[str, ...] = ()
    received: bool = False
    began: float = 0.0
    quiet_since: float = 0.0
    waited: float = 0.0
    judged_ns: int = 0

    def settled_at(self, settle_s: float) -> float:
        """Return when (monotonic seconds) the tape has been quiet for *settle_s* seconds."""
        return self.quiet_since + max(settle_s - self.waited, 0.0)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to judge on the overlay's side."""
        return not (self.sessions or self.changes or self.received)

    @property
    def unsettling(self) -> bool:
        """Whether any of it can mean that the target has not all there is."""
        writing = any(session.access is Access.WRITE for session in self.sessions)
        return writing or bool(self.changes) or self.received


def overlay_says(evidence: Evidence, *, writers: bool) -> Overlay:
    """Reduce the overlay's evidence to a word; *writers* tells of an open write session.

    A later session that wrote and ended clears an interrupted one: whoever wrote it saw the tape
    as the interruption left it. A session that wrote nothing does not.
    """
    if writers:
        return Overlay.OPEN
    for session in reversed(evidence.sessions):
        if session.interrupted and _changed(session):
            return Overlay.INTERRUPTED
        if session.wrote and not session.interrupted:
            return Overlay.WROTE
    if evidence.changes:
        return Overlay.CHANGED
    if evidence.received:
        return Overlay.RECEIVED
    return Overlay.UNWRITTEN if evidence.sessions else Overlay.NOTHING


def _changed(session: Session) -> bool:
    """The overlay may know better than the identities: time stamps can be lost, bytes not."""
    if session.wrote:
        return True
    if session.opened is None:
        return session.identity is None or session.identity.size > 0
    return not session.opened.same_bytes(session.identity)


def host_says(
    mount: HostMount | None,
    *,
    expected: bool,
    age_s: float,
    mounted_max_s: float,
    later: bool = False,
) -> Host:
    """Reduce a host's evidence to a word.

    *expected* tells whether more may still come in time: a link is up that could speak, and the
    overlay's evidence ended less than the grace ago. *age_s* is how long ago the mount began. A
    mount whose link was lost before its dismount counts as silence, never as a denial; its NO RING
    still counts. *later*: the mount can be another one than that of the sessions, and the overlay
    is going to show which.

    A host that has told all it tells of a mount, and no ring, is believed that it has the tape, and
    that it has not any more. If a request is merely missing, it may still come.
    """
    if mount is not None:
        if mount.ring is Ring.NO_RING:
            return Host.NO_RING_LATER if later and age_s < mounted_max_s else Host.NO_RING
        if mount.ring is Ring.WITH_RING and mount.dismounted_ns:
            return Host.DISMOUNTED
        if mount.ring is Ring.WITH_RING and not mount.lost:
            return Host.WITH_RING if age_s < mounted_max_s else Host.OVERDUE
        if mount.ring is None and mount.in_use and age_s < mounted_max_s:
            return Host.IN_USE
        if mount.told_all and mount.dismounted_ns:
            return Host.RETURNED
    return Host.PENDING if expected else Host.SILENT


def judge(overlay: Overlay, host: Host) -> Verdict:
    """Return the verdict on a pair of words."""
    return VERDICTS[overlay][host]
