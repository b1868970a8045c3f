"""The log-in to a host, from its banner to the first printed event.

Pure: text and times in, actions out. The log-in itself is data (`copyagent.ems.login_types`);
this is the machine that walks it::

    answering step i --prompt of step i------------------------> answering step i + 1
    answering step i --prompt of a later step, those between
                       being optional--------------------------> answering the one after it
    answering the last step --its prompt-----------------------> starting (distributor command sent)
    answering --a refusal's text-------------------------------> failed: log-on refused
    answering --response time-out, no prompt-------------------> failed: no answer in time
    answering --response time-out, another prompt--------------> failed: unexpected prompt
    answering --the same, asking again for user or password----> failed: log-on refused
    starting  --an event's header, or the response time-out----> started
    starting  --an error's text, or the prompt back------------> failed: distributor not running
    starting  --the text that nobody is logged on--------------> failed: log-on refused

"No services configured" (a TACL at once) is the second line: the service prompt is optional. A
plan without a distributor is over, and started, when the last step's prompt has come.

The password is typed at one step, once the user was given and never again: no answer of another
step can hold it, and after a failure nothing is typed. What the host sent goes into messages, so
that an operator can see what came instead; the password never does, not even when the host echoes
it (`copyagent.ems.secret`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from copyagent.core.host_events import NEXT_STEPS, LinkTrouble
from copyagent.ems.lines import is_prompt
from copyagent.ems.login_types import LoginType, Step
from copyagent.ems.secret import NOT_SHOWN, Secret
from vtsfs.contract.settings_logins import DISTRIBUTOR, PASSWORD

MAX_PROMPT: Final = 1024
"""Characters of a line that are looked at: the last for a prompt, the first for a refusal."""
MAX_STARTING: Final = 16384
"""Characters kept between the distributor's start and its first event."""
MAX_CAME: Final = 160

_EVENT = re.compile(r"(?m)^(?:[^\n>]{0,80}>[ \t]*)?\d\d-\d\d-\d\d[ \t]+\d\d:\d\d:\d\d\s")
_LOGGED_OFF = re.compile(r"(?i)\bnot\s+logged\s+on\b|^\s*expecting:?\s.*\blog-?on\b")
_NOWAIT = re.compile(r"(?i)/[^/]*\bNOWAIT\b[^/]*/")


@dataclass(frozen=True, slots=True)
class LoginPlan:
    """Hold all that one log-in needs. *response_timeout* is in seconds, for each step.

    Without a *distributor* the log-in ends at the prompt, for a session that types something else.
    """

    login: LoginType
    user: str
    password: Secret
    distributor: str
    response_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class StepPassed:
    """Tell that the host has shown the prompt of a step; *step* is its title."""

    step: str


@dataclass(frozen=True, slots=True)
class SendLine:
    """Ask for a line to be typed; *secret* holds it, since it can be the password."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class Started:
    """Tell that events flow; *unread* is the text that came after the distributor's start."""

    unread: str


@dataclass(frozen=True, slots=True)
class LinkFailure:
    """Say why a session could not be had or kept.

    *expected* and *came* are there where a prompt was waited for. No field holds the password.
    """

    trouble: LinkTrouble
    step: str
    expected: str = ""
    came: str = ""

    @property
    def cause(self) -> str:
        """Say what is wrong, without a next step."""
        text = f"{self.trouble.value} ({self.step})"
        if self.expected:
            text += f", expected {self.expected}"
        if self.came:
            text += f", came: {self.came}"
        return text

    def sentence(self, host: str) -> str:
        """Name the host, the cause and the next step, for a message to the operator."""
        return f"EMS link to {host}: {self.cause}. {NEXT_STEPS[self.trouble]}"


Action = StepPassed | SendLine | Started | LinkFailure


class Phase(Enum):
    """Name where the machine is: see the module's table."""

    ANSWERING = auto()
    STARTING = auto()
    STARTED = auto()
    FAILED = auto()


@dataclass(slots=True)
class _Heard:
    """Keep what came since the last answer, no more of it than can matter."""

    # Whether the first line may show what was typed secretly, perhaps no more than half of it.
    first_line_is_secret: bool = False
    text: str = ""
    # Where the first line begins that was not yet looked at for a refusal.
    unread_from: int = 0

    def shorten(self, limit: int) -> None:
        """Keep the last *limit* characters; not before all of them were looked at."""
        surplus = len(self.text) - limit
        if surplus > 0:
            self.text = self.text[surplus:]
            self.unread_from = max(0, self.unread_from - surplus)
            # A password that is cut in two is not found any more: the line goes as a whole.
            self.first_line_is_secret = True

    def new_lines(self, before: int | None = None) -> list[str]:
        """Give the lines that ended since the last call, those *before* a place in the text."""
        end = self.text.rfind("\n", 0, before) + 1
        lines = self.text[self.unread_from : end].split("\n") if end > self.unread_from else []
        self.unread_from = max(end, self.unread_from)
        return lines

    def last_line(self) -> str:
        """Give the last line that is not blank, ended or not."""
        stripped = self.text.rstrip()
        return stripped[stripped.rfind("\n") + 1 :][-MAX_PROMPT:]


class Dialogue:
    """Walk one log-in. After `Started` or a `LinkFailure` it is over and does nothing more."""

    def __init__(self, plan: LoginPlan, now: float) -> None:
        self._plan = plan
        self._steps = plan.login.steps
        self._prompts = [re.compile(step.prompt) for step in self._steps]
        self._unless = [re.compile(step.unless) if step.unless else None for step in self._steps]
        self._refusals = [re.compile(refusal) for refusal in plan.login.refusals]
        self._step = 0
        self._given: set[int] = set()
        self._heard = _Heard()
        self.phase = Phase.ANSWERING
        self.is_logged_on = False
        """Whether the host has shown its prompt after the log-on, also if all failed later."""
        self.deadline = now + plan.response_timeout
        """When `tick` has to be called, on the clock that *now* is read from."""

    def receive(self, text: str, now: float) -> list[Action]:
        """Take text from the host; return what to do, in order."""
        if self.phase is Phase.ANSWERING:
            return self._answer(text, now)
        if self.phase is Phase.STARTING:
            return self._watch_start(text)
        return []

    def tick(self, now: float) -> list[Action]:
        """Let time pass: does something once *now* has reached `deadline`."""
        if now < self.deadline:
            return []
        if self.phase is Phase.ANSWERING:
            return [*self._give_up()]
        if self.phase is Phase.STARTING:
            # No error and no prompt: it runs and has nothing to print yet.
            if self._shows_prompt():
                return [*self._fail(LinkTrouble.DISTRIBUTOR_FAILED, "the prompt came back")]
            return self._started()
        return []

    def connection_lost(self) -> LinkFailure:
        """Say how far the log-in had come when the host closed the connection."""
        step = f"while waiting for the {self.step_name}"
        failure = LinkFailure(LinkTrouble.DISCONNECTED, step, came=self._came())
        self.phase = Phase.FAILED
        return failure

    def took_too_long(self) -> LinkFailure:
        """Say that an expression of the settings could not be searched for in reasonable time."""
        step = f"searching for the {self.step_name} takes too long"
        (failure,) = self._fail(LinkTrouble.UNEXPECTED_PROMPT, step)
        return failure

    @property
    def step_name(self) -> str:
        """Name what the host is expected to show next."""
        if self.phase is not Phase.ANSWERING:
            return "distributor"
        return self._steps[self._step].title

    def _answer(self, text: str, now: float) -> list[Action]:
        self._heard.text += text
        if self._step > 0 and self._find_refusal(self._heard.new_lines()) is not None:
            return [*self._refused()]
        self._heard.shorten(MAX_PROMPT * 4)
        index = self._matching_step()
        if index is None:
            return []
        step = self._steps[index]
        self._heard = _Heard(first_line_is_secret=PASSWORD in step.answer)
        self.deadline = now + self._plan.response_timeout
        self._step = index + 1
        self._given.add(index)
        passed = StepPassed(step.title)
        if self._step < len(self._steps):
            return [passed, SendLine(Secret(self._fill_in(step)))]
        self.is_logged_on = True
        if not self._plan.distributor:
            return [passed, *self._started()]
        self.phase = Phase.STARTING
        return [passed, SendLine(Secret(self._fill_in(step)))]

    def _matching_step(self) -> int | None:
        line = self._heard.last_line()
        if not line:
            return None
        for index in range(self._step, len(self._steps)):
            if self._is_prompt_of(index, line):
                return index
            if not self._steps[index].optional:
                return None
        return None

    def _is_prompt_of(self, index: int, line: str) -> bool:
        if PASSWORD in self._steps[index].answer and not self._has_given("user"):
            return False
        unless = self._unless[index]
        is_else = unless is not None and unless.search(line) is not None
        return not is_else and self._prompts[index].search(line) is not None

    def _has_given(self, *names: str) -> bool:
        return any(self._steps[index].name in names for index in self._given)

    def _fill_in(self, step: Step) -> str:
        values = {"%username%": self._plan.user, DISTRIBUTOR: self._plan.distributor}
        if step.name == "password":
            values[PASSWORD] = self._plan.password.reveal()
        # In one pass: a password may hold the text %username%.
        return re.sub("|".join(values), lambda found: values[found[0]], step.answer)

    def _find_refusal(self, lines: list[str]) -> str | None:
        for line in lines:
            start = line[:MAX_PROMPT]
            if any(refusal.search(start) for refusal in self._refusals):
                return start
        return None

    def _refused(self) -> list[LinkFailure]:
        if self._has_given("user", "password"):
            return self._fail(LinkTrouble.LOGIN_REFUSED, f"user {self._plan.user}")
        return self._fail(LinkTrouble.UNEXPECTED_PROMPT, "before the log-on")

    def _give_up(self) -> list[LinkFailure]:
        line = self._heard.last_line()
        if self._step > 0 and self._find_refusal([line]) is not None:
            return self._refused()
        # No second try, which would only bring the user nearer to being frozen.
        if self._has_given("password") and self._asks_again(line):
            return self._refused()
        ended = self._heard.text.endswith("\n")
        trouble = LinkTrouble.TIMED_OUT if ended or not line else LinkTrouble.UNEXPECTED_PROMPT
        return self._fail(trouble, self.step_name)

    def _asks_again(self, line: str) -> bool:
        return any(
            self._steps[index].name != "service" and self._prompts[index].search(line)
            for index in self._given
        )

    def _watch_start(self, text: str) -> list[Action]:
        self._heard.text += text
        event = _EVENT.search(self._heard.text)
        # What an event says is no answer to the command, even if it says ERROR.
        refusal = self._find_refusal(self._heard.new_lines(event.start() if event else None))
        if refusal is not None:
            if _LOGGED_OFF.search(refusal):
                return [*self._refused()]
            return [*self._fail(LinkTrouble.DISTRIBUTOR_FAILED, "its start was refused")]
        if event is not None:
            return self._started()
        self._heard.shorten(MAX_STARTING)
        return []

    def _shows_prompt(self) -> bool:
        return not expects_prompt(self._plan.distributor) and is_prompt(self._heard.last_line())

    def _started(self) -> list[Action]:
        self.phase = Phase.STARTED
        unread, self._heard = self._heard.text, _Heard()
        return [Started(unread)]

    def _fail(self, trouble: LinkTrouble, step: str) -> list[LinkFailure]:
        expected = ""
        if self.phase is Phase.ANSWERING and trouble is not LinkTrouble.LOGIN_REFUSED:
            # A refusal is what came; the pattern of a prompt beside it only hides that.
            waited_for = self._steps[self._step]
            expected = f"{waited_for.title} /{waited_for.prompt}/"
        self.phase = Phase.FAILED
        return [LinkFailure(trouble, step, expected, self._came())]

    def _came(self) -> str:
        """Quote what the host sent last: printable, short, and without the password."""
        text = self._heard.text
        if self._heard.first_line_is_secret:
            first, end, rest = text.partition("\n")
            text = f"{NOT_SHOWN if first.strip() else ''}{end}{rest}"
        text = self._plan.password.redact(text)
        text = " | ".join(line.strip() for line in text.split("\n") if line.strip())
        return "".join(c if c.isprintable() else "?" for c in text)[-MAX_CAME:]


def expects_prompt(distributor: str) -> bool:
    """Tell whether a prompt is no bad sign after this command, since it was told NOWAIT."""
    return _NOWAIT.search(distributor) is not None


def without_echo(text: str, line: str) -> str:
    """Return *text* without the echo of a typed *line* that it begins with, wrapped or not."""
    at = 0
    for sign in "".join(line.split()):
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text) or text[at] != sign:
            return text
        at += 1
    return text[at:]
