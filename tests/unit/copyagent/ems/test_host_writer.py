"""The second session against the scripted host, over real TCP: told, refused, hung, cut off."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from copyagent.access import open_wire
from copyagent.ems.dialogue import LoginPlan
from copyagent.ems.host_writer import HostWriter
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.login_types import DEFAULT_DISTRIBUTOR, LOGIN_TYPES
from copyagent.ems.notices import APART
from copyagent.ems.secret import Secret
from copyagent.ssh.bridge import open_bridge
from tests.support.ems_host import EmsHost, HostOptions, open_ems_host, ssh_front
from tests.support.ems_host.options import STEPS
from tests.support.ems_host.terminal import HungUp
from tests.support.waiting import wait_until_async
from vtsfs.contract import messages
from vtsfs.contract.messages import Message
from vtsfs.contract.settings_ems import Notify

COMMAND = 'RUN $SYSTEM.VTS.VTSNOTE "%text%"'
GAVE_UP = {
    "tape": "/VAULT00/BILL/X00001", "target": "drsite", "attempts": "12", "cause": "no space left",
}  # fmt: skip
TOLD = (
    "VTS-AUTOCOPY TAPESRV1 624111 Copy of /VAULT00/BILL/X00001 to drsite FAILED after 12 attempts: "
    "no space left"
)


@dataclass
class Wrote:
    """What went to the event log."""

    told: list[tuple[Message, dict[str, str]]] = field(default_factory=list)

    def __call__(self, message: Message, **fields: str) -> None:
        self.told.append((message, fields))

    def count(self, message: Message) -> int:
        return sum(found is message for found, _ in self.told)


def link_to(host: EmsHost, *, password: str | None = None, patience: float = 5.0) -> LinkSettings:
    plan = LoginPlan(
        LOGIN_TYPES[host.options.login],
        host.options.user,
        Secret(password or host.options.password),
        DEFAULT_DISTRIBUTOR,
        response_timeout=patience,
    )
    return LinkSettings(
        "DEV2", "127.0.0.1", plan, host.port,
        first_delay=0.02, longest_delay=0.1, refused_delay=0.1,
    )  # fmt: skip


#: What makes a writer give up soon: for hosts that never answer.
SOON: dict[str, Any] = {"wait_timeout": "300ms"}


@asynccontextmanager
async def writing(
    host: EmsHost,
    *,
    link: LinkSettings | None = None,
    notify: dict[str, Any] | None = None,
    **changes: Any,
) -> AsyncIterator[tuple[HostWriter, Wrote]]:
    """Run a writer to *host*, with the patience of a busy machine."""
    wrote = Wrote()
    words = {"command": [COMMAND], "wait_timeout": "5s", "logout_timeout": "300ms"}
    writer = HostWriter(
        link or link_to(host),
        Notify.model_validate(words | (notify or {})),
        system="TAPESRV1",
        dial=open_wire,
        report=wrote,
        chance=lambda: 0.5,
        **changes,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.run)
        yield writer, wrote
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("login", ["TACL", "TACLS", "SAFEGUARD", "XYGATE"])
async def test_a_failure_is_told_in_a_session_of_its_own(login: str) -> None:
    async with open_ems_host(HostOptions(login=login)) as host, writing(host) as (writer, wrote):
        assert host.connections == 0, "nothing to tell, nobody logged on"
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await host.wait_until(lambda: host.posted == [TOLD])
        await wait_until_async(lambda: writer.tally.told == 1, 10.0, "it is counted")
        assert f'RUN $SYSTEM.VTS.VTSNOTE "{TOLD}"' in host.history[0].typed
        assert not any("EMSDIST" in line for line in host.history[0].typed)
        assert wrote.told == []


async def test_it_logs_out_when_there_is_nothing_more_to_tell() -> None:
    async with open_ems_host() as host, writing(host, linger=0.05) as (writer, _):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await host.wait_until(lambda: host.connections == 1 and not host.terminals)
        assert host.history[0].typed[-1] == "LOGOUT"
        writer.tell(messages.CONFLICT, {"tape": "/VAULT00/BILL/X00002", "detail": "x"})
        await host.wait_until(lambda: len(host.posted) == 2)
        assert host.connections == 2


async def test_only_what_the_host_wants_to_know_and_what_is_of_its_vaults() -> None:
    events = {"events": ["held", "copied"]}
    async with (
        open_ems_host() as host,
        writing(host, notify=events, vaults=("VAULT01",)) as (writer, _),
    ):
        held = {"tape": "/VAULT01/BILL/X00001", "detail": "DEV2 request 0042"}
        writer.tell(messages.GAVE_UP, GAVE_UP | {"tape": held["tape"]})
        writer.tell(messages.LINK_LOST, {"host": "DEV2", "cause": "x"})
        writer.tell(messages.HOST_NOT_TOLD, {"host": "DEV2", "cause": "x"})
        writer.tell(messages.CONFLICT, held | {"tape": "/VAULT00/BILL/X00001"})
        assert writer.waiting == 0
        writer.tell(messages.CONFLICT, held)
        await host.wait_until(lambda: len(host.posted) == 1)
        assert "624120 /VAULT01/BILL/X00001 held" in host.posted[0]


async def test_several_lines_are_typed_each_after_the_prompt() -> None:
    lines = {"command": ["VTSNOTE first", COMMAND, "VTSNOTE last"]}
    async with open_ems_host() as host, writing(host, notify=lines) as (writer, _):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await host.wait_until(lambda: host.posted == ["first", TOLD, "last"])


async def test_a_flood_is_a_few_lines_now_and_one_in_a_minute() -> None:
    async with open_ems_host() as host, writing(host) as (writer, _):
        for number in range(1000):
            writer.tell(messages.GAVE_UP, GAVE_UP | {"tape": f"/VAULT00/BILL/T{number:05}"})
        await wait_until_async(lambda: writer.tally.told == APART, 10.0, "the first are told")
        assert len(host.posted) == APART
        assert writer.waiting == 0


async def test_a_hostile_label_stays_text() -> None:
    async with open_ems_host() as host, writing(host) as (writer, _):
        label = '"; LOGOUT\r\n[#OUTPUT x] & ~ %*% == `id` $(id)'
        writer.tell(messages.GAVE_UP, GAVE_UP | {"tape": f"/VAULT00/BILL/{label}"})
        await host.wait_until(lambda: len(host.posted) == 1)
        (typed,) = [line for line in host.history[0].typed if "VTSNOTE" in line]
        assert typed.count('"') == 2
        assert "LOGOUT" not in host.history[0].typed
        assert host.posted[0].startswith("VTS-AUTOCOPY TAPESRV1 624111 Copy of /VAULT00/BILL/ ")


@pytest.mark.ssh
async def test_a_host_is_told_by_ssh_as_well(scratch: Path) -> None:
    options = HostOptions(shell_logged_on=False)
    async with open_ems_host(options) as host, open_bridge():
        sshd = ssh_front(scratch / "sshd", host.shell_port)
        await trio.to_thread.run_sync(sshd.start)
        try:
            link = replace(
                link_to(host),
                port=sshd.port,
                access="ssh",
                known_hosts=sshd.known_hosts,
                key=sshd.key,
                ssh_user=sshd.user,
            )
            async with writing(host, link=link, stays=True) as (writer, wrote):
                writer.tell(messages.GAVE_UP, GAVE_UP)
                writer.beat()
                await host.wait_until(lambda: TOLD in host.posted and len(host.posted) == 2)
                assert wrote.told == []
        finally:
            await trio.to_thread.run_sync(sshd.stop)


# ---- a host that does not do as it should --------------------------------------------------------


@pytest.mark.parametrize("step", [step for step in STEPS if step != "distributor"])
async def test_a_host_that_hangs_at_any_step_keeps_nobody_waiting(step: str) -> None:
    async with (
        open_ems_host(HostOptions(silent_at=step)) as host,
        writing(host, link=link_to(host, patience=0.3), notify=SOON) as (writer, wrote),
    ):
        before = trio.current_time()
        for _ in range(500):
            writer.tell(messages.GAVE_UP, GAVE_UP)
            writer.beat()
        assert trio.current_time() - before < 1.0
        if step == "logout":
            await host.wait_until(lambda: len(host.posted) >= 1)
            return
        await wait_until_async(lambda: wrote.count(messages.HOST_NOT_TOLD), 10.0, "it is told")
        tried = host.connections
        await host.wait_until(lambda: host.connections > tried, within=10.0)
        assert wrote.count(messages.HOST_NOT_TOLD) == 1, "once an hour, however often it is tried"
        assert writer.tally.trouble
        assert writer.waiting <= 100


async def test_when_the_host_answers_again_what_waits_is_told() -> None:
    async with (
        open_ems_host(HostOptions(accepts=False)) as host,
        writing(host) as (writer, wrote),
    ):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await wait_until_async(lambda: wrote.count(messages.HOST_NOT_TOLD), 10.0, "it is told")
        host.options.accepts = True
        await host.wait_until(lambda: host.posted == [TOLD])
        await wait_until_async(lambda: wrote.count(messages.HOST_TOLD_AGAIN), 10.0, "that is told")
        assert wrote.told[-1] == (messages.HOST_TOLD_AGAIN, {"host": "DEV2"})
        assert writer.tally.trouble == ""


async def test_a_notice_that_gets_no_answer_is_not_typed_for_ever() -> None:
    async with (
        open_ems_host(HostOptions(silent_at="command")) as host,
        writing(host, notify=SOON) as (writer, _),
    ):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await wait_until_async(lambda: writer.dropped == 1, 10.0, "it is given up")
        typed = [line for t in host.history for line in t.typed if "VTSNOTE" in line]
        assert len(typed) == 2


async def test_a_command_that_the_host_refuses_is_told_of_with_its_words() -> None:
    bad = {"command": ['NOSUCH "%text%"']}
    async with open_ems_host() as host, writing(host, notify=bad) as (writer, wrote):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await wait_until_async(lambda: wrote.count(messages.HOST_NOT_TOLD), 10.0, "it is told")
        assert writer.tally.refused == 1
        assert "*ERROR* Name of file or process not found" in wrote.told[0][1]["cause"]
        assert writer.tally.told == 0
        assert host.connections == 1, "the session itself is good"


async def test_a_refused_log_on_is_told_without_the_password() -> None:
    async with open_ems_host() as host:
        link = link_to(host, password="Wr0ng-Word")
        async with writing(host, link=link) as (writer, wrote):
            writer.tell(messages.GAVE_UP, GAVE_UP)
            await wait_until_async(lambda: wrote.count(messages.HOST_NOT_TOLD), 10.0, "it is told")
            assert "log-on refused" in wrote.told[0][1]["cause"]
            assert "Wr0ng-Word" not in repr(wrote.told) + repr(writer.tally)


async def test_a_session_that_is_cut_off_is_begun_again() -> None:
    async with open_ems_host() as host, writing(host, stays=True) as (writer, wrote):
        writer.beat()
        await host.wait_until(lambda: len(host.posted) == 1)
        await host.drop()
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await host.wait_until(lambda: TOLD in host.posted)
        assert host.connections == 2
        assert wrote.count(messages.HOST_NOT_TOLD) <= 1


# ---- heartbeats ----------------------------------------------------------------------------------


async def test_heartbeats_go_through_one_session_that_is_kept() -> None:
    async with open_ems_host() as host, writing(host, stays=True) as (writer, _):
        assert writer.posted_at == float("-inf")
        for number in (1, 2, 3):
            before = trio.current_time()
            writer.beat()
            await host.wait_until(lambda: len(host.posted) == number)  # noqa: B023  # awaited here
            assert host.posted[-1] == f"VTS-AUTOCOPY TAPESRV1 HEARTBEAT {number}"
            assert writer.returned(host.posted[-1])
            await wait_until_async(lambda: writer.posted_at >= before, 10.0, "it is known")  # noqa: B023  # awaited here
        assert host.connections == 1
        assert not writer.returned(TOLD)


async def test_a_heartbeat_that_the_host_refuses_counts_as_not_posted() -> None:
    bad = {"command": ['NOSUCH "%text%"']}
    async with open_ems_host() as host, writing(host, notify=bad, stays=True) as (writer, wrote):
        writer.beat()
        await wait_until_async(lambda: writer.tally.refused == 1, 10.0, "it is refused")
        assert writer.posted_at == float("-inf")
        assert wrote.told == [], "nothing but a heartbeat waits: only trouble that lasts is told"
        assert host.connections == 1


async def test_many_beats_are_one_when_the_host_is_slow() -> None:
    async with open_ems_host() as host, writing(host, stays=True) as (writer, _):
        for _ in range(1000):
            writer.beat()
        await host.wait_until(lambda: host.posted == ["VTS-AUTOCOPY TAPESRV1 HEARTBEAT 1"])


@pytest.mark.parametrize("stays", [True, False])
async def test_a_host_that_floods_the_session_is_hung_up_on(stays: bool) -> None:
    async with (
        open_ems_host() as host,
        writing(host, stays=stays, most_unasked=20_000) as (writer, _),
    ):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await wait_until_async(lambda: writer.tally.told == 1, 10.0, "it is told")
        with contextlib.suppress(HungUp):
            for _ in range(100):
                await host.history[0].send("x" * 10_000)
        await host.wait_until(lambda: not host.terminals)
        writer.tell(messages.CONFLICT, {"tape": "/VAULT00/BILL/X00002", "detail": "x"})
        await host.wait_until(lambda: len(host.posted) == 2)


async def test_an_answer_without_end_is_not_waited_for() -> None:
    options = HostOptions(silent_at="command")
    async with (
        open_ems_host(options) as host,
        writing(host, notify={"wait_timeout": "1h"}, most_unasked=20_000) as (writer, wrote),
    ):
        writer.tell(messages.GAVE_UP, GAVE_UP)
        await host.wait_until(lambda: bool(host.terminals))
        terminal = host.history[0]
        await wait_until_async(
            lambda: any("VTSNOTE" in line for line in terminal.typed), 10.0, "it is typed"
        )
        with contextlib.suppress(HungUp):
            for _ in range(100):
                await terminal.send("x" * 10_000)
        await wait_until_async(lambda: wrote.count(messages.HOST_NOT_TOLD), 10.0, "it is given up")
