"""From evidence to consequences: when a verdict is due, and what follows from it (DESIGN section 5).

Pairing needs no order: whatever arrives, from either witness, the tape is simply judged again from
all that is known. What is judged to its end is cleared; what had to be judged without the host is
remembered, in case the host speaks late.
"""

from dataclasses import dataclass, field, replace

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.commands import SweepVault
from copyagent.core.copying import HoldReason
from copyagent.core.host_mounts import HostMount
from copyagent.core.records import Judgement, TapeRecord
from copyagent.core.time import Moment
from copyagent.core.witness import (
    WAITING,
    WITHOUT_HOST,
    Evidence,
    Host,
    Overlay,
    Verdict,
    host_says,
    judge,
    overlay_says,
)
from vtsfs.contract import messages

_NS = 1_000_000_000

#: A host's first word about a mount that comes this many seconds after a tape was copied without it
#: is about another mount.
LATE_S = 300.0

#: The soonest that a tape which the host still has is looked at again, in seconds.
SOONEST_S = 1.0

#: A verdict and the two words it was made of.
Finding = tuple[Verdict, Overlay, Host]


@dataclass(slots=True)
class Judge:
    """Judges tapes of one book. *links* tells of each host's link: True while it may speak."""

    book: Book
    links: dict[str, bool] = field(default_factory=dict)
    covered: dict[str, bool] = field(default_factory=dict)

    def listening(self, vault: str) -> bool:
        """Tell whether a host that uses *vault* could be heard."""
        return any(up and self.concerns(host, vault) for host, up in self.links.items())

    def concerns(self, host: str, vault: str) -> bool:
        """Tell whether events of *host* are about tapes of *vault*."""
        settings = self.book.settings.ems.hosts.get(host)
        return settings is not None and (not settings.vaults or vault in settings.vaults)

    def mount_of(self, record: TapeRecord) -> HostMount | None:
        """Return the host mount that the tape's label stands for, if its host uses the vault."""
        mount = self.book.mounts.of(record.tape.label.upper())
        if mount is None or not self.concerns(mount.host, record.tape.vault):
            return None
        return mount

    def consider(self, record: TapeRecord, now: Moment, *, at_once: bool = False) -> None:
        """Judge *record* by all that is known now; set the moment to look again if need be.

        *at_once*: no more can be heard of what is to be judged, so it need not settle.
        """
        self.book.deadlines.pop(record.tape, None)
        self.book.settle_age(record, now)
        mount = self.mount_of(record)
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
            self._wait(record, verdict, mount, now)
            return
        self._conclude(record, (verdict, overlay, host), mount, now)

    def _host(self, record: TapeRecord, mount: HostMount | None, now: Moment) -> Host:
        cross_check = self.book.settings.cross_check
        return host_says(
            mount,
            expected=self.listening(record.tape.vault) and now.mono < self._patience(record),
            age_s=_age_s(mount, now),
            mounted_max_s=cross_check.mounted_max,
        )

    def _patience(self, record: TapeRecord) -> float:
        """Return when (monotonic seconds) the other witness has had its time to speak."""
        return record.evidence.quiet_since + self.book.settings.cross_check.grace

    def _consider_unseen(self, record: TapeRecord, mount: HostMount, now: Moment) -> None:
        """A host speaks of a tape, and the overlay has nothing to be judged.

        A bypassed overlay is a grave thing to say: the overlay gets its time to speak, too. A mount
        that is over and of which nothing came must not speak for the next one.
        """
        if record.unconfirmed:
            if self._may_be_late(record, mount, now):
                self._hear_late(record, mount, now)
                return
            record.unconfirmed = ()
        if not mount.dismounted_ns or self._seen_elsewhere(record):
            return
        if _was_interrupted(record, mount):
            self._consume(mount)
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
            self._consume(mount)

    def _seen_elsewhere(self, record: TapeRecord) -> bool:
        """Tell whether a tape that the host can have meant is open, or is being judged."""
        return any(
            other.open or (other is not record and not other.evidence.empty)
            for other in self.book.called(record.tape.label)
        )

    def _may_be_late(self, record: TapeRecord, mount: HostMount, now: Moment) -> bool:
        """Tell whether *mount* can be the one of the sessions that were judged without the host.

        What is not published yet is stopped by any word. Later, only a mount that had begun before
        the verdict, or one that comes soon after it, is not a new one.
        """
        settled = all(isinstance(copy.state, states.PROTECTED) for copy in record.copies.values())
        if not settled or record.judgement is None:
            return True
        judged_ns = record.judgement.at_ns
        return 0 < mount.began_ns <= judged_ns or now.wall_ns - judged_ns < LATE_S * _NS

    def _wait(
        self, record: TapeRecord, verdict: Verdict, mount: HostMount | None, now: Moment
    ) -> None:
        cross_check = self.book.settings.cross_check
        until = self._patience(record)
        if verdict is Verdict.HOST_HAS_IT:
            until = now.mono + max(cross_check.mounted_max - _age_s(mount, now), SOONEST_S)
        if verdict is Verdict.OPEN:
            if mount is None or not mount.dismounted_ns or record.warned_open:
                return
            since = (now.wall_ns - mount.dismounted_ns) / _NS
            until = now.mono + cross_check.grace - since
            if until <= now.mono:
                record.warned_open = True
                self.book.say(messages.STILL_OPEN, tape=record.tape)
                return
        self.book.deadlines[record.tape] = until

    def _hear_late(self, record: TapeRecord, mount: HostMount, now: Moment) -> None:
        """A host speaks about sessions that were judged without it.

        No ring for what is not published yet stops it. For what is published it can only be said.
        A with-ring mount that is not dismounted may be the next one: it says nothing yet.
        """
        past = Evidence(sessions=record.unconfirmed)
        overlay = overlay_says(past, writers=False)
        host = self._host(record, mount, now)
        verdict = judge(overlay, host)
        if verdict in WAITING or verdict in WITHOUT_HOST or verdict is Verdict.OVERDUE:
            return
        record.note(now.wall_ns, f"the host spoke late: {host}")
        there = states.Copied | states.Unmonitored
        published = all(isinstance(copy.state, there) for copy in record.copies.values())
        if verdict is Verdict.CONFLICT and published:
            record.unconfirmed = ()
            self._remember(record, (verdict, overlay, host), mount, past, now)
            self.book.say(messages.LATE_NO_RING, tape=record.tape, detail=_host_detail(mount))
            return
        record.evidence = past
        self._conclude(record, (verdict, overlay, host), mount, now)

    def _conclude(
        self, record: TapeRecord, finding: Finding, mount: HostMount | None, now: Moment
    ) -> None:
        evidence = record.evidence
        verdict = finding[0]
        late = verdict in WITHOUT_HOST or verdict is Verdict.OVERDUE
        record.evidence = Evidence()
        record.unconfirmed = evidence.sessions if late else ()
        record.warned_open = False
        if mount is not None and mount.dismounted_ns:
            self._consume(mount)
        self._remember(record, finding, mount, evidence, now)
        self._act(record, verdict, evidence, mount, now)
        self.book.dirty.add(record.tape)
        self.book.settle_age(record, now)

    def _consume(self, mount: HostMount) -> None:
        self.book.mounts.consume(mount.volume)
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

    def _act(
        self,
        record: TapeRecord,
        verdict: Verdict,
        evidence: Evidence,
        mount: HostMount | None,
        now: Moment,
    ) -> None:
        rules = self.book.settings.cross_check
        match verdict:
            case Verdict.AGREED:
                self._approve(record, now)
            case Verdict.UNWRITTEN if rules.unwritten == "copy":
                self._approve(record, now, again=True, complete=False)
            case Verdict.OVERDUE:
                age = f"{_age_s(mount, now) / 3600:.0f} h"
                self.book.say(messages.MOUNTED_TOO_LONG, tape=record.tape, age=age)
                wrote = overlay_says(evidence, writers=False) is Overlay.WROTE
                self._approve(record, now, complete=wrote)
            case Verdict.OVERLAY_ONLY:
                self._warn_overlay_only(record, now)
                self._by_rule(record, rules.overlay_only, verdict, now)
            case Verdict.CHANGED:
                self._warn_changed(record, evidence, now)
                self._by_rule(record, rules.changed, verdict, now, complete=False)
            case Verdict.HOST_ONLY:
                self._host_only(record, now)
            case Verdict.CONFLICT:
                self._hold(record, rules.conflict, HoldReason.CONFLICT, _host_detail(mount), now)
            case Verdict.INTERRUPTED:
                self._hold(record, rules.interrupted, HoldReason.INTERRUPTED, "", now)
            case Verdict.RECEIVED:
                self.book.apply_all(record, states.Received(), now)
            case _:
                self.book.apply_all(record, states.Unchanged(record.generation), now)

    def _approve(
        self, record: TapeRecord, now: Moment, *, again: bool = False, complete: bool = True
    ) -> None:
        if record.identity is not None and record.identity.size == 0:
            self.book.apply_all(record, states.Vanished("erased"), now)
        else:
            self.book.apply_all(record, states.Approved(record.generation, again, complete), now)

    def _by_rule(
        self,
        record: TapeRecord,
        rule: str,
        verdict: Verdict,
        now: Moment,
        *,
        complete: bool = True,
    ) -> None:
        if rule == "copy":
            self._approve(record, now, complete=complete)
        else:
            self._hold(record, rule, HoldReason.POLICY, verdict.value, now)

    def _hold(
        self, record: TapeRecord, rule: str, reason: HoldReason, detail: str, now: Moment
    ) -> None:
        if rule == "copy":
            self._approve(record, now)
        else:
            held = states.HoldDecided(record.generation, reason, detail)
            self.book.apply_all(record, held, now)

    def _host_only(self, record: TapeRecord, now: Moment) -> None:
        """The host used the tape and the overlay saw nothing: compare by digest."""
        tape = record.tape
        if not self.covered.get(tape.vault, False):
            detail = f"the host used {tape} and nothing was seen"
            self.book.say_once(
                messages.NOT_COVERED, tape.vault, now, vault=tape.vault, detail=detail
            )
        rule = self.book.settings.cross_check.host_only
        if rule == "none":
            return
        if all(copy.base is None for copy in record.copies.values()):
            # Nothing of ours is at the target to compare with: the host may have used a tape of
            # that name on another system. If the file did change here, the sweep sees it.
            self.book.commands.append(SweepVault(tape.vault, f"the host used {tape} unseen"))
            return
        record.generation += 1
        record.identity = None
        self._by_rule(record, rule, Verdict.HOST_ONLY, now, complete=False)

    def _warn_overlay_only(self, record: TapeRecord, now: Moment) -> None:
        if not self.book.settings.ems.hosts:
            return
        heard = self.listening(record.tape.vault)
        detail = "no event of the host came" if heard else "the EMS link is down"
        pool = record.tape.pool_id
        self.book.say_once(
            messages.OVERLAY_ONLY, pool, now, pool=pool, tape=record.tape, detail=detail
        )

    def _warn_changed(self, record: TapeRecord, evidence: Evidence, now: Moment) -> None:
        if set(evidence.changes) <= {"times"}:
            return  # a touch: worth a comparison by digest, not an alarm
        pool = record.tape.pool_id
        detail = ", ".join(dict.fromkeys(evidence.changes))
        self.book.say_once(
            messages.CHANGED_WITHOUT_MOUNT, pool, now, pool=pool, tape=record.tape, detail=detail
        )


def _was_interrupted(record: TapeRecord, mount: HostMount) -> bool:
    """Tell whether *mount* ends now, and its sessions were judged when the overlay was cut off."""
    judged = record.judgement
    if judged is None or judged.verdict is not Verdict.INTERRUPTED or judged.mount is None:
        return False
    return (judged.mount.host, judged.mount.began_ns) == (mount.host, mount.began_ns)


def _age_s(mount: HostMount | None, now: Moment) -> float:
    return (now.wall_ns - mount.began_ns) / _NS if mount and mount.began_ns else 0.0


def _host_detail(mount: HostMount | None) -> str:
    if mount is None:
        return ""
    request = f" request {mount.request:04}" if mount.request is not None else ""
    return f"{mount.host}{request}"
