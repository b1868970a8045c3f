"""What is said to people leaves one entry each, and acts carry its mark."""

import pytest

from copyagent.core.chain import Mark, marks_at_end
from copyagent.core.commands import ProbeTarget, Say
from copyagent.core.evidence import is_alarm, put_on_record
from copyagent.core.history import History, Kind
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.messages import CATALOGUE, Message, Severity

NOW = Moment(5.0, 1_767_225_600_000_000_000)

ACT = {
    "user": "root",
    "action": "release",
    "object": "/VAULT00/BILL/X00001 to drsite",
    "because": "I looked",
    "old": "held (conflict)",
    "new": "queued",
    "mark": "",
}


def test_an_act_is_an_entry_and_the_event_carries_its_mark() -> None:
    history = History(newest=41)
    probe = ProbeTarget("drsite")
    said, other = put_on_record(history, [Say(messages.OPERATOR_ACTION, ACT), probe], NOW)
    assert other is probe
    (entry,) = history.news()
    assert (entry.number, entry.kind, entry.at_ns) == (42, Kind.ACTION, NOW.wall_ns)
    assert entry.facts == {k: v for k, v in ACT.items() if k != "mark"}
    assert isinstance(said, Say)
    text = said.message.render(said.fields)
    assert text == (
        "root: release /VAULT00/BILL/X00001 to drsite: I looked "
        f"[held (conflict) -> queued; history 42:{entry.chain[:16]}]"
    )
    assert marks_at_end(text) == [Mark(42, entry.chain[:16])]


def test_the_mark_outlasts_a_long_reason() -> None:
    history = History(newest=10**9)
    long = ACT | {"because": "why " * 120, "old": "x" * 200, "new": "y" * 200}
    (said,) = put_on_record(history, [Say(messages.OPERATOR_ACTION, long)], NOW)
    assert isinstance(said, Say)
    text = said.message.render(said.fields)
    assert len(text) <= messages.TEXT_LIMIT
    assert marks_at_end(text) == [Mark(history.newest, history.chain[:16])]
    assert history.news()[0].facts["old"] == "x" * 200


def test_an_act_without_a_change_of_state_has_the_mark_alone() -> None:
    history = History()
    said = put_on_record(
        history, [Say(messages.OPERATOR_ACTION, ACT | {"old": "", "new": ""})], NOW
    )
    assert isinstance(said[0], Say)
    assert said[0].fields["mark"] == history.mark.short


@pytest.mark.parametrize("message", CATALOGUE.values(), ids=str)
def test_what_warns_is_an_alarm_and_what_is_tried_again_is_none(message: Message) -> None:
    history = History()
    fields = dict.fromkeys(message.fields, "x")
    put_on_record(history, [Say(message, fields)], NOW)
    kinds = [entry.kind for entry in history.news()]
    if message is messages.OPERATOR_ACTION:
        assert kinds == [Kind.ACTION]
    elif is_alarm(message):
        assert kinds == [Kind.ALARM]
        assert message.severity > Severity.INFO or message is not messages.COPIED
    else:
        assert kinds == []
        assert message.severity is Severity.INFO or message is messages.ATTEMPT_FAILED


def test_an_alarm_says_which_about_what_and_to_where() -> None:
    history = History()
    fields = {"tape": "/VAULT00/BILL/X00001", "target": "drsite", "attempts": "12", "cause": "no"}
    put_on_record(history, [Say(messages.GAVE_UP, fields)], NOW)
    put_on_record(
        history, [Say(messages.CAUGHT_UP, {"pool": "p", "target": "t", "took": "1s"})], NOW
    )
    gave_up, end = history.news()
    assert (gave_up.tape, gave_up.target) == (fields["tape"], "drsite")
    assert gave_up.facts == {
        "message": 624111,
        "severity": "error",
        "text": "Copy of /VAULT00/BILL/X00001 to drsite FAILED after 12 attempts: no",
    }
    assert (end.tape, end.facts["severity"]) == ("", "info")
