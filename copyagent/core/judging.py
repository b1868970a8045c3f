"""From evidence to verdicts: when one is due, and what it rests on (DESIGN section 5).

Pairing needs no order: whatever arrives, from either witness, the tape is simply judged again from
all that is known. What is judged to its end is cleared; what was judged without the host, or by
words that may be about another mount, is remembered, in case the host speaks late.
"""

from dataclasses import dataclass, field, replace

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.consequences import Consequences, Ruling, age_s, host_detail
from copyagent.core.dismounts import put_on_record
from copyagent.core.host_events import Ring
from copyagent.core.host_mount import LATE_NS, HostMount
from copyagent.core.meant import Meant
from copyagent.core.records import Judgement, TapeRecord
from copyagent.core.time import Moment
from copyagent.core.witness import (
    BY_HOST,
    WAITING,
    WITHOUT_HOST,
    Evidence,
    Host,
    Overlay,
    Session,
    Verdict,
    host_says,
    judge,
    overlay_says,
)
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access

_NS = 1_000_000_000

#: The soonest that a tape which the host still has is looked at again, in seconds.
SOONEST_S = 1.0

#: Verdicts by which sessions were copied, so that another mount's NO RING can come late for them.
_COPIED_BY = frozenset({Verdict.AGREED, Verdict.RING_UNTOLD})

#: A verdict and the two words it was made of.
Finding = tuple[Verdict, Overlay, Host]


@dataclass(slots=True)
class Judge:
    """Judges tapes of one book. *links* tells of each host's link: True while it may speak."""

    book: Book
    links: dict[str, bool] = field(default_factory=dict)
    covered: dict[str, bool] = field(default_factory=dict)
    meant: Meant = field(init=False)
    consequences: Consequences = field(init=False)

    def __post_init__(self) -> None:
        self.meant = Meant(self.book)
        self.consequences = Consequences(self.book, self.covered)

    def follow(self, now: Moment) -> None:
        """Take up the hosts and rules of other settings; what waits for a verdict is judged by them."""
        hosts = self.book.settings.ems.hosts
        for host in self.links.keys() - hosts.keys():
            del self.links[host]
        for host in hosts:
            self.links.setdefault(host, True)
        self.meant.follow()
        for tape in list(self.book.deadlines):
            if tape in self.book.records:
                self.consider(self.book.records[tape], now)

    def listening(self, vault: str) -> bool:
        """Tell whether a host that uses *vault* could be heard."""
        return any(up and self.meant.concerns(host, vault) for host, up in self.links.items())

    def mount_of(self, record: TapeRecord) -> HostMount | None:
        """Return the host mount that counts for what is to be judged, or would count next.

        Of several hosts' it is the one to be careful about. A mount that was over before all of it
        began is not its.
        """
        began_ns = min((s.opened_ns for s in record.evidence.sessions), default=0)
        mounts = self.meant.mounts_of(record)
        fitting = [m for m in mounts if m.may_be_next or not 0 < m.dismounted_ns < began_ns]
        return max(fitting, key=lambda mount: mount.caution, default=None)

    # ---- judging -----------------------------------------------------------------------------------

    def consider(self, record: TapeRecord, now: Moment, *, at_once: bool = False) -> None:
        """Judge *record* by all that is known now; set the moment to look again if need be.

        *at_once*: no more can be heard of what is to be judged, so it need not settle.
        """
        self.book.deadlines.pop(record.tape, None)
        self.book.settle_age(record, now)
        if record.evidence.judged_ns and self.mount_of(record) is None:
            record.evidence = replace(record.evidence, judged_ns=0)  # what was doubted is gone
        self._judge_former_mounts(record, now)
        mount = self.mount_of(record)
        if mount is not None:
            self._join_past(record, mount, now)
        overlay = overlay_says(record.evidence, writers=record.writers)
        if overlay is Overlay.NOTHING:
            if mount is not None:
                self._consider_unseen(record, mount, now)
            return
        if not record.evidence.quiet_since:
            record.evidence = replace(record.evidence, began=now.mono, quiet_since=now.mono)
        settled = record.evidence.settled_at(self.book.settings.cross_check.settle)
        if overlay is not Overlay.OPEN and now.mono < settled and not at_once:
            self.book.deadlines[record.tape] = settled
            return
        host = self._host(record, mount, now)
        verdict = judge(overlay, host)
        if verdict in WAITING:
            self._wait(record, (verdict, overlay, host), mount, now)
            return
        self._conclude(record, (verdict, overlay, host), mount, now)

    def session_begins(
        self, record: TapeRecord, opened_ns: int, access: Access, now: Moment
    ) -> None:
        """Judge what ended before a session that opened at *opened_ns*, where it can be told apart.

        Call it before the session is entered. A mount that was over before it had nothing to do with
        it; and a no-ring mount that it belongs to is not that of sessions judged long before.
        """
        if record.writers or record.evidence.empty:
            return
        mount = self.mount_of(record)
        if mount is None:
            return
        if record.evidence.judged_ns and self._host(record, mount, now) is Host.NO_RING_LATER:
            if mount.requested_ns <= opened_ns and _is_another(record, mount):
                overlay = overlay_says(record.evidence, writers=False)
                verdict = judge(overlay, Host.SILENT)
                record.note(now.wall_ns, f"{mount.host}: the no-ring mount is a later one")
                self._conclude(record, (verdict, overlay, Host.SILENT), None, now)
                record.unconfirmed = ()
        elif access is Access.WRITE and 0 < mount.dismounted_ns <= opened_ns:
            self.consider(record, now, at_once=True)

    def _host(self, record: TapeRecord, mount: HostMount | None, now: Moment) -> Host:
        cross_check = self.book.settings.cross_check
        if mount is not None and mount.lost and not mount.missed and self.links.get(mount.host):
            # The link has been down for a moment only: what was said meanwhile is still to come.
            mount = replace(mount, lost=False)
        return host_says(
            mount,
            expected=self.listening(record.tape.vault) and now.mono < self._patience(record),
            age_s=age_s(mount, now),
            mounted_max_s=cross_check.mounted_max,
            later=mount is not None and self._is_later(record, mount, now),
        )

    def _patience(self, record: TapeRecord) -> float:
        """Return when (monotonic seconds) the other witness has had its time to speak."""
        return record.evidence.quiet_since + self.book.settings.cross_check.grace

    def _is_later(self, record: TapeRecord, mount: HostMount, now: Moment) -> bool:
        """Tell whether *mount* can be a later one than that of sessions which were judged already.

        Either another mount seemed to be theirs, or this one was asked for too long after them. When
        it is over, the overlay has the grace to show that it was opened for it.
        """
        if not record.evidence.judged_ns:
            return False
        judged = record.judgement
        agreed = judged is not None and judged.verdict in _COPIED_BY
        if not agreed and not _is_another(record, mount):
            return False
        grace_ns = self.book.settings.cross_check.grace * _NS
        return not mount.dismounted_ns or now.wall_ns - mount.dismounted_ns < grace_ns

    def _wait(
        self, record: TapeRecord, finding: Finding, mount: HostMount | None, now: Moment
    ) -> None:
        cross_check = self.book.settings.cross_check
        until = self._patience(record)
        verdict, _, host = finding
        over_s = (
            (now.wall_ns - mount.dismounted_ns) / _NS if mount and mount.dismounted_ns else None
        )
        if verdict is Verdict.HOST_HAS_IT or host is Host.NO_RING_LATER:
            left = cross_check.mounted_max - age_s(mount, now)
            until = now.mono + max(
                left if over_s is None else cross_check.grace - over_s, SOONEST_S
            )
        if verdict is Verdict.OPEN:
            if over_s is None or record.warned_open:
                return
            until = now.mono + cross_check.grace - over_s
            if until <= now.mono:
                record.warned_open = True
                self.book.say(messages.STILL_OPEN, tape=record.tape)
                return
        self.book.deadlines[record.tape] = until

    # ---- mounts that are over ----------------------------------------------------------------------

    def _judge_former_mounts(self, record: TapeRecord, now: Moment) -> None:
        """Judge the sessions of mounts that a next one has ended, whether that was heard or not.

        They would be judged by the next mount's ring otherwise.
        """
        for former, later in self.meant.formers_of(record):
            whole = record.evidence
            known = former.ring is not Ring.NO_RING or former.began_ns < whole.judged_ns
            if whole.judged_ns and known:
                continue  # they were judged by it, or in spite of it, the first time
            mine = tuple(s for s in whole.sessions if _is_of(s, former, later))
            if mine:
                if former.implied:
                    asked = f"{former.host}: mounted it again, so it was dismounted"
                    record.note(now.wall_ns, asked)
                rest = tuple(session for session in whole.sessions if session not in mine)
                record.evidence = replace(whole, sessions=mine)
                overlay = overlay_says(record.evidence, writers=False)
                host = host_says(former, expected=False, age_s=0.0, mounted_max_s=1.0)
                self._conclude(record, (judge(overlay, host), overlay, host), former, now)
                if rest:
                    record.evidence = replace(whole, sessions=rest, changes=(), received=False)

    def _consider_unseen(self, record: TapeRecord, mount: HostMount, now: Moment) -> None:
        """A host speaks of a tape, and the overlay has nothing to be judged.

        A bypassed overlay is a grave thing to say: the overlay gets its time to speak, too. A mount
        that is over and of which nothing came must not speak for the next one.
        """
        if record.unconfirmed and self._hear_late(record, mount, now):
            return
        if not mount.dismounted_ns or self._seen_elsewhere(record, mount):
            return
        if _was_interrupted(record, mount):
            self._retire(mount)
            return
        if not record.evidence.quiet_since:
            record.evidence = replace(record.evidence, began=now.mono, quiet_since=now.mono)
        if now.mono < self._patience(record):
            self.book.deadlines[record.tape] = self._patience(record)
            return
        host = self._host(record, mount, now)
        verdict = judge(Overlay.NOTHING, host)
        if verdict is Verdict.HOST_ONLY:
            self._conclude(record, (verdict, Overlay.NOTHING, host), mount, now)
        else:
            record.evidence = Evidence()
            self._retire(mount)

    def _seen_elsewhere(self, record: TapeRecord, mount: HostMount) -> bool:
        """Tell whether a tape that the host can have meant is open, or is being judged."""
        return any(
            other.open or (other is not record and not other.evidence.empty)
            for other in self.meant.addressed(mount.host, mount.volume)
        )

    # ---- words that come late ----------------------------------------------------------------------

    def _hear_late(self, record: TapeRecord, mount: HostMount, now: Moment) -> bool:
        """Take in what a host says about sessions that were judged already; tell if that was it.

        No ring for what is not published yet stops it. For what is published it can only be said.
        A with-ring mount that is not dismounted may be the next one: it says nothing yet.
        """
        past = Evidence(sessions=record.unconfirmed)
        if not self._concerns_past(record, mount, now):
            return False
        overlay = overlay_says(past, writers=False)
        host = self._host(record, mount, now)
        verdict = judge(overlay, host)
        if verdict in WAITING or verdict in WITHOUT_HOST or verdict is Verdict.OVERDUE:
            return True
        finding = (verdict, overlay, host)
        record.note(now.wall_ns, f"the host spoke late: {host}")
        record.unconfirmed = ()
        if verdict is Verdict.CONFLICT and _published(record):
            self._remember(record, finding, mount, past, now)
            before = {target: copy.state for target, copy in record.copies.items()}
            judged_again = replace(past, judged_ns=now.wall_ns)
            put_on_record(self.book.history, record, judged_again, before, now)
            self.book.say(messages.LATE_NO_RING, tape=record.tape, detail=host_detail(mount))
            return True
        again = replace(past, judged_ns=record.judgement.at_ns if record.judgement else 0)
        record.evidence = again
        if verdict is Verdict.CONFLICT and self._is_later(record, mount, now):
            self.book.apply_all(record, states.WriterCame(), now)
            self.consider(record, now, at_once=True)
            return True
        record.evidence = past
        self._conclude(record, finding, mount, now)
        return True

    def _join_past(self, record: TapeRecord, mount: HostMount, now: Moment) -> None:
        """Judge sessions again, together with what came after, if *mount* may forbid their copy.

        Readers come as they like; they must not take a NO RING that was meant for who wrote.
        """
        if not record.unconfirmed or record.evidence.empty or mount.ring is not Ring.NO_RING:
            return
        if self._concerns_past(record, mount, now) and not _published(record):
            sessions = record.unconfirmed + record.evidence.sessions
            record.evidence = replace(record.evidence, sessions=sessions)
            record.unconfirmed = ()

    def _concerns_past(self, record: TapeRecord, mount: HostMount, now: Moment) -> bool:
        """Tell whether *mount* can be that of the sessions that were judged already.

        What is not published yet is stopped by any NO RING. Later, only a mount that had begun
        before the verdict, or one that comes soon after it, is not a new one; and of sessions that
        a host agreed to, no other mount says anything.
        """
        settled = all(isinstance(copy.state, states.PROTECTED) for copy in record.copies.values())
        judged = record.judgement
        if judged is not None and judged.verdict in _COPIED_BY:
            if settled:
                record.unconfirmed = ()
            return mount.ring is Ring.NO_RING and not settled
        if not settled or judged is None:
            return True
        if 0 < mount.began_ns <= judged.at_ns or now.wall_ns - judged.at_ns < LATE_NS:
            return True
        record.unconfirmed = ()
        return False

    # ---- verdicts ----------------------------------------------------------------------------------

    def _conclude(
        self, record: TapeRecord, finding: Finding, mount: HostMount | None, now: Moment
    ) -> None:
        evidence, verdict = record.evidence, finding[0]
        record.evidence = Evidence()
        wrote = any(session.wrote for session in evidence.sessions)
        earlier = () if wrote else record.unconfirmed
        record.unconfirmed = earlier + _unconfirmed(evidence, verdict, mount)
        record.warned_open = False
        rivals: tuple[TapeId, ...] = ()
        if mount is not None and verdict in BY_HOST:
            rivals = tuple(self.meant.rivals(record, mount))
        if mount is not None and mount.dismounted_ns:
            self._retire(mount)
        told = evidence
        if _was_judged(record, mount):
            # A mount is dismounted once, however many sessions turn out to be its own.
            told = replace(evidence, judged_ns=evidence.judged_ns or now.wall_ns)
        self._remember(record, finding, mount, evidence, now)
        heard = self.listening(record.tape.vault)
        ruling = Ruling(verdict, evidence, mount, rivals, heard)
        before = {target: copy.state for target, copy in record.copies.items()}
        self.consequences.follow(record, ruling, now)
        put_on_record(self.book.history, record, told, before, now)
        self.book.dirty.add(record.tape)
        self.book.settle_age(record, now)

    def _retire(self, mount: HostMount) -> None:
        if mount.may_be_next:
            self.book.mounts.begin_next(mount)
        else:
            self.book.mounts.retire(mount)
        self.book.mounts_dirty = True

    def _remember(
        self,
        record: TapeRecord,
        finding: Finding,
        mount: HostMount | None,
        evidence: Evidence,
        now: Moment,
    ) -> None:
        verdict, overlay, host = finding
        self.book.counters.judged(str(record.tape.pool_id), verdict)
        record.judgement = Judgement(
            verdict=verdict,
            overlay=overlay,
            host=host,
            at_ns=now.wall_ns,
            generation=record.generation,
            sessions=evidence.sessions,
            changes=evidence.changes,
            mount=mount,
        )
        record.note(now.wall_ns, f"verdict: {verdict} (overlay: {overlay}; host: {host})")


def _is_another(record: TapeRecord, mount: HostMount) -> bool:
    """Tell whether *mount* was asked for long after its sessions were judged, by a live link."""
    return mount.live and mount.requested_ns - record.evidence.judged_ns > LATE_NS


def _was_judged(record: TapeRecord, mount: HostMount | None) -> bool:
    """Tell whether the latest verdict on the tape was by this very *mount*."""
    judged = record.judgement
    if mount is None or judged is None or judged.mount is None:
        return False
    former = judged.mount
    same = (former.host, former.request, former.began_ns)
    return bool(mount.began_ns) and same == (mount.host, mount.request, mount.began_ns)


def _published(record: TapeRecord) -> bool:
    there = states.Copied | states.Unmonitored
    return all(isinstance(copy.state, there) for copy in record.copies.values())


def _is_of(session: Session, former: HostMount, later: tuple[HostMount, ...]) -> bool:
    """Tell whether *session* was over before the next mount, and not begun after the former.

    If no word of the former came in time, it may as well be of any *later* one: where one of them
    is without ring, it is not taken for the former's.
    """
    forbids = former.ring is not Ring.NO_RING and any(m.ring is Ring.NO_RING for m in later)
    if forbids and session.closed_ns < former.began_ns:
        return False
    if later and session.closed_ns >= later[0].began_ns:
        return False
    return session.opened_ns <= former.dismounted_ns


def _unconfirmed(
    evidence: Evidence, verdict: Verdict, mount: HostMount | None
) -> tuple[Session, ...]:
    """Return the sessions about which a host may still say something else, late.

    Those judged without a host; and those that were over before the first word of the mount that
    is taken for theirs, or whose mount is only known to have been wished for: they can be another's.
    """
    if verdict in WITHOUT_HOST or verdict is Verdict.OVERDUE:
        return evidence.sessions
    if verdict not in _COPIED_BY or mount is None:
        return ()
    if not mount.took_place:
        return evidence.sessions
    return tuple(s for s in evidence.sessions if s.closed_ns < mount.began_ns)


def _was_interrupted(record: TapeRecord, mount: HostMount) -> bool:
    """Tell whether *mount* ends now, and its sessions were judged when the overlay was cut off."""
    judged = record.judgement
    if judged is None or judged.verdict is not Verdict.INTERRUPTED or judged.mount is None:
        return False
    return (judged.mount.host, judged.mount.began_ns) == (mount.host, mount.began_ns)
