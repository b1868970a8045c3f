"""What the agent remembers of each tape, durably: the whole of it is one record.

Sentinels: ``identity is None`` means that what is in the file is not known (the next copy takes
what it finds); ``behind_ns == 0`` means protected; a time of 0 ns means never.
"""

from dataclasses import dataclass, field

from copyagent.core.changes import Change, later_than
from copyagent.core.copying import PublishedCopy, TargetStamp, Wish
from copyagent.core.host_mount import HostMount
from copyagent.core.tape import PROTECTED, Clean, State, Unmonitored
from copyagent.core.witness import Evidence, Session, Verdict
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity

#: How many lines of a tape's own history are kept for `explain`.
MOST_NOTES = 40


@dataclass(frozen=True, slots=True)
class Note:
    """One line of a tape's history, for people."""

    at_ns: int
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with all the evidence it rests on."""

    verdict: Verdict
    overlay: str
    host: str
    at_ns: int
    generation: int
    sessions: tuple[Session, ...] = ()
    changes: tuple[str, ...] = ()
    mount: HostMount | None = None


@dataclass(frozen=True, slots=True)
class OperatorHold:
    """The word of an operator, *by*, that a copy is not made until it is released."""

    by: str
    because: str
    since_ns: int

    @property
    def words(self) -> str:
        """Say who keeps the copy back, and why."""
        return f"{self.by}: {self.because}"


@dataclass(slots=True)
class CopyRecord:
    """One tape at one target. *base* is the last publication on record there.

    *intent* is one whose rename may have happened without being recorded; *override* the foreign
    file that an operator released for replacement. *place* is the host and directory all that is
    about, as the settings named it then. *owed_ns* is since when the target could have what it lacks
    (see `copyagent.core.owed`), 0 while it lacks nothing. *kept* are the former generations there,
    newest first; *wish* is what an operator wants done at the next start. *beside*: companions have
    changed since the running copy began, so it may not have the latest of them. *hold* is an operator's
    and outlives all states; *since_ns* is since when the present state is what it is, 0 if unknown.
    """

    state: State = field(default_factory=Clean)
    base: PublishedCopy | None = None
    intent: PublishedCopy | None = None
    override: TargetStamp | None = None
    place: str = ""
    owed_ns: int = 0
    kept: tuple[PublishedCopy, ...] = ()
    wish: Wish | None = None
    beside: bool = False
    hold: OperatorHold | None = None
    since_ns: int = 0


@dataclass(slots=True)
class TapeRecord:
    """One tape: what the witnesses left, what was judged, and how its copies stand.

    *generation* counts up whenever the bytes may have changed. *open* holds the sessions that have
    not ended; *evidence* what ended and is not judged; *unconfirmed* the sessions of a verdict that
    was reached without the host, in case it speaks late. *changes* is what is known of the latest
    generations, oldest first, as far back as any target's base or kept generation needs it.
    """

    tape: TapeId
    generation: int = 0
    identity: Identity | None = None
    open: dict[str, Session] = field(default_factory=dict)
    evidence: Evidence = field(default_factory=Evidence)
    unconfirmed: tuple[Session, ...] = ()
    judgement: Judgement | None = None
    copies: dict[str, CopyRecord] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    notes: list[Note] = field(default_factory=list)
    behind_ns: int = 0
    warned_open: bool = False

    @property
    def writers(self) -> bool:
        """Whether a write session is open."""
        return any(session.access is Access.WRITE for session in self.open.values())

    @property
    def unsettled(self) -> bool:
        """Whether a session is open for writing or not judged yet: nothing may be copied now."""
        return self.writers or self.evidence.unsettling

    @property
    def protected(self) -> bool:
        """Whether every target has all there is (DESIGN section 11)."""
        return not self.unsettled and all(self.protected_at(target) for target in self.copies)

    def protected_at(self, target: str) -> bool:
        """Whether *target* has all there is, or is not to have it."""
        state = self.copies[target].state
        if isinstance(state, Unmonitored):
            return True
        return not self.unsettled and isinstance(state, PROTECTED)

    def forget_changes(self) -> None:
        """Forget the changes that lead from no generation that a target has, or may get now."""
        there = (
            found.generation
            for copy in self.copies.values()
            for found in (copy.base, copy.intent, *copy.kept)
            if found is not None
        )
        self.changes = later_than(self.changes, min(there, default=self.generation - 2))

    def note(self, at_ns: int, text: str, *, often: bool = False) -> None:
        """Add a line to the tape's history; what comes *often* replaces its last repetition.

        A copy that waits is looked at again and again, which must not push out what led there.
        """
        texts = [note.text for note in self.notes[-4:]]
        if often and len(texts) == 4 and texts[:2] == texts[2:] and texts[0] == text:
            del self.notes[-2:]
        self.notes.append(Note(at_ns, text))
        del self.notes[:-MOST_NOTES]
