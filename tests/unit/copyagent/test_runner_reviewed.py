"""What must not end the agent: errors nobody foresaw while it looks around."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from copyagent.core.commands import ProbeTarget, SweepVault
from copyagent.transfer.target import Target
from tests.support.expected_logs import ExpectedLogs
from tests.unit.copyagent.test_runner import Bench
from vtsfs.contract import settings


class Strange(Bench):
    """A target whose connection fails in a way that the transfer does not know."""

    @asynccontextmanager
    async def connect(self, target: settings.Target) -> AsyncIterator[Target]:
        self.attempts.append(trio.current_time())
        raise UnicodeError(f"label of {target.host} empty or too long")
        yield  # type: ignore[unreachable]  # what makes this a generator


@pytest.fixture
def strange(tmp_path: Path, mock_clock: MockClock) -> Strange:
    mock_clock.jump(1000.0)
    return Strange(tmp_path)


async def test_a_probe_that_fails_strangely_is_a_target_in_trouble(
    strange: Strange, expect_log: ExpectedLogs
) -> None:
    expect_log("probe of drsite ended by an unforeseen error", logging.ERROR)
    async with strange.running() as runner:
        health = runner.engine.targets.health["drsite"]
        health.probing = True
        runner._execute(ProbeTarget("drsite"))
        while health.probing:
            await runner.ask(lambda _: None)
        assert "unforeseen" in health.trouble


async def test_a_sweep_of_a_vault_that_left_the_settings_is_left_out(strange: Strange) -> None:
    """It was wished for while another one ran, and then the settings were read again."""
    async with strange.running() as runner:
        runner._execute(SweepVault("GONE", "it was not covered"))
        for _ in range(5):
            await runner.ask(lambda _: None)
