"""The session to one host: connects, logs on, reads events, and begins again when it is lost.

What is said and what it means is decided by the pure modules beside it; here are time-outs and
the order of things. One call of `run_session` is one connection; `run_link` keeps one up for as
long as it runs.

Cancelling either is how to stop it: a host that we are logged on to is taken leave of politely
(distributor stopped, logged off), for no longer than the settings' ``logout_timeout``.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

import trio

from copyagent.core.host_events import (
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    LoginRefused,
    PolicyCommand,
    Unrecognised,
)
from copyagent.ems.dialogue import (
    Action,
    Dialogue,
    LinkFailure,
    Phase,
    SendLine,
    Started,
    expects_prompt,
)
from copyagent.ems.lines import EmsEvent, EmsLineDecoder, is_prompt
from copyagent.ems.link_settings import (
    LinkSettings,
    LinkTally,
    failures_in_a_row,
    next_delay,
)
from copyagent.ems.tape_events import read_host_event
from copyagent.ems.wire import Dial, Wire

log = logging.getLogger(__name__)

Callback = Callable[[HostEvent], Awaitable[None]]


async def run_link(
    settings: LinkSettings,
    deliver: Callback,
    report: Callback,
    *,
    dial: Dial,
    chance: Callable[[], float],
    tally: LinkTally | None = None,
) -> None:
    """Keep a session up until cancelled.

    *deliver* gets what the host said about tapes, *report* gets `LinkUp`, `LinkLost` and
    `LoginRefused`: one when the state changes or the trouble becomes another, not one for every
    attempt. *dial* opens the line; *chance* gives random numbers from 0 to 1.
    """
    counts = tally if tally is not None else LinkTally()
    up_since = math.inf
    reported: LinkTrouble | None = None
    failures = 0

    async def came_up() -> None:
        nonlocal up_since, reported
        up_since, reported = trio.current_time(), None
        log.info("EMS link to %s is up", settings.host)
        await report(LinkUp(settings.host))

    while True:
        up_since = math.inf
        failure = await run_session(settings, deliver, came_up, dial=dial, tally=counts)
        failures = failures_in_a_row(settings, failures, trio.current_time() - up_since)
        sentence = failure.sentence(settings.host)
        log.info("%s", sentence)
        if failure.trouble is not reported:
            reported = failure.trouble
            await report(_as_event(settings.host, failure, sentence))
        refused = failure.trouble is LinkTrouble.LOGIN_REFUSED
        delay = settings.refused_delay if refused else next_delay(settings, failures, chance())
        await trio.sleep(delay)


def _as_event(host: str, failure: LinkFailure, sentence: str) -> HostEvent:
    if failure.trouble is LinkTrouble.LOGIN_REFUSED:
        return LoginRefused(host, sentence)
    return LinkLost(host, sentence, failure.trouble)


async def run_session(
    settings: LinkSettings,
    deliver: Callback,
    came_up: Callable[[], Awaitable[None]],
    *,
    dial: Dial,
    tally: LinkTally,
) -> LinkFailure:
    """Run one connection from connecting to its end; return why it ended.

    *came_up* is called once, when the distributor runs. Trouble with the host or the network
    never raises; what the callbacks raise passes through, after the connection was closed.
    """
    wire = await dial(settings, None)
    if isinstance(wire, LinkFailure):
        return wire
    tally.connections += 1
    login = _Login(wire, settings)
    try:
        # Nobody has to be asked to print into a file, and nobody listens there.
        unread = await login.run() if wire.is_terminal else ""
        if isinstance(unread, LinkFailure):
            return unread
        await came_up()
        return await _Reader(wire, settings, deliver, tally).run(unread)
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


class _Login:
    """Let the dialogue talk over the wire."""

    def __init__(self, wire: Wire, settings: LinkSettings) -> None:
        self._wire = wire
        self._dialogue = Dialogue(settings.plan, trio.current_time())
        self.is_logged_on = False
        """Whether the host has shown its prompt after the log-on, also if all failed later."""

    async def run(self) -> str | LinkFailure:
        """Log on and start the distributor; return the text that came after that, if any."""
        dialogue = self._dialogue
        while True:
            text = await self._wire.receive(dialogue.deadline)
            if text is None:
                return dialogue.connection_lost()
            now = trio.current_time()
            for action in [*dialogue.receive(text, now), *dialogue.tick(now)]:
                outcome = await self._carry_out(action)
                if outcome is not None:
                    return outcome

    async def _carry_out(self, action: Action) -> str | LinkFailure | None:
        match action:
            case SendLine(secret=secret):
                self.is_logged_on = self._dialogue.phase is Phase.STARTING
                await self._wire.type_line(secret.reveal())
                return None
            case Started(unread=unread):
                return unread
            case LinkFailure():
                return action


class _Reader:
    """Turn the text of a session whose distributor runs into delivered host events."""

    def __init__(
        self, wire: Wire, settings: LinkSettings, deliver: Callback, tally: LinkTally
    ) -> None:
        self._wire = wire
        self._settings = settings
        self._deliver = deliver
        self._tally = tally
        self._lines = EmsLineDecoder()
        self._counted_garbage = 0
        self._latest: HostEvent | None = None
        self._quiet_at = self._stalled_at = self._silent_at = math.inf
        self._ping_at = trio.current_time() + (settings.keep_alive or math.inf)

    async def run(self, unread: str) -> LinkFailure:
        """Read until the session ends; return why."""
        text: str | None = unread
        self._set_alarms()
        while True:
            if text is None:
                await self._take(self._lines.flush(unfinished_too=True))
                return LinkFailure(LinkTrouble.DISCONNECTED, "closed by the host or the network")
            if text:
                await self._take(self._lines.feed(text))
                # Counted from here: while events were delivered, more may have come.
                self._set_alarms()
            failure = await self._ring_alarms(trio.current_time())
            if failure is not None:
                return failure
            alarms = (self._quiet_at, self._stalled_at, self._silent_at, self._ping_at)
            text = await self._wire.receive(min(alarms))

    def _set_alarms(self) -> None:
        now = trio.current_time()
        self._quiet_at = now + self._settings.quiet
        self._stalled_at = now + self._settings.stall
        self._silent_at = now + (self._settings.silence or math.inf)

    async def _ring_alarms(self, now: float) -> LinkFailure | None:
        if now >= self._quiet_at:
            self._quiet_at = math.inf
            await self._take(self._lines.flush())
            if self._has_prompt():
                return LinkFailure(LinkTrouble.DISTRIBUTOR_FAILED, "the prompt came back")
        if now >= self._stalled_at:
            self._stalled_at = math.inf
            await self._take(self._lines.flush(unfinished_too=True))
        if now >= self._silent_at:
            return LinkFailure(LinkTrouble.SILENT, f"for {self._settings.silence:g} s")
        if now >= self._ping_at:
            self._ping_at = now + (self._settings.keep_alive or math.inf)
            await self._wire.ping()
        return None

    def _has_prompt(self) -> bool:
        if not self._wire.is_terminal or expects_prompt(self._settings.plan.distributor):
            return False
        return is_prompt(self._lines.unfinished_line)

    async def _take(self, events: list[EmsEvent]) -> None:
        self._count_garbage()
        for event in events:
            self._tally.events += 1
            found = read_host_event(self._settings.host, event)
            is_repeated = event.amended and found == self._latest
            # Half a command is another command.
            is_premature = event.unfinished and isinstance(found, PolicyCommand)
            self._latest = found
            if found is None or is_repeated or is_premature:
                continue
            self._tally.tape_events += 1
            if isinstance(found, Unrecognised):
                self._tally.unrecognised += 1
            await self._deliver(found)

    def _count_garbage(self) -> None:
        new = self._lines.garbage_count - self._counted_garbage
        if new:
            self._counted_garbage = self._lines.garbage_count
            self._tally.garbage_lines += new
            redact = self._settings.plan.password.redact
            self._tally.latest_garbage = [redact(line) for line in self._lines.garbage]
