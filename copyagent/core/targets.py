"""Which targets answer: one tape's connection speaks for all tapes of its target."""

from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.book import Book, CopyKey
from copyagent.core.commands import ProbeTarget
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyWaits,
    HoldReason,
    WaitReason,
)
from copyagent.core.events import TargetProbed
from copyagent.core.time import Moment
from vtsfs.contract.naming import TapeId


@dataclass(slots=True)
class TargetHealth:
    """What is known of one target. *asked* is when it was probed last (monotonic seconds).

    *trouble* means that nothing can be copied there; *remark* is for the operator. *unfit* are the
    vaults there that take no copies, with the cause.
    """

    trouble: str = ""
    since_ns: int = 0
    asked: float = 0.0
    probing: bool = False
    remark: str = ""
    unfit: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Targets:
    """The health of every target, and what its going and coming mean for the copies of one book."""

    book: Book
    health: dict[str, TargetHealth] = field(init=False)

    def __post_init__(self) -> None:
        self.health = {target: TargetHealth() for target in self.book.settings.targets}

    def recover(self, now: Moment) -> None:
        """After a restart, take from the given-up copies which targets were down."""
        for record in self.book.watched():
            for target, copy in record.copies.items():
                state, health = copy.state, self.health.get(target)
                if health and isinstance(state, states.Failed) and state.unreachable:
                    health.asked, health.since_ns = now.mono, state.at_ns
                    if state.whole_vault:
                        health.unfit[self._vault(record.tape, target)] = state.cause
                    else:
                        health.trouble = state.cause

    def heard(self, tape: TapeId, target: str, outcome: CopyOutcome, now: Moment) -> None:
        """Take in what the end of a copy says about its target."""
        if isinstance(outcome, CopyFailed) and outcome.unreachable:
            self._down(target, outcome, now)
        elif isinstance(outcome, CopyFailed) and outcome.whole_vault:
            self._unfit(self._vault(tape, target), target, outcome, now)
        elif _answered(outcome):
            self._up(target, now, self._vault(tape, target))
        if isinstance(outcome, CopyWaits) and outcome.reason is WaitReason.HOST_KEY:
            self.health[target] = TargetHealth(outcome.detail, now.wall_ns, now.mono)
        elif isinstance(outcome, CopyWaits) and outcome.reason is WaitReason.FENCED:
            self.health[target].remark = "fenced"

    def probed(self, event: TargetProbed, now: Moment) -> None:
        """Take in the answer to a probe."""
        health = self.health[event.target]
        health.probing, health.asked = False, now.mono
        if event.cause is None:
            health.unfit = dict(event.unfit)
            self._up(event.target, now)
        else:
            health.trouble = event.cause

    def probe_due(self, now: Moment) -> None:
        """Ask for a probe of every target that has to be asked by now."""
        for target, at in self.probe_times():
            if now.mono >= at:
                self.health[target].probing = True
                self.book.commands.append(ProbeTarget(target))

    def probe_times(self) -> list[tuple[str, float]]:
        """Return which targets have to be probed, and when (monotonic seconds)."""
        interval_s = self.book.ladder.interval_s
        return [
            (target, health.asked + interval_s)
            for target, health in self.health.items()
            if self._needs_probe(target)
        ]

    def _needs_probe(self, target: str) -> bool:
        """Nobody asks a target whose copies have all been given up; its return would go unseen."""
        health = self.health[target]
        if self.book.settings.retry.rearm == "never" or not (health.trouble or health.unfit):
            return False
        return not health.probing and any(
            isinstance(state := self.book.records[tape].copies[name].state, states.Failed)
            and state.unreachable
            for tape, name in self.book.failed
            if name == target
        )

    def _down(self, target: str, outcome: CopyFailed, now: Moment) -> None:
        """A tape's failed log-in stands for all that are due: each has had its attempt."""
        health = self.health[target]
        health.asked = now.mono
        if not health.trouble:
            health.since_ns = now.wall_ns
        health.trouble = outcome.cause
        if outcome.connected:
            return
        down = states.TargetDown(outcome.cause, outcome.next_step, outcome.permanent)
        self._fail_all_due(target, self.book.pending, down, now)

    def _unfit(self, vault: str, target: str, outcome: CopyFailed, now: Moment) -> None:
        """What one tape found wrong with the vault over there stands for all that go there."""
        health = self.health[target]
        health.asked = now.mono
        health.unfit[vault] = outcome.cause
        down = states.TargetDown(
            outcome.cause, outcome.next_step, outcome.permanent, whole_vault=True
        )
        there = {key for key in self.book.pending if self._vault(*key) == vault}
        self._fail_all_due(target, there, down, now)

    def _fail_all_due(
        self, target: str, keys: set[CopyKey], down: states.TargetDown, now: Moment
    ) -> None:
        for tape, name in sorted(keys):
            if name == target and (tape, name) not in self.book.running:
                self.book.apply(self.book.records[tape], target, down, now)

    def _up(self, target: str, now: Moment, vault: str | None = None) -> None:
        """The target takes copies: into *vault*, or (None) wherever it is not known to be unfit."""
        unfit = self.health[target].unfit
        if vault is not None:
            unfit.pop(vault, None)
        self.health[target] = TargetHealth(asked=now.mono, unfit=unfit)
        if self.book.settings.retry.rearm == "never":
            return
        for tape, name in sorted(self.book.failed):
            if name == target and self._vault(tape, target) not in unfit:
                self.book.apply(self.book.records[tape], target, states.TargetReturned(), now)

    def _vault(self, tape: TapeId, target: str) -> str:
        goes_to = self.book.settings.target_tape(tape, target)
        return goes_to.vault if goes_to is not None else ""


def _answered(outcome: CopyOutcome) -> bool:
    """Tell whether a copy cannot have ended so without the target's answer."""
    match outcome:
        case CopyDone() | CopyWaits(reason=WaitReason.FENCED):
            return True
        case CopyHeld(reason=HoldReason.TARGET_CHANGED | HoldReason.TARGET_UNKNOWN):
            return True
        case _:
            return False
