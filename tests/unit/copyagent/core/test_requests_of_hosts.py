"""What a host may ask for: only where it is allowed, only what is copied anyway, only so often."""

from typing import Any

import pytest

from copyagent.core.book import Book
from copyagent.core.commands import StartCopy
from copyagent.core.copying import CopyHeld, HoldReason
from copyagent.core.engine import Engine
from copyagent.core.host_events import PolicyCommand
from copyagent.core.report import explain
from copyagent.core.requests_of_hosts import Asked, is_called
from copyagent.core.tape import Copied, Held, Queued, Unsynced
from tests.support.histories import (
    HOST,
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    ended,
    link_lost,
    make_settings,
    no_ring,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.messages import Message

SYSTEM = "TAPESRV1"
HOUR = 3600.0


def begin(*targets: str, enabled: bool = True, names: str = "vts1", **host: Any) -> Playbook:
    policy = {"enabled": enabled, "per_hour": 3}
    entry = {"address": "dev2", "user": "VTS.EMS", "password_file": "/etc/dev2"}
    entry["lost_after"] = "0s"  # nobody waits for a lost link
    settings = make_settings(
        targets=targets or (TARGET,), ems={"hosts": {HOST: entry | {"policy": policy} | host}}
    )
    return Playbook(Engine(Book(settings), frozenset({names}))) >> link_lost()


@pytest.fixture
def play() -> Playbook:
    return begin()


def idr(argument: str) -> PolicyCommand:
    return PolicyCommand(HOST, f'VTSPolicy IDR "{argument}"')


def asked(play: Playbook) -> Asked:
    return play.engine.requests.asked[HOST]


def said(play: Playbook, message: Message) -> list[dict[str, str]]:
    return [dict(s.fields) for s in play.said if s.message is message]


def leave_unsynced(play: Playbook, overlay: Overlay) -> None:
    """Have two tapes that were there before the agent."""
    overlay.write(TAPE)
    overlay.write(SECOND)
    play >> overlay.swept(play.now.mono)
    assert play.state() == Unsynced()


def test_a_pool_is_synchronised_and_it_is_on_record_who_asked(
    play: Playbook, overlay: Overlay
) -> None:
    leave_unsynced(play, overlay)
    play >> idr(f"/VAULT00/BILL s={SYSTEM}") << StartCopy << StartCopy
    assert {job.tape for job in play.jobs} == {TAPE, SECOND}
    (action,) = said(play, messages.OPERATOR_ACTION)
    assert (action["user"], action["action"]) == (f"host {HOST}", "sync")
    (told,) = said(play, messages.HOST_ASKED)
    assert told == {"host": HOST, "where": "/VAULT00/BILL", "outcome": "2 copies queued"}
    history = explain(play.engine, TAPE, play.now)["history"]
    assert any(f"host {HOST} asked for a copy to {TARGET}" in line["what"] for line in history)


def test_one_tape_is_compared_again_even_if_it_has_a_copy(play: Playbook, overlay: Overlay) -> None:
    leave_unsynced(play, overlay)
    play >> idr(str(TAPE)) << StartCopy
    play >> done(play.job)
    assert isinstance(play.state(), Copied)
    play >> idr(str(TAPE)) << StartCopy
    assert play.job.tape == TAPE
    assert play.state(SECOND) == Unsynced()


@pytest.mark.parametrize("source", [SYSTEM, "vts1", "vts1.example.com"])
def test_every_name_of_this_system_will_do(overlay: Overlay, source: str) -> None:
    play = begin(names="vts1")
    leave_unsynced(play, overlay)
    play >> idr(f"{TAPE} s={source}") << StartCopy


@pytest.mark.parametrize("source", ["VTS2", "tapesrv1", "vts10", "vts1x.example.com"])
def test_a_command_for_another_system_is_counted_and_nothing_else(
    play: Playbook, overlay: Overlay, source: str
) -> None:
    leave_unsynced(play, overlay)
    before = len(play.said)
    with play:
        play >> idr(f"{TAPE} s={source}") >> idr(f"{TAPE} s={source} nonsense=1")
    assert asked(play).elsewhere == 2
    assert len(play.said) == before


def test_names_of_a_machine() -> None:
    assert is_called("vts1", frozenset({"vts1.example.com"}))
    assert is_called("vts1.example.com", frozenset({"vts1.example.com"}))
    assert not is_called("vts1.example.org", frozenset({"vts1.example.com"}))
    assert is_called("vts1.example.org", frozenset({"vts1"}))
    assert not is_called("VTS1", frozenset({"vts1"}))
    assert not is_called("", frozenset({"vts1"}))
    assert not is_called(".", frozenset({"vts1"}))


def test_it_is_off_unless_it_is_switched_on(overlay: Overlay) -> None:
    play = begin(enabled=False)
    leave_unsynced(play, overlay)
    with play:
        play >> idr(str(TAPE)) >> idr(str(TAPE))
    (told,) = said(play, messages.POLICY_LEFT_ALONE)
    assert told["why"] == "ems.hosts.DEV2.policy.enabled is off"
    assert asked(play).left_alone == 2


def test_other_commands_are_told_of_once_an_hour_and_left_alone(play: Playbook) -> None:
    erase = PolicyCommand(HOST, "VTSPolicy Erase - X00001 s=TAPESRV1")
    with play:
        for command in (erase, erase, PolicyCommand(HOST, "VTSPolicy Nonsense")):
            play >> command
    assert [t["command"] for t in said(play, messages.POLICY_LEFT_ALONE)] == [
        erase.text, "VTSPolicy Nonsense",
    ]  # fmt: skip


def test_only_the_targets_that_are_named(overlay: Overlay) -> None:
    play = begin(TARGET, OTHER_TARGET)
    leave_unsynced(play, overlay)
    play >> idr(f"{TAPE} d={OTHER_TARGET}") << StartCopy
    assert play.job.target == OTHER_TARGET
    assert play.state(target=TARGET) == Unsynced()


def test_a_target_can_be_called_by_its_host(overlay: Overlay) -> None:
    play = begin()
    leave_unsynced(play, overlay)
    play >> idr(f"{TAPE} d=dr.example.com") << StartCopy


@pytest.mark.parametrize(
    ("argument", "cause"),
    [
        ("/VAULT00/BILL d=nowhere", "nowhere is no target of pool /VAULT00/BILL"),
        ("/VAULT00/SCRAP", "pool /VAULT00/SCRAP is not under autocopy"),
        ("/VAULT00/BILL/NOSUCH", "no tape /VAULT00/BILL/NOSUCH is known"),
        ("/VAULT00/BILL S=TAPESRV1", "S is no known keyword"),
        ("/VAULT00/BILL s=TAPESRV1 d=x=y", "= is not of the form"),
    ],
)
def test_what_is_refused_is_told_with_its_cause(
    play: Playbook, overlay: Overlay, argument: str, cause: str
) -> None:
    leave_unsynced(play, overlay)
    with play:
        play >> idr(argument)
    (told,) = said(play, messages.HOST_ASKED_WRONGLY)
    assert cause in told["cause"]
    assert asked(play).refused == 1


def test_a_host_has_no_say_in_vaults_that_are_not_its_own(overlay: Overlay) -> None:
    play = begin(vaults=["VAULT01"])
    leave_unsynced(play, overlay)
    with play:
        play >> idr(str(TAPE))
    assert said(play, messages.HOST_ASKED_WRONGLY) == [
        {"host": HOST, "cause": "vault VAULT00 is none of this host's"}
    ]


def test_refusals_are_told_once_an_hour_however_many_there_are(play: Playbook) -> None:
    for number in range(50):
        play >> idr(f"/VAULT00/NONE{number}")
    assert asked(play).refused == 50
    assert len(said(play, messages.HOST_ASKED_WRONGLY)) == 1
    play.wait(HOUR + 1) >> idr("/VAULT00/NONE")
    assert len(said(play, messages.HOST_ASKED_WRONGLY)) == 2


def test_only_so_many_an_hour(play: Playbook, overlay: Overlay) -> None:
    leave_unsynced(play, overlay)
    for _ in range(10):
        play >> idr("/VAULT00/PAY")
    assert (asked(play).obeyed, asked(play).too_many) == (3, 7)
    (told,) = said(play, messages.HOST_ASKED_TOO_OFTEN)
    assert told == {"host": HOST, "limit": "3", "count": "1"}
    play.wait(HOUR / 3 + 1)
    play >> idr("/VAULT00/PAY") >> idr("/VAULT00/PAY")
    assert (asked(play).obeyed, asked(play).too_many) == (4, 8)
    play.wait(5 * HOUR)
    for _ in range(10):
        play >> idr("/VAULT00/PAY")
    assert asked(play).obeyed == 7, "what is not used is not saved up beyond an hour's worth"


def test_an_open_tape_is_left_alone(play: Playbook, overlay: Overlay) -> None:
    leave_unsynced(play, overlay)
    play >> overlay.mounted()
    with play:
        play >> idr(str(TAPE))
        play.wait(600.0)
    assert play.state() == Unsynced()
    assert said(play, messages.HOST_ASKED)[0]["outcome"] == f"{TAPE}: nothing to copy"


def test_a_tape_that_is_not_judged_yet_is_left_to_its_verdict(
    play: Playbook, overlay: Overlay
) -> None:
    leave_unsynced(play, overlay)
    play >> no_ring() >> overlay.mounted() >> overlay.dismounted()
    with play:
        play >> idr(str(TAPE))
        play.wait(600.0)
    assert play.verdict() == "conflict"
    assert isinstance(play.state(), Held)
    play >> idr(str(TAPE)) >> idr("/VAULT00/BILL d=drsite")
    play << StartCopy  # the other tape of the pool
    assert play.job.tape == SECOND
    assert isinstance(play.state(), Held)


@pytest.mark.parametrize("reason", list(HoldReason))
def test_a_host_releases_no_hold_of_any_kind(
    play: Playbook, overlay: Overlay, reason: HoldReason
) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> ended(play.job, CopyHeld(reason, "look"))
    with play:
        play >> idr(str(TAPE)) >> idr("/VAULT00/BILL")
    assert isinstance(play.state(), Held)


def test_a_copy_that_is_on_its_way_goes_on(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    with play:
        play >> idr(str(TAPE)) >> idr("/VAULT00/BILL")
    play >> done(play.job)
    assert not isinstance(play.state(), Queued)


def test_an_unknown_host_asks_for_nothing(play: Playbook, overlay: Overlay) -> None:
    leave_unsynced(play, overlay)
    with play:
        play >> PolicyCommand("OTHER", f'VTSPolicy IDR "{TAPE}"')
