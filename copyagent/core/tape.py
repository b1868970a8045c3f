"""The state of one tape's copy at one target, and the only table that may change it.

Theory of operation. The *engine* decides that a generation of a tape is to be copied
(`Approved`) or must not be (`HoldDecided`); this machine then brings that one generation to the
target or says why not. A write session anywhere in between makes whatever was pending *superseded*:
the bytes may be changing, so the old order is void, and the session's own verdict starts the next
one. If that session changed nothing, `Unchanged` revives the old order.

Attempts are counted here and nowhere else. An outcome that is not the copy's own fault (`Waits`:
fence, host key, a writer behind the overlay) goes to `Waiting` and uses none up. `Failed` is left
by an operator, by the target's return, or by the next generation.

A running copy is stopped by the engine whenever its state leaves `Copying`; its outcome arrives
later and finds another state: those pairs are in the table too, and change nothing, except that
`Done` after `Superseded` was a publication that could not be called back.

An operator may keep a copy back for good (`Context.kept_back`): whatever would then have it copied
leaves it held instead, until the operator releases it. That is no row of the table, for it holds in
every one of them.

What is not in the table is impossible: `step` raises `IllegalTransition` and changes nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar, cast

from copyagent.core import copying
from copyagent.core.copy_events import (
    Approved,
    CancelAsked,
    Cleared,
    Deferred,
    Ended,
    Event,
    HoldAsked,
    HoldDecided,
    Received,
    Restarted,
    RetryAsked,
    Started,
    TargetDown,
    TargetReturned,
    TargetWaits,
    Unchanged,
    Vanished,
    WriterCame,
)
from copyagent.core.copy_states import (
    PENDING,
    PROTECTED,
    Cancelled,
    Clean,
    Copied,
    Copying,
    Failed,
    Held,
    Kept,
    Queued,
    Retrying,
    State,
    Superseded,
    Unmonitored,
    Unsynced,
    Waiting,
)
from copyagent.core.copying import HoldReason
from copyagent.core.retry import Ladder
from copyagent.core.time import Moment
from vtsfs.contract.errors import VtsError

__all__ = [  # the states belong to the machine, for whoever uses it
    "PENDING",
    "PROTECTED",
    "TRANSITIONS",
    "Approved",
    "CancelAsked",
    "Cancelled",
    "Clean",
    "Cleared",
    "Context",
    "Copied",
    "Copying",
    "Deferred",
    "Ended",
    "Event",
    "Failed",
    "Held",
    "HoldAsked",
    "HoldDecided",
    "IllegalTransition",
    "Kept",
    "Queued",
    "Received",
    "Restarted",
    "RetryAsked",
    "Retrying",
    "Started",
    "State",
    "Superseded",
    "TargetDown",
    "TargetReturned",
    "TargetWaits",
    "Unchanged",
    "Unmonitored",
    "Unsynced",
    "Vanished",
    "Waiting",
    "WriterCame",
    "step",
]


class IllegalTransition(VtsError):
    """An event came that cannot happen in the present state: our own mistake."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every step may need: the time, the retry ladder's rules, and how long the tape rests.

    *kept_back* is why an operator keeps the copy back, empty if none does.
    *rest_s* is how long a copy that is approved now is put off, *hold_down_s* what that is at most.
    """

    now: Moment
    ladder: Ladder
    rest_s: float = 0.0
    hold_down_s: float = 0.0
    kept_back: str = ""

    def rested(self) -> Moment | None:
        """Return when a tape that begins to rest now has rested; None if it need not."""
        return self.now.after(self.rest_s) if self.rest_s > 0 else None


# ---- the steps ---------------------------------------------------------------------------------

_S = TypeVar("_S", bound=State)
_E = TypeVar("_E", bound=Event)
_Step = Callable[[State, Event, Context], State]
_Pending = Queued | Copying | Retrying | Waiting


_NEEDS_COMPLETE = frozenset(
    {
        HoldReason.INTERRUPTED,
        HoldReason.CONFLICT,
        HoldReason.LABEL_TWICE,
        HoldReason.ROLLED_BACK,
    }
)


def _approve(_state: State, event: Approved, ctx: Context) -> State:
    return Queued(event.generation, due=ctx.rested())


def _approve_copied(state: Copied, event: Approved, ctx: Context) -> State:
    if event.generation == state.generation and not event.again:
        return state
    return _approve(state, event, ctx)


def _approve_pending(state: _Pending, event: Approved, ctx: Context) -> State:
    """The same order twice is one order: a running attempt goes on, a ladder is not reset."""
    return state if event.generation == state.generation else _approve(state, event, ctx)


def _approve_held(state: Held, event: Approved, ctx: Context) -> State:
    """A hold ends with a newer complete generation, not with a second look at the same one.

    What was held as incomplete, or as written without a ring, no mere change makes whole.
    """
    if not event.complete and state.reason in _NEEDS_COMPLETE:
        return state
    return _approve(state, event, ctx) if event.generation > state.generation else state


def _approve_cancelled(state: Cancelled, event: Approved, ctx: Context) -> State:
    """What was cancelled comes again with a newer complete generation, and with nothing less."""
    if not event.complete or event.generation <= state.generation:
        return state
    return _approve(state, event, ctx)


def _cancel(state: _Pending | Failed | Superseded, event: CancelAsked, ctx: Context) -> State:
    return Cancelled(state.generation, event.by, event.because, ctx.now.wall_ns)


def _hold(_state: State, event: HoldDecided, ctx: Context) -> State:
    return Held(event.generation, event.reason, event.detail, ctx.now.wall_ns)


def _supersede(state: _Pending | Failed, _event: WriterCame, _: Context) -> State:
    return Superseded(state.generation)


def _revive(_state: Superseded, event: Unchanged, ctx: Context) -> State:
    return Queued(event.generation, due=ctx.rested())


def _start(state: Queued | Retrying | Waiting, _event: Started, ctx: Context) -> State:
    return Copying(state.generation, state.failures, ctx.now.wall_ns)


def _defer(state: Copying, _event: Deferred, _: Context) -> State:
    return Queued(state.generation, state.failures)


def _end_late(state: Queued | Cancelled, event: Ended, ctx: Context) -> State:
    """A publication that could not be called back any more when its copy was put off, or cancelled."""
    done = event.outcome
    if isinstance(done, copying.CopyDone) and done.copy.generation == state.generation:
        return Copied(state.generation, ctx.now.wall_ns)
    return state


def _end(state: Copying, event: Ended, ctx: Context) -> State:
    outcome = event.outcome
    match outcome:
        case copying.CopyDone():
            return Copied(state.generation, ctx.now.wall_ns)
        case copying.CopyFailed():
            return _fail(state, outcome, ctx, unreachable=outcome.unreachable)
        case copying.CopyHeld():
            return Held(
                state.generation,
                outcome.reason,
                outcome.detail,
                ctx.now.wall_ns,
                outcome.stamp,
                outcome.place,
            )
        case copying.CopyWaits():
            due = ctx.now.after(ctx.ladder.recheck_s(outcome.reason))
            return Waiting(state.generation, state.failures, outcome.reason, outcome.detail, due)
        case copying.SourceErased():
            return Kept("deleted" if outcome.gone else "erased", ctx.now.wall_ns)
        case copying.SourceChanged():
            return Superseded(state.generation)
        case copying.CopyStopped():
            return Queued(state.generation, state.failures)


def _fail(
    state: _Pending,
    why: copying.CopyFailed | TargetDown,
    ctx: Context,
    *,
    unreachable: bool,
) -> State:
    failures = state.failures + 1
    due = ctx.ladder.next_due(failures, ctx.now)
    if due is not None:
        return Retrying(state.generation, failures, why.cause, why.next_step, due, why.permanent)
    return Failed(
        state.generation,
        failures,
        why.cause,
        why.next_step,
        unreachable or why.whole_vault,
        ctx.now.wall_ns,
        why.permanent,
        why.whole_vault,
    )


def _is_due(state: Queued | Retrying | Waiting, now: Moment) -> bool:
    return state.due is None or now.reached(state.due)


def _target_down(state: Queued | Retrying | Waiting, event: TargetDown, ctx: Context) -> State:
    if not _is_due(state, ctx.now):
        return state
    return _fail(state, event, ctx, unreachable=True)


def _target_waits(state: Queued | Retrying | Waiting, event: TargetWaits, ctx: Context) -> State:
    if not _is_due(state, ctx.now):
        return state
    due = ctx.now.after(ctx.ladder.recheck_s(event.reason))
    return Waiting(state.generation, state.failures, event.reason, event.detail, due)


def _rearm(state: Failed, _event: TargetReturned, _: Context) -> State:
    return Queued(state.generation) if state.unreachable else state


def _clear(state: Waiting, event: Cleared, _: Context) -> State:
    return Queued(state.generation, state.failures) if state.reason is event.reason else state


def _retry(_state: State, event: RetryAsked, _: Context) -> State:
    return Queued(event.generation)


def _vanish(_state: State, event: Vanished, ctx: Context) -> State:
    return Kept(event.how, ctx.now.wall_ns)


def _receive(_state: State, _event: Received, _: Context) -> State:
    return Clean()


def _restart_copying(state: Copying, _event: Restarted, _: Context) -> State:
    """The attempt that a crash cut short is made again; it did not fail, so it does not count."""
    return Queued(state.generation, state.failures)


def _restart_due(state: Retrying | Waiting, _event: Restarted, ctx: Context) -> State:
    longest = ctx.ladder.interval_s if isinstance(state, Retrying) else ctx.ladder.longest_recheck_s
    return replace(state, due=ctx.now.again(state.due, longest))


def _restart_rest(state: Queued, _event: Restarted, ctx: Context) -> State:
    if state.due is None:
        return state
    return replace(state, due=ctx.now.again(state.due, ctx.hold_down_s))


def _end_held(state: Held, event: Ended, ctx: Context) -> State:
    """The same for an operator's hold: what is published is copied. Other holds have their reasons."""
    done = event.outcome
    if state.reason is not HoldReason.BY_OPERATOR or not isinstance(done, copying.CopyDone):
        return state
    if done.copy.generation != state.generation:
        return state
    return Copied(state.generation, ctx.now.wall_ns)


def _stay(state: State, _event: Event, _: Context) -> State:
    return state


def _step(function: Callable[[_S, _E, Context], State]) -> _Step:
    """The table guarantees the types, which no annotation of a dict can say."""
    return cast(_Step, function)


def _table() -> Mapping[tuple[type[State], type[Event]], _Step]:
    every = (
        Clean, Unsynced, Queued, Copying, Retrying, Failed, Waiting, Held, Cancelled, Superseded,
        Copied, Kept,
    )  # fmt: skip
    pending = (Queued, Copying, Retrying, Waiting)
    table: dict[tuple[type[State], type[Event]], _Step] = {}
    stay = (
        WriterCame, Unchanged, Ended, TargetDown, TargetWaits, TargetReturned, Cleared, Restarted,
        CancelAsked, HoldAsked,
    )  # fmt: skip
    decided = (Approved, HoldDecided, Vanished, Received)
    for state in every:
        table.update({(state, event): _stay for event in stay})
        table[state, Approved] = _step(_approve)
        table[state, HoldDecided] = _step(_hold)
        table[state, Vanished] = _step(_vanish)
        table[state, Received] = _step(_receive)
    for state in pending:
        table[state, Approved] = _step(_approve_pending)
        table[state, WriterCame] = _step(_supersede)
    table[Copied, Approved] = _step(_approve_copied)
    table[Held, Approved] = _step(_approve_held)
    table[Cancelled, Approved] = _step(_approve_cancelled)
    for state in (*pending, Failed, Superseded):
        table[state, CancelAsked] = _step(_cancel)
    table[Failed, WriterCame] = _step(_supersede)
    table[Superseded, Unchanged] = _step(_revive)
    for state in (Queued, Retrying, Waiting):
        table[state, Started] = _step(_start)
    asked_again = (Unsynced, Queued, Retrying, Failed, Waiting, Held, Cancelled, Superseded)
    for state in (*asked_again, Copied, Clean):
        table[state, RetryAsked] = _step(_retry)
    table[Copying, RetryAsked] = _stay
    table.update({(Unmonitored, event): _stay for event in (*stay, *decided)})
    table[Copying, Ended] = _step(_end)
    table[Copying, Deferred] = _step(_defer)
    table[Queued, Ended] = _step(_end_late)
    table[Cancelled, Ended] = _step(_end_late)
    table[Held, Ended] = _step(_end_held)
    table[Queued, Restarted] = _step(_restart_rest)
    for state in (Queued, Retrying, Waiting):
        table[state, TargetDown] = _step(_target_down)
        table[state, TargetWaits] = _step(_target_waits)
    table[Failed, TargetReturned] = _step(_rearm)
    table[Waiting, Cleared] = _step(_clear)
    table[Copying, Restarted] = _step(_restart_copying)
    table[Retrying, Restarted] = _step(_restart_due)
    table[Waiting, Restarted] = _step(_restart_due)
    return table


#: Every legal pair of state and event. `Started` outside the pending states and `RetryAsked` of a
#: kept or unmonitored tape are missing on purpose: the engine must not even ask.
TRANSITIONS = _table()


def step(state: State, event: Event, ctx: Context) -> State:
    """Return the state after *event*; raise `IllegalTransition` for a pair not in the table."""
    transition = TRANSITIONS.get((type(state), type(event)))
    if transition is None:
        raise IllegalTransition(
            f"a copy that is {state.kind!r} cannot take {type(event).__name__}; this is a bug"
        )
    after = transition(state, event, ctx)
    if ctx.kept_back and isinstance(after, (*PENDING, Copying, Failed)):
        return Held(after.generation, HoldReason.BY_OPERATOR, ctx.kept_back, ctx.now.wall_ns)
    return after
