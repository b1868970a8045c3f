"""What the control socket's requests do: each is a question put to the engine between two events."""

from collections.abc import Callable
from functools import partial

from copyagent.control.protocol import Explain, Release, Request, Retry, Status, Sync
from copyagent.core import operator, report
from copyagent.core.time import Moment
from copyagent.ems.link_settings import LinkTally
from copyagent.runner import Runner
from vtsfs import __version__
from vtsfs.contract.naming import TapeId

Question = Callable[[Moment], object]


def status_of(runner: Runner) -> Callable[[Moment], report.Document]:
    """Return the question for the whole state, as ``copyagent status --json`` prints it."""

    def ask(now: Moment) -> report.Document:
        document = report.status(runner.engine, runner.progress, __version__, now)
        for host in document["hosts"]:
            tally = runner.tallies.get(host["host"], LinkTally())
            host["garbage_lines"] = tally.garbage_lines
            host["unrecognised"] = tally.unrecognised
        return document

    return ask


def question(runner: Runner, request: Request, user: str) -> Question:
    """Return what is to be asked of the engine for *request*; what acts goes on *user*'s record."""
    book = runner.engine.book
    match request:
        case Status():
            return status_of(runner)
        case Explain(tape):
            return partial(report.explain, runner.engine, tape)
        case Retry(TapeId() as tape):
            return lambda now: operator.retry(book, tape, user, now)
        case Retry():
            return lambda now: operator.retry_failed(book, user, now)
        case Sync(where):
            return lambda now: operator.sync(book, where, user, now)
        case Release(tape, because):
            return lambda now: operator.release(book, tape, because, user, now)
