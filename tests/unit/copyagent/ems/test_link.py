"""A link over real TCP that is lost and taken up again: what was missed, what was not, and when it
counts as dead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import trio

from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    SetAside,
    TapeDismounted,
)
from copyagent.core.host_memory import HostMemory
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.reading import PIECE
from tests.support.ems_host import EmsHost, HostOptions, Layout, open_ems_host
from tests.support.listening import Heard, link_settings, listening

DRIVE = "$VTAPE0"


def dismounts(heard: Heard) -> list[str | None]:
    return [event.volume for event in heard.events if isinstance(event, TapeDismounted)]


def gaps(heard: Heard) -> list[str]:
    return [event.why for event in heard.events if isinstance(event, EventsMissed)]


def catch_ups(heard: Heard) -> int:
    return sum(isinstance(event, CaughtUp) for event in heard.events)


def ups(heard: Heard) -> int:
    return sum(isinstance(event, LinkUp) for event in heard.reports)


def typed(host: EmsHost) -> list[str]:
    """Return the start commands of the distributor, in the order of the sessions."""
    return [line for terminal in host.history for line in terminal.typed if "EMSDIST" in line]


async def break_while(host: EmsHost, heard: Heard, *volumes: str) -> None:
    """Cut the link, let *volumes* be dismounted meanwhile, and wait until the link is up again."""
    before = ups(heard)
    host.options.accepts = False
    await host.drop()
    await host.wait_printing(0)
    for volume in volumes:
        await host.tape_dismounted(volume, DRIVE)
    host.options.accepts = True
    await heard.until(lambda: ups(heard) > before, "the link is up again")


async def test_what_was_said_while_the_link_was_lost_is_heard_once() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", DRIVE)
        await heard.until(lambda: len(dismounts(heard)) == 1, "the first")
        await break_while(host, heard, "X00002", "X00003")
        await host.tape_dismounted("X00004", DRIVE)
        await heard.until(lambda: len(dismounts(heard)) >= 4, "all four")
        assert dismounts(heard) == ["X00001", "X00002", "X00003", "X00004"]
        assert (gaps(heard), catch_ups(heard)) == ([], 1)
        first, second = typed(host)
        assert "TIME" not in first
        assert second.endswith(", TIME 2006-09-14 21:59:00")
        kinds = [type(event) for event in heard.events]
        assert kinds.index(CaughtUp) < kinds.index(SetAside) < kinds.index(TapeDismounted, 1)


async def test_an_idle_host_has_caught_up_as_soon_as_its_last_event_has_come_again() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", DRIVE)
        await heard.until(lambda: dismounts(heard), "the first")
        await break_while(host, heard)
        await heard.until(lambda: catch_ups(heard), "it has caught up")
        assert dismounts(heard) == ["X00001"]


async def test_breaks_within_a_replay_lose_nothing_and_double_nothing() -> None:
    layout = Layout(width=60)
    async with open_ems_host(layout=layout) as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        length = host.terminals[0].sent
        volumes = ["X00000"]
        await host.tape_dismounted("X00000", DRIVE)
        await heard.until(lambda: dismounts(heard), "the first")
        for number in range(1, 9):
            host.options.cut_after = length + 55 + 31 * number
            connections = host.connections
            await host.drop()
            volumes.append(f"X{number:05}")
            await host.tape_dismounted(volumes[-1], DRIVE)
            await host.wait_until(lambda least=connections + 3: host.connections >= least)  # type: ignore[misc]  # a bound default
        host.options.cut_after = None
        await heard.until(lambda: len(dismounts(heard)) >= len(volumes), "all of them")
        assert dismounts(heard) == volumes
        assert gaps(heard) == []


async def test_a_distributor_that_refuses_time_is_started_without_it_and_the_gap_told() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", DRIVE)
        await heard.until(lambda: dismounts(heard), "the first")
        host.options.refuses_time = True
        await break_while(host, heard, "X00002")
        await heard.until(lambda: gaps(heard), "the gap")
        assert gaps(heard) == ["the distributor refused TIME"]
        assert ["TIME" in line for line in typed(host)] == [False, True, False]
        await host.tape_dismounted("X00003", DRIVE)
        await heard.until(lambda: len(dismounts(heard)) == 2, "what came after it")
        assert [type(report) for report in heard.reports] == [LinkUp, LinkLost, LinkUp]


async def test_a_log_that_has_rolled_over_is_a_gap() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", DRIVE)
        await heard.until(lambda: dismounts(heard), "the first")
        host.options.keeps = 1
        await break_while(host, heard, *(f"Y{n:05}" for n in range(20)))
        await heard.until(lambda: gaps(heard), "the gap")
        assert gaps(heard) == ["the last event seen is not in the host's log any more"]
        await heard.until(lambda: dismounts(heard)[-1] == "Y00019", "what is left")


async def test_a_clock_set_back_is_a_gap() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", DRIVE)
        host.clock.step(-3600)
        await host.tape_dismounted("X00002", DRIVE)
        await heard.until(lambda: len(dismounts(heard)) == 2, "both")
        await break_while(host, heard, "X00003")
        await heard.until(lambda: gaps(heard), "the gap")
        assert gaps(heard) == ["the host's clock was set back"]
        assert "TIME" not in typed(host)[-1]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"catch_up": False}, "catch_up is off"),
        ({"distributor": "EMSDIST /NAME/ TYPE P, COLLECTOR $0, GMT ON"}, "GMT"),
    ],
)
async def test_a_link_that_is_not_to_catch_up_says_so(changes: dict[str, Any], why: str) -> None:
    async with open_ems_host() as host:
        settings = link_settings(host.port)
        distributor = changes.pop("distributor", settings.plan.distributor)
        plan = replace(settings.plan, distributor=distributor)
        async with listening(replace(settings, plan=plan, **changes)) as heard:
            await host.wait_printing()
            await host.tape_dismounted("X00001", DRIVE)
            await heard.until(lambda: dismounts(heard), "the first")
            await break_while(host, heard, "X00002")
            await heard.until(lambda: gaps(heard), "the gap")
            assert why in gaps(heard)[0]
            assert dismounts(heard) == ["X00001"]


async def test_another_run_of_the_agent_takes_up_where_the_last_one_was() -> None:
    async with open_ems_host() as host:
        memory = HostMemory()
        async with listening(link_settings(host.port), memory=memory) as heard:
            await host.wait_printing()
            await host.tape_dismounted("X00001", DRIVE)
            await heard.until(lambda: dismounts(heard), "the first")
        await host.tape_dismounted("X00002", DRIVE)
        async with listening(link_settings(host.port), memory=memory.copy()) as again:
            await again.until(lambda: dismounts(again), "the second")
            assert dismounts(again) == ["X00002"]
            assert (gaps(again), catch_ups(again)) == ([], 1)


async def test_lines_too_long_to_be_read_are_a_gap_told_once_a_minute() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        head = "06-09-14 22:00:00 \\DEV2.$ZSVR TANDEM.TAPE.G06 000659 "
        for number in range(5):
            await host.raw(f"{head}{'X' * 5000}\r\n")
            await host.tape_dismounted(f"X{number:05}", DRIVE)
            await heard.until(lambda n=number: len(dismounts(heard)) > n, "an event after it")  # type: ignore[misc]  # a bound default
        assert gaps(heard) == ["lines too long to be read whole"]


async def test_a_burst_filter_is_a_gap() -> None:
    async with open_ems_host() as host, listening(link_settings(host.port)) as heard:
        await host.wait_printing()
        text = "EMS: EVENT BURST DETECTED FOR EVENT NO. 659 OF SUBSYSTEM TANDEM.TAPE.G06, BY DISTRIBUTOR $D"
        await host.emit(538, text, layout=host.layout.of("$0", "TANDEM.EMS.G06"))
        await heard.until(lambda: gaps(heard), "the gap")


# ---- life and death ------------------------------------------------------------------------------


@dataclass
class Pulse:
    """A second session that posts, or says that it does."""

    host: EmsHost
    posts: bool = True
    beats: int = 0
    posted_at: float = -math.inf
    nursery: list[trio.Nursery] = field(default_factory=list)

    def beat(self) -> None:
        self.beats += 1
        self.posted_at = trio.current_time()
        if self.posts:
            self.nursery[0].start_soon(self.host.post, f"VTS-AUTOCOPY SYS HEARTBEAT {self.beats}")

    def returned(self, text: str) -> bool:
        return text.startswith("VTS-AUTOCOPY SYS HEARTBEAT")


def brisk(host: EmsHost) -> LinkSettings:
    settings = link_settings(host.port, keep_alive=0.1)
    return replace(settings, plan=replace(settings.plan, response_timeout=0.5))


async def test_heartbeats_that_come_back_keep_a_silent_link() -> None:
    async with open_ems_host() as host, trio.open_nursery() as nursery:
        pulse = Pulse(host, nursery=[nursery])
        async with listening(brisk(host), heartbeat=pulse) as heard:
            await host.wait_printing()
            await heard.until(lambda: pulse.beats >= 10, "ten heartbeats")
            assert [type(report) for report in heard.reports] == [LinkUp]
            await heard.until(lambda: heard.tally.heartbeats >= 5, "some that came back")
            assert heard.tally.tape_events == 0
            assert heard.tally.others == {}
            assert heard.events == [], "nobody wants to look for a mount among heartbeats"


async def test_heartbeats_that_do_not_come_back_any_more_mean_a_dead_link() -> None:
    async with open_ems_host() as host, trio.open_nursery() as nursery:
        pulse = Pulse(host, nursery=[nursery])
        async with listening(brisk(host), heartbeat=pulse) as heard:
            await host.wait_printing()
            await heard.until(lambda: heard.tally.heartbeats > 0, "one that comes back")
            pulse.posts = False
            await heard.until(lambda: len(heard.reports) >= 3, "lost, and up again")
            lost = heard.reports[1]
            assert isinstance(lost, LinkLost)
            assert lost.trouble is LinkTrouble.SILENT
            assert "heartbeat" in lost.why


async def test_a_filter_that_lets_no_heartbeat_through_cuts_no_link() -> None:
    async with open_ems_host() as host:
        pulse = Pulse(host, posts=False)
        async with listening(brisk(host), heartbeat=pulse) as heard:
            await host.wait_printing()
            await heard.until(lambda: pulse.beats >= 12, "twelve heartbeats that were taken")
            assert [type(report) for report in heard.reports] == [LinkUp]


async def test_heartbeats_that_could_not_be_posted_prove_nothing() -> None:
    async with open_ems_host() as host:
        pulse = Pulse(host, posts=False)
        pulse.beat = lambda: None  # type: ignore[method-assign]  # its host takes nothing
        async with listening(brisk(host), heartbeat=pulse) as heard:
            await host.wait_printing()
            await trio.sleep(1.0)
            assert [type(report) for report in heard.reports] == [LinkUp]


# ---- many events, many hosts ---------------------------------------------------------------------


async def test_a_host_that_floods_waits_for_itself_and_for_nobody_else() -> None:
    """No more than a piece of its events is ever under way, and another host's come in between."""
    pieces: list[int] = []
    taken = trio.Event()

    async def slow(events: Sequence[HostEvent]) -> None:
        pieces.append(len(events))
        await taken.wait()

    async with open_ems_host() as flooding, open_ems_host() as quiet:
        quick = link_settings(quiet.port)
        heard = Heard()
        heard.deliver = slow  # type: ignore[method-assign]  # an engine that is busy
        async with listening(link_settings(flooding.port), heard), listening(quick) as other:
            await flooding.wait_printing()
            await quiet.wait_printing()
            line = "06-09-14 22:00:00 \\DEV2.$ZSVR TANDEM.TAPE.G06 000659 STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $T\r\n"
            async with trio.open_nursery() as nursery:
                nursery.start_soon(flooding.raw, line * 20_000)
                await heard.until(lambda: pieces, "a first piece")
                await quiet.tape_dismounted("X00002", DRIVE)
                await other.until(lambda: dismounts(other) == ["X00002"], "the other host's event")
                assert pieces == [PIECE]
                taken.set()
                await heard.until(lambda: sum(pieces) >= 20_000 - 1, "the whole flood")
                assert max(pieces) == PIECE


async def test_a_link_is_ended_promptly_while_nobody_takes_its_events() -> None:
    async def never(events: Sequence[HostEvent]) -> None:
        await trio.sleep_forever()

    async with open_ems_host() as host:
        heard = Heard()
        heard.deliver = never  # type: ignore[method-assign]  # an engine that hangs
        async with listening(link_settings(host.port), heard):
            await host.wait_printing()
            await host.tape_dismounted("X00001", DRIVE)
            await trio.testing.wait_all_tasks_blocked(0.05)
            started = trio.current_time()
        assert trio.current_time() - started < 2.0
        await host.wait_until(lambda: not host.terminals)


async def test_the_steps_of_the_log_in_are_told_in_order() -> None:
    async with open_ems_host(HostOptions(refuses_log_on=True)) as host:
        async with listening(link_settings(host.port, refused_delay=30.0)) as heard:
            await heard.until(lambda: heard.reports, "the refusal")
        assert host.connections == 1
