"""The log-in over a wire: the dialogue's actions carried out, and its time kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from copyagent.ems.dialogue import (
    Action,
    Dialogue,
    LinkFailure,
    LoginPlan,
    SendLine,
    Started,
    StepPassed,
)
from copyagent.ems.wire import Wire
from vtsfs.runtime.time_limits import TimeIsUp, processor_time_limit

SEARCH_S: Final = 1.0
"""Processor seconds that may go into looking at one piece of what the host sent. A site's
expression that needs more would keep everything else from running."""


class LogOn:
    """Let one dialogue talk over *wire*. *passed* is told the title of each step."""

    def __init__(
        self, wire: Wire, plan: LoginPlan, passed: Callable[[str], object] = lambda _: None
    ) -> None:
        self._wire = wire
        self._dialogue = Dialogue(plan, trio.current_time())
        self._passed = passed

    @property
    def is_logged_on(self) -> bool:
        """Whether the host has shown its prompt after the log-on, also if all failed later."""
        return self._dialogue.is_logged_on

    async def run(self) -> str | LinkFailure:
        """Log on and start the distributor; return the text that came after that, if any."""
        dialogue = self._dialogue
        while True:
            text = await self._wire.receive(dialogue.deadline)
            if text is None:
                return dialogue.connection_lost()
            for action in self._consider(text, trio.current_time()):
                outcome = await self._carry_out(action)
                if outcome is not None:
                    return outcome

    def _consider(self, text: str, now: float) -> list[Action]:
        try:
            with processor_time_limit(SEARCH_S):
                return [*self._dialogue.receive(text, now), *self._dialogue.tick(now)]
        except TimeIsUp:
            return [self._dialogue.took_too_long()]

    async def _carry_out(self, action: Action) -> str | LinkFailure | None:
        match action:
            case StepPassed(step=step):
                self._passed(step)
                return None
            case SendLine(secret=secret):
                await self._wire.type_line(secret.reveal())
                return None
            case Started(unread=unread):
                return unread
            case LinkFailure():
                return action
