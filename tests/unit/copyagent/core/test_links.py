"""What is said about the links to the hosts, what is kept of them, and when a host is waited for."""

from __future__ import annotations

from typing import Any

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted
from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    LinkLost,
    LinkTrouble,
    LoginRefused,
    OthersHeard,
    Printed,
    SetAside,
    TapeDismounted,
)
from copyagent.ems.dialogue import LinkFailure
from tests.support.histories import (
    HOST,
    TAPE,
    Overlay,
    link_lost,
    link_up,
    make_engine,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.messages import Message

UP, LOST, GAP, REFUSED = (
    messages.LINK_UP,
    messages.LINK_LOST,
    messages.EMS_GAP,
    messages.LOGIN_REFUSED,
)
HOUR = 3600.0


def patient_engine(**host: Any) -> Engine:
    """An engine that waits for a lost link as agents do by default."""
    known = {"address": "dev2.example.com", "user": "VTS.EMS", "password_file": "/etc/dev2"}
    return make_engine(ems={"hosts": {HOST: {**known, **host}}})


@pytest.fixture
def play() -> Playbook:
    found = Playbook(patient_engine())
    found >> AgentStarted()
    return found


def said(play: Playbook) -> list[Message]:
    found = [say.message for say in play.said if say.message in {UP, LOST, GAP, REFUSED}]
    play.said.clear()
    return found


def cause(play: Playbook, message: Message) -> str:
    return next(say.fields["cause"] for say in reversed(play.said) if say.message is message)


# ---- what is told --------------------------------------------------------------------------------


def test_at_the_agents_start_one_message_tells_that_the_link_is_up(play: Playbook) -> None:
    play >> link_up()
    assert said(play) == [UP]


def test_a_short_loss_is_nobodys_business(play: Playbook) -> None:
    play >> link_up() >> link_lost()
    play.wait(59.0)
    play >> link_up() >> CaughtUp(HOST)
    play.wait(HOUR)
    assert said(play) == [UP]
    assert play.engine.links.state[HOST].losses == 1


def test_a_loss_is_told_after_a_minute_and_each_hour_and_when_it_is_over(play: Playbook) -> None:
    play >> link_up()
    play.wait(100.0)
    said(play)
    play >> link_lost()
    play.wait(59.9)
    assert said(play) == []
    play.wait(0.2)
    assert cause(play, LOST).startswith("connection lost")
    assert said(play) == [LOST]
    play.wait(2 * HOUR)
    assert cause(play, LOST).startswith("since 2026-")
    assert said(play) == [LOST, LOST]
    play >> link_up()
    assert said(play) == []
    play.wait(60.0)
    assert said(play) == [UP]
    play.wait(2 * HOUR)
    assert said(play) == []


def test_the_alarm_tells_the_trouble_there_is_then(play: Playbook) -> None:
    play >> link_up() >> link_lost()
    play >> LinkLost(HOST, f"EMS link to {HOST}: no route", LinkTrouble.UNREACHABLE)
    play.wait(60.0)
    assert cause(play, LOST) == "no route"
    assert said(play) == [UP, LOST]


def test_the_alarm_leaves_the_next_step_to_the_manual_since_a_line_has_little_room(
    play: Playbook,
) -> None:
    failure = LinkFailure(LinkTrouble.TIMED_OUT, "user prompt", "/TACL 1>/", "(not shown)")
    play >> link_up() >> LinkLost(HOST, failure.sentence(HOST), failure.trouble)
    play.wait(60.0)
    assert cause(play, LOST) == failure.cause
    assert failure.cause.endswith("came: (not shown)")


def test_the_patience_is_a_setting() -> None:
    play = Playbook(patient_engine(lost_after="5m", remind_every="10m"))
    play >> AgentStarted() >> link_up() >> link_lost()
    play.wait(299.0)
    assert said(play) == [UP]
    play.wait(1.0)
    assert said(play) == [LOST]
    play.wait(1200.0)
    assert said(play) == [LOST, LOST]


def test_a_refused_log_on_is_told_at_once_and_is_the_alarm(play: Playbook) -> None:
    refused = LoginRefused(HOST, "wrong password; see ems.hosts")
    play >> refused >> refused
    assert said(play) == [REFUSED]
    play.wait(100.0)
    assert said(play) == []
    play.wait(HOUR)
    assert said(play) == [REFUSED]
    play >> link_up()
    assert said(play) == [UP]


def test_a_refusal_that_comes_and_goes_is_told_once_an_hour(play: Playbook) -> None:
    play >> link_up()
    for _ in range(5):
        play >> LoginRefused(HOST, "wrong password") >> link_lost() >> link_up()
        play.wait(100.0)
    assert said(play).count(REFUSED) == 1
    play >> LoginRefused(HOST, "wrong password")
    play.wait(100.0)
    assert said(play) == []
    play.wait(HOUR)
    assert said(play) == [REFUSED]


def test_what_was_told_is_known_to_the_next_run(play: Playbook) -> None:
    play >> link_up() >> link_lost()
    play.wait(60.0)
    assert said(play) == [UP, LOST]
    play.restart(away=600.0)
    play >> link_lost()
    play.wait(HOUR - 700.0)
    assert said(play) == []
    play.wait(200.0)
    assert said(play) == [LOST]
    play >> link_up()
    assert said(play) == [UP]


def test_a_gap_is_told_once_an_hour_for_each_cause_and_counted(play: Playbook) -> None:
    play >> link_up()
    said(play)
    for _ in range(3):
        play >> EventsMissed(HOST, "a burst")
    play >> EventsMissed(HOST, "the log was emptied")
    assert said(play) == [GAP, GAP]
    link = play.engine.links.state[HOST]
    assert (link.gaps, link.gap) == (4, "the log was emptied")
    assert link.gap_ns


def test_a_host_of_no_settings_is_not_ours(play: Playbook) -> None:
    play >> EventsMissed("OTHER", "a burst") >> LinkLost("OTHER", "gone", LinkTrouble.SILENT)
    assert said(play) == []


# ---- which host is waited for --------------------------------------------------------------------


def open_mount(play: Playbook, overlay: Overlay) -> None:
    play >> link_up() >> requested() >> volume_mounted()
    play >> overlay.mounted() >> overlay.dismounted()


def test_what_was_missed_and_is_replayed_counts_as_if_the_link_had_never_been_lost(
    play: Playbook,
) -> None:
    overlay = Overlay()
    open_mount(play, overlay)
    play >> link_lost()
    play.wait(10.0)
    play >> link_up() >> CaughtUp(HOST) >> tape_dismounted() << StartCopy
    assert play.verdict() == "agreed"
    assert GAP not in said(play)


def test_until_it_has_caught_up_a_host_denies_nothing(play: Playbook) -> None:
    overlay = Overlay()
    open_mount(play, overlay)
    play >> link_lost() >> link_up() >> EventsMissed(HOST, "the log was emptied")
    play.wait(31.0) << StartCopy
    assert play.verdict() == "overlay only"


def test_once_its_loss_is_told_a_host_is_not_waited_for(play: Playbook) -> None:
    overlay = Overlay()
    play >> link_up() >> link_lost()
    play.wait(61.0)
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    assert play.verdict() == "overlay only"


def test_a_kept_mount_survives_a_restart_of_the_agent(play: Playbook) -> None:
    overlay = Overlay()
    open_mount(play, overlay)
    play.wait(2.0)
    play.restart(away=10.0)
    play >> link_up() >> CaughtUp(HOST) >> tape_dismounted()
    play.wait(3.0) << StartCopy
    assert play.verdict() == "agreed"


# ---- how far a host was heard --------------------------------------------------------------------


def printed(at: str, text: str = "STATUS 1512") -> dict[str, Any]:
    return {"printed_at": at, "printed": Printed("$ZSVR", "TANDEM.TAPE.G06", 659, text)}


def test_how_far_a_host_was_heard_is_durable_with_what_it_said(play: Playbook) -> None:
    play >> link_up()
    play >> TapeDismounted(HOST, TAPE.label, "$T", **printed("26-11-22 10:00:00"))
    play >> OthersHeard(HOST, 7, **printed("26-11-22 10:00:05", "LINE READY"))
    assert play.engine.book.links_dirty
    link = play.engine.links.state[HOST]
    assert (link.events, link.printed_at) == (1, "26-11-22 10:00:05")
    before = link.memory.resume()
    play.restart()
    after = play.engine.links.state[HOST].memory
    assert after.resume() == before
    assert before.since is not None
    assert not after.proven
    assert len(after.told) == 1


def test_what_other_subsystems_say_concerns_no_tape(play: Playbook) -> None:
    play >> link_up()
    entries = play.engine.book.journal.newest
    play >> OthersHeard(HOST, 7, **printed("26-11-22 10:00:05", "LINE READY"))
    assert play.engine.book.journal.newest == entries
    assert play.engine.links.state[HOST].events == 0


def test_what_a_replay_brings_again_is_not_counted_again(play: Playbook) -> None:
    play >> link_up() >> requested() >> SetAside(HOST, "a replay brought it again")
    assert play.engine.links.state[HOST].events == 1
    assert play.engine.book.journal.newest == 3


def test_the_first_link_of_all_has_nothing_to_catch_up_with(play: Playbook) -> None:
    seen = []
    for event in (link_up(), link_lost(), link_up(), CaughtUp(HOST), link_lost(), link_up()):
        play >> event
        seen.append(play.engine.links.state[HOST].caught_up)
    assert seen == [True, False, False, True, False, False]
    play >> EventsMissed(HOST, "the log was emptied")
    assert play.engine.links.state[HOST].caught_up
