"""Reading a session whose distributor runs: from text to delivered events, until it ends.

Text that comes is read at once. What time alone can tell is told by alarms: that an event is
complete since nothing follows, that a line has stalled, that the host or the line is dead.

What was read is delivered in pieces of `PIECE` events, and no more is read before the piece was
taken: a host that floods waits for its own events and holds up nobody else's.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

import trio

from copyagent.core.host_events import HostEvent, LinkTrouble
from copyagent.ems.dialogue import LinkFailure, expects_prompt
from copyagent.ems.lines import EmsLineDecoder, is_prompt
from copyagent.ems.link_settings import LinkSettings, LinkTally
from copyagent.ems.listening import Listener
from copyagent.ems.wire import Wire

PIECE: Final = 500
"""Most events delivered at once: those of other hosts come in between."""
TOO_LONG_S: Final = 60.0
"""How often it is told that lines were too long: a host can send nothing else."""

Deliver = Callable[[Sequence[HostEvent]], Awaitable[None]]
"""Takes events in order, and returns when they were taken for good."""


class Heartbeat(Protocol):
    """Post texts to the host that its distributor prints here again, to prove the whole way."""

    def beat(self) -> None:
        """Have one posted; do not wait for it."""

    @property
    def posted_at(self) -> float:
        """Tell when (trio's clock) the last one was surely posted; minus infinity for never."""

    def returned(self, text: str) -> bool:
        """Tell whether an event's *text* is one of them."""


class Reader:
    """Read *wire* until the session ends."""

    def __init__(
        self,
        wire: Wire,
        settings: LinkSettings,
        listener: Listener,
        deliver: Deliver,
        tally: LinkTally,
        heartbeat: Heartbeat | None = None,
    ) -> None:
        self._wire = wire
        self._settings = settings
        self._listener = listener
        self._deliver = deliver
        self._tally = tally
        self._lines = EmsLineDecoder()
        self._counted_garbage = self._counted_shortened = 0
        self._quiet_at = self._stalled_at = self._silent_at = math.inf
        self._too_long_at, self._too_long_told_at = math.inf, -math.inf
        self._keep_alive = settings.keep_alive or math.inf
        self._ping_at = trio.current_time() + self._keep_alive
        self._pulse = _Pulse(heartbeat, settings, tally, trio.current_time())

    async def run(self, unread: str) -> LinkFailure:
        """Read until the session ends; return why."""
        await self._hand_over(self._listener.begin())
        text: str | None = unread
        self._set_alarms()
        while True:
            if text is None:
                await self._finish()
                return self._wire.ended or LinkFailure(
                    LinkTrouble.DISCONNECTED, "closed by the host or the network"
                )
            if text:
                await self._take(text)
                # Counted from here: while events were delivered, more may have come.
                self._set_alarms()
            failure = await self._ring_alarms(trio.current_time())
            if failure is not None:
                return failure
            text = await self._wire.receive(self._next_alarm())

    def _next_alarm(self) -> float:
        return min(
            self._quiet_at,
            self._stalled_at,
            self._silent_at,
            self._ping_at,
            self._too_long_at,
            self._listener.deadline,
            self._pulse.deadline,
        )

    def _set_alarms(self) -> None:
        now = trio.current_time()
        self._quiet_at = now + self._settings.quiet
        self._stalled_at = now + self._settings.stall
        self._silent_at = now + (self._settings.silence or math.inf)

    async def _ring_alarms(self, now: float) -> LinkFailure | None:
        if now >= self._quiet_at:
            self._quiet_at = math.inf
            await self._hand_over(self._listener.take_open(self._lines.flush(), now))
            if self._has_prompt():
                await self._finish()
                return LinkFailure(LinkTrouble.DISTRIBUTOR_FAILED, "the prompt came back")
        if now >= self._stalled_at:
            self._stalled_at = math.inf
            found = self._listener.take_open(self._lines.flush(unfinished_too=True), now)
            await self._hand_over([*found, *self._listener.let_go(now)])
        if now >= self._too_long_at:
            self._too_long_at, self._too_long_told_at = math.inf, now
            await self._hand_over(self._listener.missed("lines too long to be read whole"))
        if now >= self._listener.deadline:
            await self._hand_over(self._listener.tick(now))
            if self._listener.is_deaf and self._wire.is_terminal:
                return LinkFailure(LinkTrouble.SILENT, "since it was asked for what was missed")
        if now >= self._silent_at:
            return LinkFailure(LinkTrouble.SILENT, f"for {self._settings.silence:g} s")
        if now >= self._ping_at:
            self._ping_at = now + self._keep_alive
            self._pulse.beat()
            await self._wire.ping()
        return self._pulse.failure(now)

    def _has_prompt(self) -> bool:
        if not self._wire.is_terminal or expects_prompt(self._settings.plan.distributor):
            return False
        return is_prompt(self._lines.unfinished_line)

    async def _take(self, text: str) -> None:
        events = self._lines.feed(text)
        now = trio.current_time()
        self._count_garbage()
        found = self._told_gap()
        found += self._listener.take(events, now)
        if self._lines.shortened_count != self._counted_shortened:
            self._counted_shortened = self._lines.shortened_count
            self._too_long_at = max(now, self._too_long_told_at + TOO_LONG_S)
        await self._hand_over(found)

    def _told_gap(self) -> list[HostEvent]:
        why, self._wire.gap = self._wire.gap, ""
        return self._listener.missed(why) if why else []

    async def _finish(self) -> None:
        """Give what has come of an event that was not complete yet: its end is not coming."""
        now = trio.current_time()
        found = self._listener.take_open(self._lines.flush(unfinished_too=True), now)
        await self._hand_over([*found, *self._listener.end(now)])
        self._count_garbage()

    async def _hand_over(self, events: list[HostEvent]) -> None:
        for start in range(0, len(events), PIECE):
            await self._deliver(events[start : start + PIECE])

    def _count_garbage(self) -> None:
        new = self._lines.garbage_count - self._counted_garbage
        if new:
            self._counted_garbage = self._lines.garbage_count
            self._tally.garbage_lines += new
            # Together: a password can be wrapped over several lines.
            garbage = "\n".join(self._lines.garbage)
            self._tally.latest_garbage = self._settings.plan.password.redact(garbage).split("\n")


class _Pulse:
    """Watch whether heartbeats come back through the distributor.

    One that is missing proves something only if one has come back before, in this session or an
    earlier one: else the host's filter may keep them from us, and a sound link would be cut for ever.
    """

    def __init__(
        self, heartbeat: Heartbeat | None, settings: LinkSettings, tally: LinkTally, now: float
    ) -> None:
        self._heartbeat = heartbeat if settings.keep_alive else None
        self._patience = 2 * (settings.keep_alive or 0.0) + settings.plan.response_timeout
        self._tally = tally
        self._seen = tally.heartbeats
        self._seen_at = now
        # When the first was posted that has not come back.
        self._missing_since = math.inf

    @property
    def deadline(self) -> float:
        return self._missing_since + self._patience

    def beat(self) -> None:
        """Post one; and look whether the one before was posted at all."""
        if self._heartbeat is not None:
            self._note_posted(self._heartbeat.posted_at)
            self._heartbeat.beat()

    def failure(self, now: float) -> LinkFailure | None:
        """Say that the link is dead, if what was posted did not come back in time."""
        if self._heartbeat is None:
            return None
        if self._tally.heartbeats != self._seen:
            self._seen, self._seen_at = self._tally.heartbeats, now
            self._missing_since = math.inf
        if now < self.deadline:
            return None
        return LinkFailure(
            LinkTrouble.SILENT, f"no heartbeat came back within {self._patience:g} s"
        )

    def _note_posted(self, posted_at: float) -> None:
        known = self._tally.heartbeats > 0
        if known and posted_at > self._seen_at and self._missing_since == math.inf:
            self._missing_since = posted_at
