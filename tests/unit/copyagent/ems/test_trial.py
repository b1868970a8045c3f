"""One session tried out against the scripted host: what is told on the way, and how it ends."""

from pathlib import Path

import pytest
import trio

from copyagent.access import dial_of
from copyagent.core.host_events import LinkTrouble, TapeDismounted, Unrecognised
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.trial import TAIL_BYTES, Trial, last_events, try_link
from tests.support.ems_host import HostOptions, open_ems_host
from tests.support.listening import link_settings

DISMOUNT = (
    "06-09-14 22:01:00 \\DEV2.$ZSVR  TANDEM.TAPE.G06  000659 STATUS 1512 - X00001 TAPE\n"
    "        DISMOUNTED FROM DRIVE $VTAPE0\n"
)
OTHER = "06-09-14 22:01:00 \\DEV2.$X  TANDEM.MHS.G06  000023 busy\n"
UNKNOWN = "06-09-14 22:01:01 \\DEV2.$ZSVR  TANDEM.TAPE.G06  000699 WHO KNOWS\n"


async def tried(settings: LinkSettings, steps: list[str], wait: float = 0.1) -> Trial:
    with trio.fail_after(10):
        return await try_link(settings, dial=dial_of(settings), wait=wait, told=steps.append)


async def test_every_step_is_told_as_it_is_passed() -> None:
    steps: list[str] = []
    async with open_ems_host(HostOptions()) as host:
        trial = await tried(link_settings(host.port), steps)
        assert trial.failure is None
        assert trial.tally.events == 0
        # It took leave: nobody watches any more.
        await host.wait_printing(0)
    assert steps == [
        "connected",
        "service prompt",
        "user prompt",
        "password prompt",
        "prompt after the log-on",
        "distributor runs",
    ]


async def test_an_event_ends_the_waiting() -> None:
    async with open_ems_host(HostOptions()) as host, trio.open_nursery() as nursery:
        trials: list[Trial] = []

        async def run() -> None:
            trials.append(await tried(link_settings(host.port), [], wait=3600.0))

        nursery.start_soon(run)
        await host.wait_printing(1)
        await host.tape_dismounted("X00001", "$VTAPE0")
        nursery.cancel_scope.deadline = trio.current_time() + 10
    (trial,) = trials
    assert [type(event) for event in trial.events] == [TapeDismounted]


@pytest.mark.parametrize(
    ("options", "trouble", "last_step"),
    [
        (HostOptions(refuses_log_on=True), LinkTrouble.LOGIN_REFUSED, "password prompt"),
        (HostOptions(silent_at="user"), LinkTrouble.TIMED_OUT, "user prompt"),
        (HostOptions(drops_at="service"), LinkTrouble.DISCONNECTED, "service prompt"),
        (
            HostOptions(refuses_distributor=True),
            LinkTrouble.DISTRIBUTOR_FAILED,
            "prompt after the log-on",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, LinkTrouble) else "",
)
async def test_a_failure_ends_it_at_its_step(
    options: HostOptions, trouble: LinkTrouble, last_step: str
) -> None:
    steps: list[str] = []
    async with open_ems_host(options) as host:
        trial = await tried(link_settings(host.port, options), steps)
        assert host.connections == 1
    assert trial.failure is not None
    assert trial.failure.trouble is trouble
    assert steps[-1] == last_step
    assert options.password not in repr(trial) + "".join(steps)


async def test_nobody_there() -> None:
    steps: list[str] = []
    trial = await tried(link_settings(1), steps)
    assert trial.failure is not None
    assert (trial.failure.trouble, steps) == (LinkTrouble.UNREACHABLE, [])


async def test_a_file_that_can_be_read_is_opened(tmp_path: Path) -> None:
    file, steps = tmp_path / "events", list[str]()
    file.write_text(DISMOUNT)
    trial = await tried(link_settings(0, access="file", file=file), steps, wait=0.0)
    assert (trial.failure, steps) == (None, ["opened"])


async def test_a_file_that_cannot_be_read_is_a_failure(tmp_path: Path) -> None:
    trial = await tried(link_settings(0, access="file", file=tmp_path), [], wait=0.0)
    assert trial.failure is not None
    assert trial.failure.trouble is LinkTrouble.FILE_UNREADABLE


def test_the_last_events_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text(DISMOUNT + OTHER + UNKNOWN)
    count, events = last_events("DEV2", file)
    assert count == 3
    assert [type(event) for event in events] == [TapeDismounted, Unrecognised]


def test_of_a_long_file_only_the_end_is_read(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text(DISMOUNT + OTHER * (TAIL_BYTES // len(OTHER)) + UNKNOWN)
    _, events = last_events("DEV2", file)
    assert [type(event) for event in events] == [Unrecognised]
