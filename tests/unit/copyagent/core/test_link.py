"""When the loss of a link is told: a table of timelines."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from copyagent.core.link import Link, LinkAlarm, News
from copyagent.core.time import Moment

LOST_AFTER = 60.0
EVERY = 3600.0
T0 = 1000.0

LOST, STILL, BACK = News.LOST, News.STILL_LOST, News.BACK


def at(seconds: float) -> Moment:
    return Moment(T0 + seconds, 10**18 + int(seconds * 10**9))


def play(
    turns: list[float], until: float, alarm: LinkAlarm | None = None
) -> list[tuple[float, News]]:
    """Let the link come up at ``turns[0]``, go at ``turns[1]`` and so on; return what is told when.

    It is tried at 0, without success.
    """
    alarm = alarm or LinkAlarm()
    alarm.restarted(at(0), EVERY)
    alarm.lost(at(0), LOST_AFTER)
    told: list[tuple[float, News]] = []

    def pass_time(end: float) -> None:
        while (due := alarm.due_at(LOST_AFTER)) is not None and due <= T0 + end:
            news = alarm.due(at(due - T0), LOST_AFTER, EVERY)
            assert news is not None
            told.append((due - T0, news))

    for number, turn in enumerate(turns):
        pass_time(turn)
        if number % 2 == 0:
            alarm.came_up(at(turn), LOST_AFTER)
        else:
            alarm.lost(at(turn), LOST_AFTER)
    pass_time(until)
    return told


@pytest.mark.parametrize(
    ("turns", "until", "told"),
    [
        pytest.param([1], 9999, [], id="up and stays up"),
        pytest.param([], 59, [], id="not yet up"),
        pytest.param([], 70, [(60, LOST)], id="never comes up"),
        pytest.param([70], 300, [(60, LOST)], id="late at the start: its coming up is told anyway"),
        pytest.param([1, 100, 159], 9999, [], id="lost for less than a minute"),
        pytest.param([1, 100, 200], 9999, [(160, LOST), (260, BACK)], id="lost, and back"),
        pytest.param([1, 100], 160 + 2 * EVERY,
                     [(160, LOST), (160 + EVERY, STILL), (160 + 2 * EVERY, STILL)],
                     id="lost for long: a reminder each hour"),
        pytest.param([1, 100, 150, 200, 250, 300, 350, 400, 450], 9999, [],
                     id="lost for as long as it is up, and less than a minute each"),
        pytest.param([1, 100, 150, 160, 210], 9999, [(180, LOST), (270, BACK)],
                     id="down for most of the time: one alarm, and back once it stays"),
        pytest.param([1, 100, 170, 180, 230, 240, 290], 9999, [(160, LOST), (350, BACK)],
                     id="an alarm is not repeated while it comes and goes"),
        pytest.param([1, 100, 170, 3755, 3765], 9999,
                     [(160, LOST), (230, BACK)], id="a short loss long after it"),
        pytest.param([1, 100, 300, 350, 360], 9999, [(160, LOST), (380, BACK)],
                     id="back is told once it was up for as long as it was down of late"),
    ],
)  # fmt: skip
def test_what_is_told_of_a_link(
    turns: list[float], until: float, told: list[tuple[float, News]]
) -> None:
    assert play(turns, until) == told


def test_nothing_is_due_before_anything_was_tried() -> None:
    alarm = LinkAlarm()
    assert alarm.due_at(0.0) is None
    alarm.restarted(at(0), EVERY)
    assert alarm.due_at(0.0) is None


def test_what_was_told_is_not_told_again_by_the_next_run() -> None:
    alarm = LinkAlarm()
    assert play([1, 100], 200, alarm) == [(160, LOST)]
    again = _again(alarm)
    again.restarted(at(300), EVERY)
    again.lost(at(301), LOST_AFTER)
    told = again.due_at(LOST_AFTER)
    assert told == pytest.approx(T0 + 160 + EVERY)
    assert again.came_up(at(400), LOST_AFTER)
    assert again.due_at(LOST_AFTER) is None


def test_a_clock_that_was_stepped_puts_no_reminder_off_for_long() -> None:
    alarm = LinkAlarm()
    play([1, 100], 200, alarm)
    again = _again(alarm)
    again.restarted(Moment(5.0, 10**15), EVERY)
    again.lost(Moment(6.0, 10**15 + 10**9), LOST_AFTER)
    due = again.due_at(LOST_AFTER)
    assert due is not None
    assert due <= 5.0 + EVERY


def test_a_refusal_is_told_at_most_once_an_hour() -> None:
    alarm = LinkAlarm()
    assert alarm.may_tell_refusal(at(0), EVERY)
    assert not alarm.may_tell_refusal(at(EVERY - 1), EVERY)
    assert alarm.may_tell_refusal(at(EVERY), EVERY)
    assert alarm.may_tell_refusal(at(0), EVERY), "the clock was set back"


def test_with_no_patience_every_loss_is_told_at_once() -> None:
    alarm = LinkAlarm()
    alarm.restarted(at(0), EVERY)
    alarm.lost(at(0), 0.0)
    assert alarm.due(at(0), 0.0, EVERY) is LOST
    assert alarm.came_up(at(1), 0.0)
    for second in range(2, 10, 2):
        alarm.lost(at(second), 0.0)
        assert alarm.due(at(second), 0.0, EVERY) is LOST
        assert not alarm.came_up(at(second + 1), 0.0)
        assert alarm.due(at(second + 1), 0.0, EVERY) is BACK
        assert alarm.due(at(second + 1), 0.0, EVERY) is None


def _again(alarm: LinkAlarm) -> LinkAlarm:
    adapter = TypeAdapter(Link)
    return adapter.validate_json(adapter.dump_json(Link(alarm=alarm))).alarm
