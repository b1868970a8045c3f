"""Which messages the site's own command is told, in which order, and how often it is tried."""

import pytest

from copyagent.core.calls import Call, Calls
from copyagent.core.commands import Say
from copyagent.core.hook_queue import (
    MOST_WAITING,
    PAUSE_S,
    REMIND_S,
    TRIES,
    HookQueue,
    document_of,
    variables_of,
)
from copyagent.core.time import Moment
from copyagent.state.encoding import CALLS, decode, encode
from tests.support.histories import START_NS, make_engine
from vtsfs.contract import messages
from vtsfs.contract.alarm_kinds import KINDS

TAPE = "/VAULT00/BILL/X00001"
HELD = Say(messages.CONFLICT, {"tape": TAPE, "target": "drsite", "detail": "DEV2\nrequest 0001"})
LOST = Say(messages.LINK_LOST, {"host": "DEV2", "cause": "gone"})


def make(
    on: tuple[str, ...] = ("error", "critical"), run: str = "/usr/local/bin/page"
) -> HookQueue:
    return HookQueue(make_engine(notify={"run": [run] if run else [], "on": list(on)}).book)


def at(seconds: float) -> Moment:
    return Moment(seconds, START_NS)


def said(queue: HookQueue) -> list[Say]:
    return [command for command in queue.book.commands if isinstance(command, Say)]


def test_only_what_was_asked_for_is_told_in_order() -> None:
    queue = make(on=("held", "420102"))
    gap = Say(messages.EMS_GAP, LOST.fields)
    assert [queue.offer(say, START_NS) for say in (HELD, gap, LOST)] == [True, False, True]
    for number, message in ((1, messages.CONFLICT), (2, messages.LINK_LOST)):
        call = queue.next(at(1))
        assert call is not None
        assert (call.number, call.id) == (number, message.id)
        queue.ended(number, "", at(2))
    assert queue.next(at(3)) is None
    assert (queue.ran, said(queue)) == (2, [])


def test_without_a_command_nothing_waits() -> None:
    queue = make(run="")
    assert queue.offer(HELD, START_NS) is False
    queue.book.calls = Calls([Call(1, 0, HELD.message.id, dict(HELD.fields))])
    assert queue.next(at(1)) is None
    assert queue.waiting == [], "the command was taken out of the settings"


def test_what_fails_is_tried_again_after_a_pause_and_then_left_out() -> None:
    queue = make()
    queue.offer(HELD, START_NS)
    now = 0.0
    for tries in range(TRIES):
        call = queue.next(at(now))
        assert call is not None
        assert call.tries == tries
        queue.ended(call.number, "exit status 1", at(now))
        assert queue.next(at(now + PAUSE_S - 1)) is None
        now += PAUSE_S
    assert queue.next(at(now)) is None
    assert (queue.failed, queue.trouble) == (TRIES, "exit status 1")
    assert [(s.message, s.fields.get("count")) for s in said(queue)] == [
        (messages.HOOK_FAILED, None),
        (messages.HOOK_LEFT_OUT, "1"),
    ]


def test_its_trouble_is_told_once_an_hour_and_never_to_itself() -> None:
    queue = make(on=tuple(KINDS))
    for hour in range(3):
        for minute in range(60):
            queue.offer(HELD, START_NS)
            now = at(hour * REMIND_S + minute * 60.0)
            call = queue.next(now)
            if call is not None:
                queue.ended(call.number, "exit status 1", now)
            for say in said(queue):
                if say.message in {messages.HOOK_FAILED, messages.HOOK_WORKS}:
                    assert queue.offer(say, START_NS) is False
    assert sum(say.message is messages.HOOK_FAILED for say in said(queue)) == 3


def test_it_is_said_when_it_works_again() -> None:
    queue = make()
    queue.offer(HELD, START_NS)
    queue.offer(HELD, START_NS)
    queue.ended(1, "exit status 1", at(0))
    queue.ended(1, "", at(PAUSE_S))
    assert [s.message for s in said(queue)] == [messages.HOOK_FAILED, messages.HOOK_WORKS]
    assert queue.trouble == ""


def test_a_flood_is_bounded_and_told_as_a_number() -> None:
    queue = make()
    assert sum(queue.offer(HELD, START_NS) for _ in range(1000)) == MOST_WAITING
    for number in range(1, MOST_WAITING + 1):
        assert said(queue) == []
        queue.ended(number, "", at(number))
    (summary,) = said(queue)
    assert (summary.message, summary.fields) == (messages.HOOK_LEFT_OUT, {"count": "900"})
    assert queue.offer(summary, START_NS), "whatever was asked for"


def test_a_number_that_cannot_be_told_is_not_left_out_again_and_again() -> None:
    queue = make()
    queue.offer(HELD, START_NS)
    for minute in range(60):
        now = at(minute * 60.0)
        if (call := queue.next(now)) is not None:
            queue.ended(call.number, "exit status 1", now)
        for say in queue.book.take_commands():
            assert isinstance(say, Say)
            assert minute < TRIES, "nothing new was left out"
            queue.offer(say, START_NS)
    assert (queue.waiting, queue.book.calls.left_out) == ([], 1)
    queue.offer(HELD, START_NS)
    queue.ended(3, "", at(REMIND_S))
    assert [s.fields.get("count") for s in said(queue)] == [None, "1"], (
        "it works, and of one before"
    )


def test_the_end_of_another_call_changes_nothing() -> None:
    queue = make()
    queue.offer(HELD, START_NS)
    queue.ended(7, "", at(0))
    assert [call.number for call in queue.waiting] == [1]


def test_what_waits_survives_a_restart() -> None:
    queue = make()
    queue.offer(HELD, START_NS)
    calls = queue.book.calls
    assert calls.dirty
    again = decode(CALLS, encode(CALLS, calls), "a test")
    assert (again.waiting, again.newest) == (calls.waiting, 1)


def test_what_it_is_told() -> None:
    document = document_of(Call(1, START_NS, HELD.message.id, dict(HELD.fields)), "TAPESRV1")
    assert document == {
        "schema": 1,
        "number": 1,
        "id": "624120",
        "severity": "ERROR",
        "kind": "held",
        "at": "2026-11-18T11:06:40Z",
        "system": "TAPESRV1",
        "text": f"{TAPE} held: written, but the host asked for it with NO RING: DEV2 request 0001",
        "next_step": "Find out who wrote it (copyagent explain /VAULT00/BILL/X00001). If the content "
        "is right: copyagent release /VAULT00/BILL/X00001 --because TEXT",
        "fields": {"tape": TAPE, "target": "drsite", "detail": "DEV2\nrequest 0001"},
    }
    variables = variables_of(document)
    assert variables["VTS_POOL"] == "/VAULT00/BILL"
    assert variables["VTS_TAPE"] == TAPE
    assert "VTS_HOST" not in variables
    assert all("\n" not in value and "\0" not in value for value in variables.values())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_stands_for_something(kind: str) -> None:
    assert KINDS[kind]
