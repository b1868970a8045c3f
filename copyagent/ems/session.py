"""One session with one host: connects, logs on, reads events, and takes leave.

What is said and what it means is decided by the pure modules beside it; here are time-outs and
the order of things. `copyagent.ems.link` begins a session anew whenever one has ended.

Cancelling is how to stop it: a host that we are logged on to is taken leave of politely
(distributor stopped, logged off), for no longer than the settings' ``logout_timeout``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import trio

from copyagent.core.host_events import HostEvent
from copyagent.core.host_memory import HostMemory, Resumption
from copyagent.ems.catch_up import command_from
from copyagent.ems.dialogue import LinkFailure, without_echo
from copyagent.ems.link_settings import LinkSettings, LinkTally
from copyagent.ems.listening import Listener
from copyagent.ems.log_on import LogOn
from copyagent.ems.reading import Deliver, Heartbeat, Reader
from copyagent.ems.wire import Dial, Wire


@dataclass(slots=True)
class Past:
    """What a session builds upon: what was seen before it, and where it is to begin.

    Without any, it is the first there ever was, and hears what is new. *latest* is what was told
    last, *is_deaf* whether a replay was asked for and nothing came; like the memory, the session
    keeps them up to date.
    """

    memory: HostMemory = field(default_factory=HostMemory)
    resumption: Resumption = field(default_factory=lambda: Resumption(None, first=True))
    latest: HostEvent | None = None
    is_deaf: bool = False


async def run_session(
    settings: LinkSettings,
    deliver: Deliver,
    came_up: Callable[[], Awaitable[None]],
    *,
    dial: Dial,
    tally: LinkTally,
    past: Past | None = None,
    heartbeat: Heartbeat | None = None,
    passed: Callable[[str], object] = lambda _: None,
) -> LinkFailure:
    """Run one connection from connecting to its end; return why it ended.

    *came_up* is called once, when the distributor runs, *passed* with the title of each step of
    the log-in. Trouble with the host or the network never raises; what the callbacks raise passes
    through, after the connection was closed.
    """
    past = past or Past()
    since = past.resumption.since
    wire = await dial(settings, since)
    if isinstance(wire, LinkFailure):
        return wire
    tally.connections += 1
    distributor = command_from(settings.plan.distributor, since)
    login = LogOn(wire, replace(settings.plan, distributor=distributor), passed)
    try:
        # Nobody has to be asked to print into a file, and nobody listens there.
        unread = await login.run() if wire.is_terminal else ""
        if isinstance(unread, LinkFailure):
            return unread
        await came_up()
        listener = Listener(
            settings.host,
            past.memory,
            past.resumption,
            tally,
            trio.current_time(),
            quotes=settings.plan.password.is_in,
            is_heartbeat=heartbeat.returned if heartbeat is not None else lambda _: False,
            latest=past.latest,
            asks=wire.is_terminal,
        )
        reader = Reader(wire, settings, listener, deliver, tally, heartbeat)
        ended = await reader.run(without_echo(unread, distributor))
        past.latest, past.is_deaf = listener.latest, listener.is_deaf
        return ended
    finally:
        with trio.CancelScope(shield=True):
            if login.is_logged_on:
                await _take_leave(wire, settings)
            await wire.close()


async def _take_leave(wire: Wire, settings: LinkSettings) -> None:
    """Stop the distributor, log off, and wait until the host has closed the connection.

    BREAK gives TACL the terminal back from a program in the foreground (Guardian user's guide,
    425266-001); STOP without a name stops the process started last. Nothing of this is typed
    before the log-on is complete, where a host would take it for a user or a password.
    """
    deadline = trio.current_time() + settings.logout_timeout
    with trio.move_on_at(deadline):
        if wire.is_open:
            await wire.interrupt()
        for command in settings.farewell:
            if wire.is_open:
                await wire.type_line(command)
        while wire.is_open and trio.current_time() < deadline:
            await wire.receive(deadline)
