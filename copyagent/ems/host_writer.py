"""The second session to a host: what is told to it, typed at its TACL prompt.

It has a connection and a log-in of its own, so that nothing the host does with it, or does not do,
delays the session that reads events. What is to be told is put on a bounded list and nobody waits for
it: not the engine, not the copies, not another host.

Trouble of this session is written to the event log, at most once an hour, and never told to a host.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems import notices
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings, delay_after_refusals, next_delay
from copyagent.ems.log_on import SEARCH_S, LogOn
from copyagent.ems.notices import Outgoing
from copyagent.ems.wire import Dial, Wire
from vtsfs.contract import messages
from vtsfs.contract.messages import Message
from vtsfs.contract.settings_ems import Notify
from vtsfs.runtime.time_limits import TimeIsUp, processor_time_limit

log = logging.getLogger(__name__)

LINGER_S: Final = 5.0
"""How long a session with nothing left to tell stays, if no heartbeat keeps it, in seconds."""
TRIES: Final = 2
"""How often one notice is typed before it is given up: the host may have taken it without a word."""
REMIND_S: Final = 3600.0
"""How long trouble is not told of again, in seconds."""
PATIENCE_S: Final = 60.0
"""How long trouble must last to be told of as long as nothing but heartbeats waits, in seconds."""
MAX_ANSWER: Final = 8192
MOST_UNASKED: Final = 1 << 20
"""Characters that a host may send without having been asked: more is a flood, and ends the session."""
MAX_PROMPT: Final = 1024

# TACL's two ways to complain (TACL reference manual 429513-018).
_ERROR = re.compile(r"\s*(?:\*+\s*ERROR\s*\*+|Expecting\b)", re.IGNORECASE)


class Report(Protocol):
    """Write a message to the event log."""

    def __call__(self, message: Message, **fields: str) -> None:
        """Write *message* with its *fields*, without waiting for anything."""


@dataclass(slots=True)
class WriterTally:
    """Count what the second session did, for status displays. *trouble* is empty if there is none."""

    sessions: int = 0
    told: int = 0
    refused: int = 0
    trouble: str = ""


class HostWriter:
    """Tell one host what it is to know. `run` is its task; all other calls return at once.

    *system* is the name of this system, *vaults* those that the host uses (all, if empty). *dial*
    opens the line, *report* writes to the event log, *chance* gives random numbers from 0 to 1.
    With *stays* the session is kept for heartbeats, else for *linger* seconds after the last word;
    *most_unasked* is how many characters the host may send at a time without having been asked.
    """

    def __init__(
        self,
        settings: LinkSettings,
        notify: Notify,
        *,
        system: str,
        dial: Dial,
        report: Report,
        chance: Callable[[], float],
        vaults: tuple[str, ...] = (),
        stays: bool = False,
        linger: float = LINGER_S,
        most_unasked: int = MOST_UNASKED,
    ) -> None:
        # Without a distributor the log-in is over when the host shows its prompt.
        self._settings = replace(settings, plan=replace(settings.plan, distributor=""))
        self._notify = notify
        self._system = system
        self._dial = dial
        self._report = report
        self._chance = chance
        self._vaults = vaults
        self._linger = math.inf if stays else linger
        self._most_unasked = most_unasked
        self._outgoing = Outgoing(system)
        self._beats = 0
        self._beat_waits = False
        self._news = trio.Event()
        self._trouble_since = math.inf
        self._told_trouble_at = -math.inf
        self._trouble_is_told = False
        self._posted_at = -math.inf
        self._tries = 0
        self.tally = WriterTally()

    # ---- for others: nothing here waits ----------------------------------------------------------

    def tell(self, message: Message, fields: Mapping[str, object]) -> None:
        """Have *message* told, if the host is to be told of its kind and of its vault."""
        if notices.KINDS.get(message.id) not in self._notify.events or not self._concerns(fields):
            return
        self._outgoing.add(message, fields, trio.current_time())
        self._wake()

    def beat(self) -> None:
        """Have a heartbeat posted; one that still waits is enough."""
        self._beats += not self._beat_waits
        self._beat_waits = True
        self._wake()

    @property
    def posted_at(self) -> float:
        """When (trio's clock) a heartbeat was last taken by the host; minus infinity for never."""
        return self._posted_at

    def returned(self, text: str) -> bool:
        """Tell whether an event's *text* is a heartbeat of ours."""
        return notices.heartbeat_number(text, self._system) is not None

    @property
    def waiting(self) -> int:
        """How many notices wait to be told."""
        return len(self._outgoing.waiting)

    @property
    def dropped(self) -> int:
        """How many notices were given up: too many waited, or the host did not answer to them."""
        return self._outgoing.dropped

    def _concerns(self, fields: Mapping[str, object]) -> bool:
        named = [str(fields[name]) for name in ("tape", "pool", "vault") if name in fields]
        if not self._vaults or not named:
            return True
        return named[0].strip("/").partition("/")[0] in self._vaults

    def _wake(self) -> None:
        self._news.set()
        self._news = trio.Event()

    # ---- the task --------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tell what there is to be told, for as long as it is not cancelled."""
        failures = refusals = 0
        while True:
            await self._wait_for_news()
            failure = await self._session()
            if failure is None:
                failures = refusals = 0
                continue
            failures += 1
            self._tell_trouble(failure.cause, matters=self.waiting > 0)
            if failure.trouble is LinkTrouble.LOGIN_REFUSED:
                refusals += 1
                await trio.sleep(delay_after_refusals(self._settings, refusals))
            else:
                await trio.sleep(next_delay(self._settings, failures, self._chance()))

    @property
    def _has_something(self) -> bool:
        self._outgoing.gather(trio.current_time())
        return bool(self._outgoing.waiting) or self._beat_waits

    async def _wait_for_news(self, until: float = math.inf) -> None:
        """Return when there is something to tell, or *until* on trio's clock has come."""
        while not self._has_something and trio.current_time() < until:
            due = self._outgoing.next_due()
            with trio.move_on_at(min(until, math.inf if due is None else due)):
                await self._news.wait()

    async def _session(self) -> LinkFailure | None:
        """Log on, tell what there is, log off; None if nothing is wrong with the host."""
        wire = await self._dial(self._settings, None)
        if isinstance(wire, LinkFailure):
            return wire
        log_on = LogOn(wire, self._settings.plan)
        try:
            outcome = await log_on.run()
            if isinstance(outcome, LinkFailure):
                return outcome
            self.tally.sessions += 1
            return await self._tell_all(wire)
        finally:
            with trio.CancelScope(shield=True):
                if log_on.is_logged_on:
                    await _take_leave(wire, self._notify.logout_timeout)
                await wire.close()

    async def _tell_all(self, wire: Wire) -> LinkFailure | None:
        while wire.is_open:
            while self._has_something:
                failure = await self._tell_next(wire)
                if failure is not None:
                    return failure
            await self._idle(wire, trio.current_time() + self._linger)
            if not self._has_something:
                return None
        # The host closed a session that was idle: the next one begins when it is needed.
        return None

    async def _idle(self, wire: Wire, until: float) -> None:
        """Wait for something to tell, until *until*, or until the line is gone."""
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                room = self._most_unasked
                while room > 0 and (text := await wire.receive(math.inf)) is not None:
                    room -= len(text)
                await wire.close()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            await self._wait_for_news(until)
            nursery.cancel_scope.cancel()

    async def _tell_next(self, wire: Wire) -> LinkFailure | None:
        is_beat, self._beat_waits = self._beat_waits, False
        if is_beat:
            text = notices.heartbeat(self._system, self._beats)
        else:
            text = self._outgoing.waiting.popleft()
        posted_at = trio.current_time()
        answer = _Answer(self._settings, self._notify.wait_timeout, self._most_unasked)
        for line in notices.lines_to_type(self._notify.command, text):
            failure = await answer.to(wire, line)
            if failure is not None:
                self._try_again(text, is_beat=is_beat)
                return failure
        self._tries = 0
        if answer.error:
            self.tally.refused += 1
            self._tell_trouble(f"a command was refused, came: {answer.error}", matters=not is_beat)
            return None
        if is_beat:
            self._posted_at = posted_at
        else:
            self.tally.told += 1
        self._end_trouble()
        return None

    def _try_again(self, text: str, *, is_beat: bool) -> None:
        """A notice that the host does not answer to is typed again, but not for ever."""
        if is_beat:
            return  # the next one is as good
        self._tries += 1
        if self._tries < TRIES:
            self._outgoing.put_back(text)
        else:
            self._tries = 0
            self._outgoing.dropped += 1

    def _end_trouble(self) -> None:
        self.tally.trouble, self._trouble_since = "", math.inf
        if self._trouble_is_told:
            self._trouble_is_told = False
            self._report(messages.HOST_TOLD_AGAIN, host=self._settings.host)

    def _tell_trouble(self, cause: str, *, matters: bool) -> None:
        log.info("telling %s: %s", self._settings.host, cause)
        self.tally.trouble = cause
        now = trio.current_time()
        self._trouble_since = min(self._trouble_since, now)
        matters = matters or now - self._trouble_since >= PATIENCE_S
        if not matters or now - self._told_trouble_at < REMIND_S:
            return
        self._told_trouble_at, self._trouble_is_told = now, True
        self._report(
            messages.HOST_NOT_TOLD,
            host=self._settings.host,
            waiting=str(self.waiting),
            dropped=str(self.dropped),
            cause=cause,
        )


@dataclass(slots=True)
class _Answer:
    """What the host says to the lines of one command; *error* is the first that it complains of."""

    settings: LinkSettings
    patience: float
    most: int
    error: str = ""
    _prompt: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self._prompt = re.compile(self.settings.plan.login.steps[-1].prompt)

    async def to(self, wire: Wire, line: str) -> LinkFailure | None:
        """Type *line* and wait for the prompt; say why if it does not come."""
        await wire.type_line(line)
        deadline = trio.current_time() + self.patience
        heard, room = "", self.most
        while True:
            text = await wire.receive(deadline)
            if text is None:
                came = self._shown(self._last(heard))
                return LinkFailure(LinkTrouble.DISCONNECTED, "after a command", came=came)
            heard = (heard + text)[-MAX_ANSWER:]
            try:
                with processor_time_limit(SEARCH_S):
                    found = self._prompt.search(self._last(heard))
            except TimeIsUp:
                return LinkFailure(LinkTrouble.UNEXPECTED_PROMPT, "its expression takes too long")
            if found is not None:
                self._note_error(heard)
                return None
            room -= len(text)
            if trio.current_time() >= deadline or room < 0:
                return LinkFailure(
                    LinkTrouble.TIMED_OUT, "after a command", f"/{self._prompt.pattern}/",
                    self._shown(self._last(heard)),
                )  # fmt: skip

    def _last(self, heard: str) -> str:
        return heard.rstrip().rpartition("\n")[2][-MAX_PROMPT:]

    def _note_error(self, heard: str) -> None:
        for said in heard.split("\n"):
            if not self.error and _ERROR.match(said):
                self.error = self._shown(said.strip())

    def _shown(self, text: str) -> str:
        shown = self.settings.plan.password.redact(text)
        return "".join(c if c.isprintable() else "?" for c in shown)[:160]


async def _take_leave(wire: Wire, patience: float) -> None:
    """Log off, and wait until the host has closed the connection (``ems_notify_logout_timeout``)."""
    deadline = trio.current_time() + patience
    with trio.move_on_at(deadline):
        if wire.is_open:
            await wire.type_line("LOGOUT")
        while wire.is_open and trio.current_time() < deadline:
            await wire.receive(deadline)
