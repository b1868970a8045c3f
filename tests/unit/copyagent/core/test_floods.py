"""Of many messages with one cause the first is told, and of the others how many there are."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.commands import Command, Say, StartCopy
from copyagent.core.copying import CopyHeld, HoldReason
from copyagent.core.floods import HOUR_S, MOST_CAUSES, SOON_S, Floods, Matter, Run, summary_of
from copyagent.core.time import Moment
from copyagent.state.encoding import FLOODS, decode, encode
from tests.support.histories import (
    SECOND,
    START_NS,
    TARGET,
    Overlay,
    ended,
    failed,
    link_lost,
    make_engine,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE, Message, Severity

START = Moment(1000.0, START_NS)
SUMMARIES = {messages.MORE_FAILED, messages.MORE_HELD, messages.MORE_WARNINGS}


def gave_up(number: int, cause: str = "no answer", pool: str = "BILL", target: str = TARGET) -> Say:
    fields = {"tape": f"/VAULT00/{pool}/X{number:05}", "target": target}
    return Say(messages.GAVE_UP, fields | {"attempts": "12", "cause": cause})


def attempt(number: int, tape: int = 1) -> Say:
    fields = {"tape": f"/VAULT00/BILL/X{tape:05}", "target": TARGET, "cause": "no answer"}
    return Say(messages.ATTEMPT_FAILED, fields | {"attempt": str(number), "attempts": "12"})


class Log:
    """What reaches the event log of what is said, with the seconds at which it did."""

    def __init__(self) -> None:
        self.floods, self.now = Floods(), START
        self.lines: list[tuple[float, Say]] = []

    def say(self, *says: Say) -> list[Say]:
        return self._took(self.floods.pass_on(says, self.now))

    def wait(self, seconds: float) -> list[Say]:
        """Let time pass; be woken as asked for."""
        until, told = self.now.mono + seconds, list[Say]()
        while (at := min(self.floods.times(), default=until + 1)) <= until:
            self.now = self.now.after(at - self.now.mono)
            told += self._took(self.floods.pass_on([], self.now))
        self.now = self.now.after(until - self.now.mono)
        return told

    def _took(self, commands: list[Command]) -> list[Say]:
        says = [command for command in commands if isinstance(command, Say)]
        self.lines += [(self.now.mono - START.mono, say) for say in says]
        return says


def test_the_first_is_told_at_once_and_the_others_soon_together() -> None:
    log = Log()
    assert log.say(*(gave_up(number) for number in range(1, 10_001))) == [gave_up(1)]
    assert log.wait(SOON_S - 1) == []
    (summary,) = log.wait(2)
    assert summary.message is messages.MORE_FAILED
    assert summary.fields == {
        "where": "/VAULT00/BILL to drsite",
        "count": "9,999",
        "id": "624111",
        "cause": "no answer",
        "tapes": ", ".join(f"X{number:05}" for number in range(2, 14)) + " and others",
    }
    assert log.wait(10 * HOUR_S) == []


def test_few_are_all_named() -> None:
    log = Log()
    log.say(gave_up(1), gave_up(2), gave_up(3))
    (summary,) = log.wait(SOON_S)
    assert summary.message.render(summary.fields) == (
        "/VAULT00/BILL to drsite: 2 more failed with 624111 (no answer): X00002, X00003"
    )


def test_what_goes_on_is_told_once_an_hour() -> None:
    log = Log()
    for number in range(1, 6 * 60):
        log.say(gave_up(number))
        log.wait(60.0)
    times = [at for at, _ in log.lines]
    assert times == [0.0, 120.0, *(hour * HOUR_S for hour in range(1, 6))]
    told = sum(int(say.fields.get("count", "1").replace(",", "")) for _, say in log.lines)
    waiting = sum(run.more for run in log.floods.runs.values())
    assert told + waiting == 6 * 60 - 1


def test_after_an_hour_of_quiet_one_is_told_by_itself_again() -> None:
    log = Log()
    log.say(gave_up(1))
    log.wait(HOUR_S)
    assert log.say(gave_up(2)) == [gave_up(2)]


def test_after_a_copy_has_arrived_giving_up_again_is_told_at_once() -> None:
    log = Log()
    assert log.say(gave_up(1)) == [gave_up(1)]
    fields = {"tape": "/VAULT00/BILL/X00002", "target": TARGET, "size": "1 B", "took": "1s"}
    log.say(Say(messages.COPIED, fields))
    assert log.say(gave_up(3), gave_up(4)) == [gave_up(3)]
    log.say(Say(messages.COPIED, fields | {"target": "other"}))
    assert log.say(gave_up(5)) == []
    (summary,) = log.wait(SOON_S + 1)
    assert summary.fields["count"] == "2"


@pytest.mark.parametrize(
    "other",
    [
        gave_up(2, "no space left at the target"),
        gave_up(2, pool="PAY"),
        gave_up(2, target="attic"),
        replace(gave_up(2), message=messages.COPY_WRONG),
        attempt(1, 2),
    ],
    ids=["cause", "pool", "target", "message", "attempt"],
)
def test_another_cause_pool_or_target_is_another_matter(other: Say) -> None:
    log = Log()
    assert log.say(gave_up(1), other) == [gave_up(1), other]


def test_numbers_and_the_tapes_own_name_make_no_other_cause() -> None:
    log = Log()
    says = [gave_up(n, f"/VAULT00/BILL/X{n:05} lacks {n * 17} bytes") for n in range(1, 100)]
    assert log.say(*says) == says[:1]


def test_causes_without_end_are_one_after_the_first() -> None:
    log = Log()
    causes = [f"cause {chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200)]
    told = log.say(*(gave_up(n, cause) for n, cause in enumerate(causes)))
    assert len(told) == MOST_CAUSES + 1
    (summary,) = log.wait(SOON_S)
    assert (summary.fields["count"], summary.fields["cause"]) == ("194", "various causes")


def test_of_attempts_each_number_is_told_once() -> None:
    log = Log()
    told = []
    for number in range(1, 12):
        told += log.say(*(attempt(number, tape) for tape in range(100)))
        told += log.wait(300.0)
    ids = Counter(say.message.id for say in told)
    assert ids == {messages.ATTEMPT_FAILED.id: 11, messages.MORE_WARNINGS.id: 1}


def test_what_operators_did_and_what_concerns_no_tape_is_always_told() -> None:
    log = Log()
    action = {"user": "op", "action": "release", "object": "/VAULT00/BILL/X00001", "because": "x"}
    acted = Say(messages.OPERATOR_ACTION, action)
    lost = Say(messages.LINK_LOST, {"host": "DEV2", "cause": "gone"})
    copied = Say(messages.COPIED, gave_up(1).fields)
    for say in (acted, lost, copied):
        assert log.say(say, say, say) == [say, say, say]


@pytest.mark.parametrize("message", CATALOGUE.values(), ids=lambda message: str(message.id))
def test_a_summary_is_as_severe_as_what_it_sums_up(message: Message) -> None:
    summary = summary_of(message)
    assert summary in SUMMARIES
    if message.severity in {Severity.WARNING, Severity.ERROR}:
        assert summary.severity is message.severity


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 900)), max_size=60))
def test_whatever_happens_few_lines_are_written_and_none_is_lost(
    steps: list[tuple[int, int]],
) -> None:
    log, said = Log(), 0
    for count, pause in steps:
        said += count
        log.say(*(gave_up(number) for number in range(count)))
        log.wait(pause)
    log.wait(2 * HOUR_S)
    told = sum(int(say.fields.get("count", "1").replace(",", "")) for _, say in log.lines)
    assert told == said
    times = [at for at, _ in log.lines]
    assert all(sum(start <= at < start + HOUR_S for at in times) <= 3 for start in times)
    assert log.floods.runs == {} or all(not run.more for run in log.floods.runs.values())


def test_what_was_counted_survives_a_restart_on_another_clock() -> None:
    log = Log()
    log.say(gave_up(1), gave_up(2), gave_up(3))
    runs = decode(FLOODS, encode(FLOODS, list(log.floods.runs.items())), "a test")
    log.floods, log.now = Floods(dict(runs)), Moment(5.0, START_NS + 30 * 10**9)
    log.floods.recover(log.now)
    assert log.say(gave_up(4)) == []
    (summary,) = log.wait(31.0)
    assert summary.fields["count"] == "3"


def test_a_clock_that_was_set_back_does_not_put_a_summary_off() -> None:
    floods = Floods({Matter(624111, "x", ""): Run(START.after(HOUR_S), more=3, due=START)})
    now = Moment(5.0, START_NS - 10**15)
    floods.recover(now)
    assert floods.times() == [now.mono + HOUR_S]


@pytest.mark.parametrize("hold", [False, True], ids=["failed", "held"])
def test_the_engine_tells_no_more_and_wakes_for_the_rest(hold: bool) -> None:
    overlay, play = Overlay(), Playbook(make_engine(retry={"attempts": 1}))
    play >> link_lost()
    for tape in (SECOND, replace(SECOND, label="X00003"), replace(SECOND, label="X00004")):
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(2.0) << StartCopy
        held = ended(play.job, CopyHeld(HoldReason.TARGET_CHANGED, f"edited {tape}"))
        play >> (held if hold else failed(play.job))
    first = messages.TARGET_CHANGED if hold else messages.GAVE_UP
    more = messages.MORE_HELD if hold else messages.MORE_FAILED
    assert (play.times_said(first), play.times_said(more)) == (1, 0)
    play.restart(away=5.0).wait(SOON_S)
    assert (play.times_said(first), play.times_said(more)) == (1, 1)
    assert play.said[-1].fields["tapes"] == "X00003, X00004"
