"""What the control socket's requests do: each is a question put to the engine between two events.

Only `Events` may wait for something to tell; it does so beside the engine, not within it.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import trio

from copyagent.control.errands import (
    Adopt,
    AtTarget,
    Drilled,
    Errand,
    Release,
    Relocate,
    RollBack,
)
from copyagent.control.inquiries import Copies, Doubt, History
from copyagent.control.licences import InstallLicence, LicenceChange, RemoveLicence, ShowLicence
from copyagent.control.listings import Queue, Tapes
from copyagent.control.protocol import EngineRequest, Events, Explain, Request, Retry, Status
from copyagent.control.reloads import Reload
from copyagent.control.stopping import Cancel, Hold
from copyagent.control.traffic import Pause, Resume, Sync
from copyagent.core import (
    doubts,
    errands,
    host_report,
    listing,
    operator,
    pausing,
    report,
    stopping,
)
from copyagent.core.book import Book
from copyagent.core.dates import iso
from copyagent.core.journal import Wanted
from copyagent.core.shown_states import states_named
from copyagent.core.syncing import SyncWanted, Which, sync
from copyagent.core.time import Moment
from copyagent.ems.link_settings import LinkTally
from copyagent.history_pages import history_page
from copyagent.runner import Runner
from copyagent.state import encoding
from copyagent.state.store import Store
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.runtime.releases import installed_release, running_release

Question = Callable[[Moment], object]

#: What asks for copies to be made, or lets them go on.
_WANTS_COPIES = (Retry, Sync, Resume, Release, Relocate, Adopt, RollBack)

#: How long the end of a copy that is to be stopped is waited for, in seconds.
STOPPING_S = 20.0


def status_of(runner: Runner) -> Callable[[Moment], report.Document]:
    """Return the question for the whole state, as ``copyagent status --json`` prints it."""

    def ask(now: Moment) -> report.Document:
        document = report.status(runner.engine, runner.progress, running_release(), now)
        document["installed"] = installed_release()
        for host in document["hosts"]:
            tally = runner.tallies.get(host["host"], LinkTally())
            host["connections"] = tally.connections
            host["events_of_all_kinds"] = tally.events
            host["heartbeats"] = tally.heartbeats
            host["unrecognised"] = tally.unrecognised
            host["garbage_lines"] = tally.garbage_lines
            host["garbage"] = tally.latest_garbage
            host["asked"] = _asked(runner, host["host"])
            host["notify"] = _notify(runner, host["host"])
            host["other_events"] = dict(sorted(tally.others.items()))
        document["notify"] = _notify_command(runner)
        digest = runner.engine.book.settings.digest
        document["settings"] = runner.settings_file.document(digest)
        return document

    return ask


def _notify_command(runner: Runner) -> report.Document | None:
    """Tell how the site's own command for alarms fares; None without one."""
    queue = runner.hook.queue
    if not runner.engine.book.settings.notify.run:
        return None
    return {
        "waiting": len(queue.waiting),
        "told": queue.ran,
        "failed": queue.failed,
        "left_out": runner.engine.book.calls.left_out,
        "trouble": queue.trouble or None,
    }


def _asked(runner: Runner, host: str) -> report.Document:
    """Tell what became of the VTSPolicy commands of *host* since the agent's start."""
    asked = runner.engine.requests.asked[host]
    return {
        "obeyed": asked.obeyed,
        "refused": asked.refused,
        "too_many": asked.too_many,
        "elsewhere": asked.elsewhere,
        "left_alone": asked.left_alone,
        "latest": asked.latest or None,
        "latest_at": iso(asked.latest_ns),
    }


def _notify(runner: Runner, host: str) -> report.Document | None:
    """Tell how the second session to *host* fares, by which it is told things; None without one."""
    writer = runner.writers.get(host)
    if writer is None:
        return None
    return {
        "waiting": writer.waiting,
        "told": writer.tally.told,
        "refused": writer.tally.refused,
        "dropped": writer.dropped,
        "sessions": writer.tally.sessions,
        "trouble": writer.tally.trouble or None,
    }


async def answer(runner: Runner, request: Request, user: str) -> object:
    """Answer *request* of *user*: at once, but for `Events` with nothing to tell."""
    if isinstance(request, History | Copies):
        # Answered by a reader of its own from what is durable: the engine is not kept from its work.
        return await trio.to_thread.run_sync(_look_up, runner.store, request)
    if isinstance(request, InstallLicence | RemoveLicence):
        return await _change_licence(runner, request, user)
    if isinstance(request, Reload):
        if runner.reload is None:
            raise RequestFailed("this agent was not started from a settings file")
        return await runner.reload(user, request.because, request.dry_run)
    if isinstance(request, Cancel | Hold):
        return await _stop(runner, request, user)
    if isinstance(request, Tapes):
        page: Any = await runner.ask(question(runner, request, user))
        return await trio.to_thread.run_sync(_tapes_at_rest, runner, page)
    if not isinstance(request, Events):
        answered = await runner.ask(question(runner, request, user))
        return _with_licence(runner, request, answered)
    deadline = trio.current_time() + request.wait
    while True:
        heard = runner.heard
        found: Any = await runner.ask(question(runner, request, user))
        if found.entries or trio.current_time() >= deadline:
            # Thousands of them are put into words elsewhere: nothing of it changes any more.
            return await trio.to_thread.run_sync(partial(host_report.events, found))
        with trio.move_on_at(deadline):
            await heard.wait()


def _with_licence(runner: Runner, request: Request, answered: Any) -> object:
    """Say of what was asked to be copied that nothing is: "queued" alone would be half the truth."""
    closed = runner.engine.book.licence.closed
    if closed is None or not isinstance(request, _WANTS_COPIES):
        return answered
    return [*answered, f"{closed.why}. {closed.next_step}"]


async def _change_licence(runner: Runner, request: LicenceChange, user: str) -> object:
    desk = runner.licence_desk
    if desk is None:
        raise RequestFailed("this agent keeps no licence")
    match request:
        case InstallLicence(text, because):
            return await desk.install(text, because, user)
        case RemoveLicence(because):
            return await desk.remove(because, user)


def _tapes_at_rest(runner: Runner, page: listing.TapesPage) -> report.Document:
    """Complete a page with what is read of tapes at rest, which the engine need not wait for."""
    records = runner.store.records_of(page.resting)
    attempts_of = runner.engine.book.ladder.attempts
    return {
        "schema": report.SCHEMA,
        "tapes": listing.documents_at_rest(records, page, attempts_of),
        "next": None if page.next is None else str(page.next),
    }


async def _stop(runner: Runner, request: Cancel | Hold, user: str) -> list[str]:
    """Stop copies; of one that runs it is told what became of it, so its end is waited for."""
    stopped: Any = await runner.ask(question(runner, request, user))
    with trio.move_on_after(STOPPING_S):
        while any(key in runner.engine.book.running for key in stopped.ending):
            await runner.ended.wait()
    became: Any = await runner.ask(
        lambda _: [stopping.became(runner.engine.book, key) for key in stopped.ending]
    )
    return [*became, *stopped.answers]


def question(runner: Runner, request: EngineRequest, user: str) -> Question:
    """Return what is to be asked of the engine for *request*; what acts goes on *user*'s record."""
    book = runner.engine.book
    match request:
        case Status():
            return status_of(runner)
        case Explain(tape):
            return partial(report.explain, runner.engine, tape, progress=runner.progress)
        case Retry(TapeId() as tape, because):
            return lambda now: operator.retry(book, tape, user, now, because=because)
        case Retry(because=because):
            return lambda now: operator.retry_failed(book, user, now, because=because)
        case Sync() | Pause() | Resume():
            return partial(_direct, book, request, user)
        case History() | Copies():
            return lambda _: _look_up(runner.store, request)
        case Tapes(states, pools, target, unprotected, after, kept_back):
            named = tuple(state for text in states for state in states_named(text))
            asked = listing.TapesWanted(named, pools, target, unprotected, after, kept_back)
            return lambda now: listing.tapes_page(book, asked, runner.progress, now)
        case Queue(target, most):
            return lambda now: listing.queue(runner.engine, target, most, runner.progress, now)
        case Cancel(tape, because, target):
            wanted = stopping.StopWanted(tape, because, target)
            return lambda now: stopping.cancel(book, wanted, user, now)
        case Hold(tape, because, target):
            wanted = stopping.StopWanted(tape, because, target)
            return lambda now: stopping.hold(book, wanted, user, now)
        case ShowLicence():
            return lambda now: {"schema": report.SCHEMA} | runner.engine.licensing.document(now)
        case Doubt(word):
            return lambda now: doubts.doubt(book, word, user, now)
        case Release() | Relocate() | Adopt() | RollBack() | AtTarget() | Drilled():
            return partial(_run_errand, book, request, user)
        case Events():
            return lambda now: host_report.find(
                book, _wanted(request), now, overlay=request.overlay
            )


def _direct(book: Book, request: Sync | Pause | Resume, user: str, now: Moment) -> list[str]:
    match request:
        case Sync(where, which, target, dry_run, because):
            targets = frozenset({target}) if target else None
            wanted = SyncWanted(where, Which(which), targets, dry_run=dry_run, because=because)
            return sync(book, wanted, user, now)
        case Pause(about, because, until_ns, for_s, finish):
            asked = pausing.PauseWanted(about, because, until_ns, for_s, finish)
            return pausing.pause(book, asked, user, now)
        case Resume(about, because):
            return pausing.resume(book, about, user, now, because=because)


def _run_errand(book: Book, request: Errand, user: str, now: Moment) -> list[str]:
    match request:
        case Release(tape, because, overwrite):
            return operator.release(book, tape, because, user, now, overwrite_target=overwrite)
        case Relocate(tape, because):
            return errands.relocate(book, tape, because, user, now)
        case Adopt(where, target, because):
            return errands.adopt(book, where, target, user, now, because=because)
        case RollBack(tape, generation, because, target):
            wanted = errands.FormerGeneration(tape, generation, target)
            return errands.roll_back(book, wanted, because, user, now)
        case Drilled(target, because, digests):
            act = errands.Act("drill", target, because, digests)
            return errands.done_at_target(book, act, user, now)
        case AtTarget(action, target, because, about):
            act = errands.Act(action, target, because, about=about, words=request.words)
            return errands.done_at_target(book, act, user, now)


def _look_up(store: Store, request: History | Copies) -> report.Document:
    if isinstance(request, Copies):
        found = store.copies(request.where, request.after, request.most)
        return {
            "schema": report.SCHEMA,
            "copies": [encoding.ON_RECORD.dump_python(each, mode="json") for each in found.copies],
            "next": found.next,
        }
    return history_page(store.find_history, request)


def _wanted(request: Events) -> Wanted:
    tape = request.tape
    return Wanted(
        after=request.after,
        since_ns=request.since_ns,
        host=request.host,
        tape=None if tape is None else str(tape),
        volume=None if tape is None else tape.label.upper(),
        unknown=request.unknown,
        most=request.most,
    )
