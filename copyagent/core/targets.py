"""Which targets answer: one tape's connection, or one question, speaks for all tapes of a target.

A target that did not answer gets no connection from each tape that is due there. It is asked by a
probe while something is due, at most every `probe_gap_s`; what was due when the probe failed has had
its attempt (DESIGN section 7). What must not be sent there now, for a window or a pause, is not due.
"""

from collections.abc import Collection
from dataclasses import dataclass

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
from copyagent.core.queues import CopyKey
from copyagent.core.target_health import TargetHealth
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

#: Copies that were tried, or are to be, and that other settings of their target may help.
_TRIED = (states.Retrying, states.Waiting, states.Failed)


@dataclass(slots=True)
class Targets:
    """The health of every target, and what its going and coming mean for the copies of one book."""

    book: Book

    def __post_init__(self) -> None:
        self.book.health = {target: TargetHealth() for target in self.book.settings.targets}

    @property
    def health(self) -> dict[str, TargetHealth]:
        """What is known of each target."""
        return self.book.health

    def follow(self, changed: Collection[str], now: Moment) -> None:
        """Take up the targets of other settings: of new and *changed* ones nothing is known yet.

        Whoever mends a target's settings means that it is tried again: its ladders begin anew.
        """
        known = self.book.health
        self.book.health = {
            target: known[target] if target in known and target not in changed else TargetHealth()
            for target in self.book.settings.targets
        }
        for record in self.book.active():
            for target in set(changed) & record.copies.keys():
                if isinstance(record.copies[target].state, _TRIED):
                    anew = states.RetryAsked(record.generation)
                    self.book.apply(record, target, anew, now)

    def recover(self, now: Moment) -> None:
        """After a restart, take from the given-up copies which targets were down."""
        for record in self.book.active():
            for target, copy in record.copies.items():
                state, health = copy.state, self.health.get(target)
                if health and isinstance(state, states.Failed) and state.unreachable:
                    health.asked, health.since_ns = now.mono, state.at_ns
                    if state.whole_vault:
                        health.unfit[self._vault(record.tape, target)] = state.cause
                    else:
                        health.trouble = state.cause

    def heard(self, tape: TapeId, target: str, outcome: CopyOutcome, now: Moment) -> None:
        """Take in what the end of the copy of *tape* says about its target, if it still is one."""
        if target not in self.health:
            return
        vault = self._vault(tape, target)
        match outcome:
            case CopyFailed(unreachable=True):
                self._down(target, outcome, now)
                if not outcome.connected:
                    self._count(target, outcome, now)
            case CopyFailed(whole_vault=True):
                self.health[target].unfit[vault] = outcome.cause
                self.health[target].asked = now.mono
                self._count(target, outcome, now, vault)
            case CopyWaits(reason=WaitReason.OPEN):
                pass
            case CopyWaits():
                self._waits(target, outcome, now, vault)
            case _ if _answered(outcome):
                self._up(target, now, vault)

    def probed(self, event: TargetProbed, now: Moment) -> None:
        """Take in the answer to a probe: a failure counts for all that are due by now."""
        wanted = self.book.settings.targets.get(event.target)
        if wanted is None or (event.asked is not None and event.asked != wanted):
            return  # the settings have changed since it was asked
        health, outcome = self.health[event.target], event.outcome
        health.probing = False
        match outcome:
            case None:
                health.unfit = dict(event.unfit)
                self._up(event.target, now)
            case CopyFailed():
                self._down(event.target, outcome, now)
                for tape in self._count(event.target, outcome, now)[:1]:
                    self._say_for_all(tape, event.target, now)
            case CopyWaits():
                self._waits(event.target, outcome, now)

    def probe_due(self, now: Moment) -> None:
        """Ask for a probe of every target that has to be asked by now."""
        for target, at in self.probe_times(now):
            if now.mono >= at:
                self.health[target].probing = True
                self.book.commands.append(ProbeTarget(target))

    def probe_times(self, now: Moment) -> list[tuple[str, float]]:
        """Return which targets have to be probed, and when (monotonic seconds)."""
        found = []
        for target, health in self.health.items():
            if health.probing or not (health.trouble or health.unfit):
                continue
            if health.down and self.due_at(target, now, most=1):
                found.append((target, health.asked + self.book.ladder.probe_gap_s))
            elif self._awaited(target, now):
                found.append((target, health.asked + self.book.ladder.interval_s))
        return found

    def due_at(self, target: str, now: Moment, most: int | None = None) -> list[CopyKey]:
        """Return up to *most* copies that would be started at *target* now if it were up."""
        book, found = self.book, list[CopyKey]()
        for way in book.queues.ways():
            if way[1] != target or book.way_closed(way, now) is not None:
                continue
            for key in book.queues.due(way):
                if not self.passed(key):
                    found.append(key)
                    if len(found) == most:
                        return found
        return sorted(found)

    def passed(self, key: CopyKey) -> bool:
        """Tell whether a due copy cannot be started yet: its tape is in use, or it is still ending."""
        return key in self.book.running or self.book.records[key[0]].unsettled

    def _awaited(self, target: str, now: Moment) -> bool:
        """Tell whether anybody waits for the return of *target* who will not try it himself."""
        if self.book.settings.retry.rearm == "never":
            return False
        return any(
            name == target
            and self.book.closed(tape, target, now) is None
            and isinstance(state := self.book.records[tape].copies[name].state, states.Failed)
            and state.unreachable
            for tape, name in self.book.failed
        )

    def _down(self, target: str, outcome: CopyFailed, now: Moment) -> None:
        health = self.health[target]
        if not health.trouble:
            health.since_ns = now.wall_ns
        health.trouble, health.next_step = outcome.cause, outcome.next_step
        health.down = not outcome.connected
        health.asked, health.remark = now.mono, ""

    def _count(
        self, target: str, outcome: CopyFailed, now: Moment, vault: str | None = None
    ) -> list[TapeId]:
        """No copy that is due, into *vault*, would have got further: each has had its attempt.

        Returns those.
        """
        down = states.TargetDown(
            outcome.cause, outcome.next_step, outcome.permanent, outcome.whole_vault
        )
        due = (tape for tape, _ in self.due_at(target, now))
        tried = [t for t in due if vault is None or self._vault(t, target) == vault]
        for tape in tried:
            self.book.apply(self.book.records[tape], target, down, now)
        return tried

    def _say_for_all(self, tape: TapeId, target: str, now: Moment) -> None:
        """One tape speaks for all that were due; within an interval each number is told once."""
        state, interval_s = (
            self.book.records[tape].copies[target].state,
            self.book.ladder.interval_s,
        )
        if not isinstance(state, states.Retrying):
            return
        about = f"{target} {state.failures}"
        if self.book.unsaid(messages.ATTEMPT_FAILED, about, now, interval_s):
            self.book.say(
                messages.ATTEMPT_FAILED,
                tape=tape,
                target=target,
                attempt=state.failures,
                attempts=self.book.ladder.attempts,
                cause=state.cause,
            )

    def _waits(
        self, target: str, outcome: CopyWaits, now: Moment, vault: str | None = None
    ) -> None:
        """What made one copy wait would make all wait; they are looked at again together.

        A fence and a mark are of one *vault*; copies into others go on.
        """
        if outcome.reason is WaitReason.HOST_KEY:
            self.health[target] = TargetHealth(
                outcome.detail, messages.HOST_KEY.next_step, since_ns=now.wall_ns, asked=now.mono
            )
        else:
            self._up(target, now, vault)
            self.health[target].remark = str(outcome.reason)
        whole = outcome.reason is WaitReason.HOST_KEY
        waits = states.TargetWaits(outcome.reason, outcome.detail)
        for tape, _ in self.due_at(target, now):
            if not whole and vault is not None and self._vault(tape, target) != vault:
                continue
            self.book.apply(self.book.records[tape], target, waits, now)

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
        case CopyDone():
            return True
        case CopyHeld(reason=HoldReason.TARGET_CHANGED | HoldReason.TARGET_UNKNOWN):
            return True
        case _:
            return False
