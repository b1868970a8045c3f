"""A link to one host, kept up for as long as it runs: one session after the other.

What was seen in one session is what the next takes up from (`copyagent.ems.catch_up`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

import trio

from copyagent.core.host_events import HostEvent, LinkLost, LinkTrouble, LinkUp, LoginRefused
from copyagent.core.host_memory import HostMemory, Resumption
from copyagent.ems.catch_up import begin_at
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import (
    LinkSettings,
    LinkTally,
    delay_after_refusals,
    failures_in_a_row,
    next_delay,
)
from copyagent.ems.reading import Deliver, Heartbeat
from copyagent.ems.session import Past, run_session
from copyagent.ems.wire import Dial

log = logging.getLogger(__name__)

Report = Callable[[HostEvent], Awaitable[None]]


async def run_link(
    settings: LinkSettings,
    deliver: Deliver,
    report: Report,
    *,
    dial: Dial,
    chance: Callable[[], float],
    tally: LinkTally | None = None,
    memory: HostMemory | None = None,
    heartbeat: Heartbeat | None = None,
) -> None:
    """Keep a session up until cancelled.

    *deliver* gets what the host said about tapes, in order, and `CaughtUp` or `EventsMissed` where
    a session follows on an earlier one. *report* gets `LinkUp`, `LinkLost` and `LoginRefused`: one
    when the state changes or the trouble becomes another, not one for every attempt. *dial* opens
    the line; *chance* gives random numbers from 0 to 1. *memory* is what an earlier run of the
    agent has seen; it is kept up to date.
    """
    await _Link(settings, report, memory or HostMemory()).run(
        deliver, dial, chance, tally if tally is not None else LinkTally(), heartbeat
    )


class _Link:
    """What lasts longer than a session."""

    def __init__(self, settings: LinkSettings, report: Report, memory: HostMemory) -> None:
        self._settings = settings
        self._report = report
        self._past = Past(memory)
        self._up_since = math.inf
        self._reported: LinkTrouble | None = None
        self._failures = self._refusals = 0
        self._time_refused = False

    async def run(
        self,
        deliver: Deliver,
        dial: Dial,
        chance: Callable[[], float],
        tally: LinkTally,
        heartbeat: Heartbeat | None,
    ) -> None:
        """Run one session after the other."""
        while True:
            self._up_since = math.inf
            self._past.memory.broke()
            self._past.resumption = self._begin_at()
            failure = await run_session(
                self._settings,
                deliver,
                self._came_up,
                dial=dial,
                tally=tally,
                past=self._past,
                heartbeat=heartbeat,
            )
            await trio.sleep(await self._ended(failure, chance))

    def _begin_at(self) -> Resumption:
        settings = self._settings
        distributor = None if settings.access == "file" else settings.plan.distributor
        return begin_at(
            self._past.memory, distributor, wanted=settings.catch_up, refused=self._time_refused
        )

    async def _came_up(self) -> None:
        self._up_since, self._reported, self._time_refused = trio.current_time(), None, False
        self._refusals = 0
        log.info("EMS link to %s is up", self._settings.host)
        await self._report(LinkUp(self._settings.host))

    async def _ended(self, failure: LinkFailure, chance: Callable[[], float]) -> float:
        """Report a session's end where it is news; return how long to wait for the next."""
        settings = self._settings
        was_up = self._up_since < math.inf
        sentence = failure.sentence(settings.host)
        log.info("%s", sentence)
        asked = self._past.resumption.since is not None and not was_up
        if asked and failure.trouble is LinkTrouble.DISTRIBUTOR_FAILED:
            # It may be TIME that the host does not like; if it is not, the next start fails, too.
            self._time_refused = True
            return settings.first_delay
        # Who was asked for too much, by a clock that was set back, is asked for what is new.
        self._time_refused = was_up and self._past.is_deaf
        self._failures = failures_in_a_row(
            settings, self._failures, trio.current_time() - self._up_since
        )
        if failure.trouble is not self._reported:
            self._reported = failure.trouble
            await self._report(_as_event(settings.host, failure, sentence))
        if failure.trouble is LinkTrouble.LOGIN_REFUSED:
            self._refusals += 1
            return delay_after_refusals(settings, self._refusals)
        return next_delay(settings, self._failures, chance())


def _as_event(host: str, failure: LinkFailure, sentence: str) -> HostEvent:
    if failure.trouble is LinkTrouble.LOGIN_REFUSED:
        return LoginRefused(host, sentence)
    return LinkLost(host, sentence, failure.trouble)
