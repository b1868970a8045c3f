"""The scripted host's sessions, as whoever types at its terminals sees them."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path

import pytest
import trio

from tests.support.ems_host import (
    EmsHost,
    HostClock,
    HostOptions,
    Layout,
    open_ems_host,
    ssh_front,
)
from tests.support.ems_host.control import obey
from tests.support.ems_host.event_log import EventLog, IllegalParameter, start_time
from tests.support.ems_host.flood import KINDS, flood
from tests.support.nonstop import NonStop
from tests.support.sshd import ADDRESS

TODAY = date(2006, 9, 14)
DISTRIBUTOR = "EMSDIST /NAME/ TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"

at = datetime.fromisoformat


class Typist:
    """Somebody at a terminal without Telnet."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self.seen = ""

    async def see(self, text: str) -> str:
        """Wait until *text* is on the screen; return all of the screen up to it."""
        with trio.fail_after(10):
            while text not in self.seen:
                data = await self._stream.receive_some(4096)
                if not data:
                    raise EOFError(self.seen)
                self.seen += data.decode("latin-1")
        before, _, self.seen = self.seen.partition(text)
        return before + text

    async def type(self, line: str) -> None:
        await self._stream.send_all(f"{line}\r".encode("latin-1"))


@asynccontextmanager
async def terminal(host: EmsHost) -> AsyncIterator[Typist]:
    async with await trio.open_tcp_stream(ADDRESS, host.shell_port) as stream:
        yield Typist(stream)


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("TIME 2006-09-14 21:59:30", at("2006-09-14 21:59:30")),
        ("TIME SEP 14 2006 1:02", at("2006-09-14 01:02:00")),
        ("time 14 sep 2006 1:02", at("2006-09-14 01:02:00")),
        ("TIME 11:00", at("2006-09-14 11:00:00")),
        ("TIME 1999-12-31, FILTER F", at("1999-12-31")),
    ],
)
def test_the_forms_of_time_that_the_manual_has(option: str, meant: datetime) -> None:
    assert start_time(f"{DISTRIBUTOR}, {option}", TODAY) == meant


@pytest.mark.parametrize(
    "option", ["06-09-14 21:00", "14 SEP 06", "SEP 14", "2006-13-01", "25:00", "12", "21:59:5"]
)
def test_other_forms_of_time_are_refused(option: str) -> None:
    with pytest.raises(IllegalParameter):
        start_time(f"{DISTRIBUTOR}, TIME {option}", TODAY)


def test_without_time_there_is_none() -> None:
    assert start_time(DISTRIBUTOR, TODAY) is None


def test_the_clock_goes_on_by_events_and_can_be_stepped_and_held() -> None:
    clock = HostClock()
    first = clock.stamp()
    assert (clock.stamp() - first).total_seconds() == 1
    clock.hold(on=True)
    assert clock.stamp() == clock.stamp()
    clock.hold(on=False)
    clock.step(-3600)
    assert clock.now() < first


def test_the_clock_can_run_by_another() -> None:
    ticks = [100.0]
    clock = HostClock(ticks=lambda: ticks[0])
    first = clock.stamp()
    ticks[0] += 60
    assert (clock.stamp() - first).total_seconds() == 60
    clock.hold(on=True)
    ticks[0] += 60
    assert (clock.stamp() - first).total_seconds() == 60


def test_the_log_forgets_the_oldest() -> None:
    log = EventLog()
    for second in range(5):
        log.add(at(f"2006-09-14 00:00:0{second}"), str(second), keeps=3)
    assert log.since(at("2006-09-14")) == ["2", "3", "4"]
    assert log.since(at("2006-09-14 00:00:04")) == ["4"]
    assert log.latest(2) == ["3", "4"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_is_as_long_as_it_was_asked_for(kind: str) -> None:
    printed = "".join(flood(Layout(), HostClock(), 1200, kind))
    if kind == "endless":
        assert "\n" not in printed
        assert len(printed) == 1200 * 80
    elif kind == "garbage":
        assert printed.count("\r\n") == 1200
    else:
        assert printed.count("06-09-14 22:00:0") == 1200


async def test_a_distributor_replays_from_time_and_goes_on() -> None:
    async with open_ems_host() as host, terminal(host) as typist:
        await host.tape_opened("OLD001", "$VTAPE0")
        await host.tape_opened("OLD002", "$VTAPE0")
        await typist.see("1> ")
        await typist.type(f"{DISTRIBUTOR}, TIME 2006-09-14 22:00:01")
        await host.wait_printing()
        await host.tape_opened("NEW001", "$VTAPE0")
        screen = await typist.see("NEW001")
        assert "OLD002" in screen
        assert "OLD001" not in screen


async def test_a_distributor_without_time_prints_what_happens_from_then_on() -> None:
    async with open_ems_host() as host, terminal(host) as typist:
        await host.tape_opened("OLD001", "$VTAPE0")
        await typist.type(DISTRIBUTOR)
        await host.wait_printing()
        await host.tape_opened("NEW001", "$VTAPE0")
        assert "OLD001" not in await typist.see("NEW001")


@pytest.mark.parametrize("line", ["set refuses_time on", "set refuses_distributor on"])
async def test_time_and_the_distributor_can_be_refused(line: str) -> None:
    async with open_ems_host() as host, terminal(host) as typist:
        await obey(host, line)
        await typist.type(f"{DISTRIBUTOR}, TIME 11:00")
        await typist.see("illegal parameter")
        assert host.printing == 0


async def test_what_is_posted_in_one_session_is_printed_in_the_other() -> None:
    async with open_ems_host() as host, terminal(host) as one, terminal(host) as two:
        await one.type(DISTRIBUTOR)
        await host.wait_printing()
        await two.type('RUN $DATA.SITE.VTSNOTE "VTS-AUTOCOPY TAPESRV1 HEARTBEAT 1"')
        screen = await one.see("HEARTBEAT 1")
        assert "000512 VTS-AUTOCOPY" in " ".join(screen.split())
        assert host.posted == ["VTS-AUTOCOPY TAPESRV1 HEARTBEAT 1"]
        assert [t.typed[0][:3] for t in host.history] == ["EMS", "RUN"]


async def test_only_a_later_session_falls_silent() -> None:
    options = HostOptions(silent_at="command", silent_sessions=1)
    async with open_ems_host(options) as host, terminal(host) as one, terminal(host) as two:
        await one.type("VTSNOTE one")
        await two.type("VTSNOTE two")
        await one.type("VTSNOTE three")
        await host.wait_until(lambda: len(host.posted) == 2)
        assert host.posted == ["one", "three"]


@pytest.mark.parametrize("step", ["banner", "command", "logout"])
async def test_it_hangs_up_at_the_step_that_it_is_told(step: str) -> None:
    async with open_ems_host(HostOptions(drops_at=step)) as host, terminal(host) as typist:
        await typist.type("WHO" if step == "command" else "LOGOUT")
        with pytest.raises((EOFError, trio.BrokenResourceError)):
            await typist.see("TACL 2>")


async def test_break_stop_and_logout() -> None:
    async with open_ems_host() as host, terminal(host) as typist:
        await typist.type(DISTRIBUTOR)
        await host.wait_printing()
        await typist.type("\x03STOP")
        await host.wait_printing(0)
        await typist.type("LOGOUT")
        await host.wait_until(lambda: not host.terminals)


async def test_events_come_late_twice_and_the_wrong_way_round() -> None:
    async with open_ems_host() as host, terminal(host) as typist:
        await typist.type(DISTRIBUTOR)
        await host.wait_printing()
        for line in (
            "opened AAA001 $T",
            "again",
            "late 60",
            "opened BBB001 $T",
            "late 0",
            "reverse 2",
            "opened CCC001 $T",
            "opened DDD001 $T",
            "opened EEE001 $T",
        ):
            assert (await obey(host, line) or "").startswith("ok")
        screen = await typist.see("EEE001")
        labels = [word for word in screen.split() if len(word) == 6 and word.endswith("001")]
        assert labels == ["AAA001", "AAA001", "BBB001", "DDD001", "CCC001", "EEE001"]
        assert "21:59:01" in screen.split("BBB001")[0]


async def test_a_host_without_templates_does_not_word_completions() -> None:
    async with open_ems_host(HostOptions(has_templates=False)) as host:
        await host.volume_mounted(42, "X00001")
        (printed,) = host.log.latest(1)
        assert "No template" in printed
        assert "X00001" not in printed


async def test_it_prints_into_a_file_that_is_rotated_in_two_ways(tmp_path: Path) -> None:
    file = tmp_path / "ems.txt"
    async with open_ems_host() as host:
        for line in (f"file {file}", "opened AAA001 $T", "rotate", "opened BBB001 $T"):
            await obey(host, line)
        assert "AAA001" in (tmp_path / "ems.txt.1").read_text()
        inode = file.stat().st_ino
        await obey(host, "rotate truncate")
        assert "BBB001" in (tmp_path / "ems.txt.1").read_text()
        assert (file.stat().st_ino, file.stat().st_size) == (inode, 0)
        await obey(host, "file off")
        await obey(host, "opened CCC001 $T")
        assert file.stat().st_size == 0


@pytest.mark.ssh
def test_over_ssh_one_finds_oneself_at_its_tacl(scratch: Path) -> None:
    with NonStop(scratch / "host") as host, ssh_front(scratch / "ssh", host.shell_port) as sshd:
        command = ["ssh", "-T", *sshd.client_options(), "-p", str(sshd.port)]
        done = subprocess.run(
            [*command, f"{sshd.user}@{ADDRESS}"],
            input="VTSNOTE by ssh\rLOGOUT\r",
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert "TACL 2> LOGOUT" in done.stdout
        assert host.posted() == ["by ssh"]
        assert host.typed() == [["VTSNOTE by ssh", "LOGOUT"]]
