"""One session with a host, tried out before an operator's eyes: what ``copyagent ems test`` does.

It is the session that the agent has, run once: a log-on that is refused is not tried again, so that
trying does not freeze the user's account. A distributor of its own disturbs no other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from copyagent.core.host_events import CaughtUp, HostEvent, OthersHeard
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.lines import EmsLineDecoder
from copyagent.ems.link_settings import LinkSettings, LinkTally
from copyagent.ems.session import run_session
from copyagent.ems.tape_events import read_host_event
from copyagent.ems.wire import Dial, Wire

#: How much of the end of a file of printed events is read.
TAIL_BYTES: Final = 256 * 1024
_LOOK_S: Final = 0.1

Told = Callable[[str], object]


@dataclass(slots=True)
class Trial:
    """How it went: *failure* is None if all went well, *tally* counts what was heard.

    *events* are those that say something about tapes, *steps* what was passed on the way.
    """

    tally: LinkTally = field(default_factory=LinkTally)
    events: list[HostEvent] = field(default_factory=list)
    failure: LinkFailure | None = None


async def try_link(settings: LinkSettings, *, dial: Dial, wait: float, told: Told) -> Trial:
    """Log on, start the distributor, wait up to *wait* seconds for an event, and log off.

    *told* is called with each step as it is passed.
    """
    trial, is_up = Trial(), trio.Event()

    async def open_line(link: LinkSettings, since: int | None) -> Wire | LinkFailure:
        wire = await dial(link, since)
        if not isinstance(wire, LinkFailure):
            told("opened" if link.access == "file" else "connected")
        return wire

    async def deliver(events: Sequence[HostEvent]) -> None:
        trial.events += [e for e in events if not isinstance(e, CaughtUp | OthersHeard)]

    async def came_up() -> None:
        is_up.set()
        if settings.access != "file":
            told("distributor runs")

    async with trio.open_nursery() as nursery:

        async def run() -> None:
            trial.failure = await run_session(
                settings, deliver, came_up, dial=open_line, tally=trial.tally, passed=told
            )
            nursery.cancel_scope.cancel()

        nursery.start_soon(run)
        await is_up.wait()
        await _wait_for_events(trial, wait)
        # Cancelled, the session takes leave of the host.
        nursery.cancel_scope.cancel()
    return trial


async def _wait_for_events(trial: Trial, wait: float) -> None:
    with trio.move_on_after(wait):
        while not trial.tally.events:  # noqa: ASYNC110  # what only counts tells nobody
            await trio.sleep(_LOOK_S)


def last_events(host: str, path: Path) -> tuple[int, list[HostEvent]]:
    """Read the end of the file at *path*: how many events are there, and those about tapes.

    Raises `OSError`.
    """
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - TAIL_BYTES, 0))
        lines = EmsLineDecoder()
        printed = lines.feed(file.read(TAIL_BYTES).decode("latin-1"))
    printed += lines.flush(unfinished_too=True)
    found = [read_host_event(host, event) for event in printed]
    return len(printed), [event for event in found if event is not None]
