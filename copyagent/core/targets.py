"""Which targets answer: one tape's connection speaks for all tapes of its target."""

from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.book import Book
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


@dataclass(slots=True)
class TargetHealth:
    """What is known of one target. *asked* is when it was probed last (monotonic seconds).

    *trouble* means that nothing can be copied there; *remark* is for the operator.
    """

    trouble: str = ""
    since_ns: int = 0
    asked: float = 0.0
    probing: bool = False
    remark: str = ""


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
                    health.trouble, health.since_ns = state.cause, state.at_ns
                    health.asked = now.mono

    def heard(self, target: str, outcome: CopyOutcome, now: Moment) -> None:
        """Take in what the end of a copy says about its target."""
        if isinstance(outcome, CopyFailed) and outcome.unreachable:
            self._down(target, outcome, now)
        elif _answered(outcome):
            self._up(target, now)
        if isinstance(outcome, CopyWaits) and outcome.reason is WaitReason.HOST_KEY:
            self.health[target] = TargetHealth(outcome.detail, now.wall_ns, now.mono)
        elif isinstance(outcome, CopyWaits) and outcome.reason is WaitReason.FENCED:
            self.health[target].remark = "fenced"

    def probed(self, event: TargetProbed, now: Moment) -> None:
        """Take in the answer to a probe."""
        health = self.health[event.target]
        health.probing, health.asked = False, now.mono
        if event.cause is None:
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
        if self.book.settings.retry.rearm == "never" or not self.health[target].trouble:
            return False
        return not self.health[target].probing and any(
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
        down = states.TargetDown(outcome.cause, outcome.next_step)
        for tape, name in sorted(self.book.pending):
            if name == target and (tape, name) not in self.book.running:
                self.book.apply(self.book.records[tape], target, down, now)

    def _up(self, target: str, now: Moment) -> None:
        self.health[target] = TargetHealth(asked=now.mono)
        if self.book.settings.retry.rearm == "never":
            return
        for tape, name in sorted(self.book.failed):
            if name == target:
                self.book.apply(self.book.records[tape], target, states.TargetReturned(), now)


def _answered(outcome: CopyOutcome) -> bool:
    """Tell whether a copy cannot have ended so without the target's answer."""
    match outcome:
        case CopyDone() | CopyWaits(reason=WaitReason.FENCED):
            return True
        case CopyHeld(reason=HoldReason.TARGET_CHANGED | HoldReason.TARGET_UNKNOWN):
            return True
        case _:
            return False
