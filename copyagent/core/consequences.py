"""What follows from a verdict: copy, hold, warn, or nothing, as the settings have it."""

from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.commands import SweepVault
from copyagent.core.copying import HoldReason
from copyagent.core.host_mount import HostMount
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from copyagent.core.witness import Evidence, Overlay, Verdict, overlay_says
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict with what it rests on.

    *rivals* are other tapes that the host's word can be about; *heard* tells whether a host could
    be heard when it was reached.
    """

    verdict: Verdict
    evidence: Evidence
    mount: HostMount | None = None
    rivals: tuple[TapeId, ...] = ()
    heard: bool = True


@dataclass(slots=True)
class Consequences:
    """Carries out rulings in one book. *covered* tells of each vault whether an overlay is there."""

    book: Book
    covered: dict[str, bool] = field(default_factory=dict)

    def follow(self, record: TapeRecord, ruling: Ruling, now: Moment) -> None:
        """Do what the settings say about *ruling*."""
        rules = self.book.settings.cross_check
        erased = record.identity is not None and record.identity.size == 0
        if ruling.rivals and rules.label_twice == "hold" and not erased:
            self._label_twice(record, ruling, now)
            return
        match ruling.verdict:
            case Verdict.AGREED | Verdict.RING_UNTOLD:
                self._approve(record, now)
            case Verdict.UNWRITTEN if rules.unwritten == "copy":
                self._approve(record, now, again=True, complete=False)
            case Verdict.OVERDUE:
                age = f"{age_s(ruling.mount, now) / 3600:.0f} h"
                self.book.say(messages.MOUNTED_TOO_LONG, tape=record.tape, age=age)
                wrote = overlay_says(ruling.evidence, writers=False) is Overlay.WROTE
                self._approve(record, now, complete=wrote)
            case Verdict.OVERLAY_ONLY:
                self._warn_overlay_only(record, ruling, now)
                self._by_rule(record, rules.overlay_only, ruling.verdict, now)
            case Verdict.CHANGED:
                self._warn_changed(record, ruling.evidence, now)
                self._by_rule(record, rules.changed, ruling.verdict, now, complete=False)
            case Verdict.HOST_ONLY:
                self._host_only(record, now)
            case Verdict.CONFLICT:
                detail = host_detail(ruling.mount)
                self._hold(record, rules.conflict, HoldReason.CONFLICT, detail, now)
            case Verdict.INTERRUPTED:
                self._hold(record, rules.interrupted, HoldReason.INTERRUPTED, "", now)
            case Verdict.RECEIVED:
                self.book.apply_all(record, states.Received(), now)
            case _:
                self.book.apply_all(record, states.Unchanged(record.generation), now)

    def _label_twice(self, record: TapeRecord, ruling: Ruling, now: Moment) -> None:
        """The host's word can be about another tape: only an operator knows."""
        rivals = ", ".join(str(tape) for tape in ruling.rivals)
        held = states.HoldDecided(record.generation, HoldReason.LABEL_TWICE, rivals)
        for target, copy in record.copies.items():
            there = isinstance(copy.state, states.Copied) and (
                copy.state.generation == record.generation
            )
            if not (ruling.verdict is Verdict.AGREED and there):
                self.book.apply(record, target, held, now)

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
        if not self.covered.get(tape.vault, False) and tape.vault not in self.book.uncovered:
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

    def _warn_overlay_only(self, record: TapeRecord, ruling: Ruling, now: Moment) -> None:
        if not self.book.settings.ems.hosts:
            return
        detail = "no event of the host came" if ruling.heard else "the EMS link is down"
        if ruling.mount is not None and ruling.mount.lost:
            detail = f"{ruling.mount.host} was not heard until it was done with it"
        elif ruling.mount is not None and ruling.heard:
            detail = "the host did not say with ring or no ring"
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


def age_s(mount: HostMount | None, now: Moment) -> float:
    """Return how long ago *mount* began, in seconds; 0 if that is not known."""
    return (now.wall_ns - mount.began_ns) / _NS if mount and mount.began_ns else 0.0


def host_detail(mount: HostMount | None) -> str:
    """Name the host and the request behind *mount*, for a message."""
    if mount is None:
        return ""
    request = f" request {mount.request:04}" if mount.request is not None else ""
    return f"{mount.host}{request}"
