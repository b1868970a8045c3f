"""What holds for every test: quiet logs, nothing left open, no mount or SSH test skipped unseen."""

import faulthandler
import gc
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import must_run
from tests.support.expected_logs import ExpectedLogs
from tests.support.scratch import scratch_directory
from tests.support.sshd import Sshd

# `kill -USR1 PID` shows where a test hangs, without ending it.
faulthandler.register(signal.SIGUSR1, all_threads=True)

# A shell lets its background jobs ignore SIGINT, and so would everything that is started here.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_configure = must_run.pytest_configure


def pytest_collection_finish() -> None:
    """Take what is imported by now out of the garbage collections that follow each test."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def expect_log() -> ExpectedLogs:
    """Declare a warning or error that the test causes: ``expect_log(pattern, level)``."""
    return ExpectedLogs()


@pytest.fixture(autouse=True)
def _quiet_log(caplog: pytest.LogCaptureFixture, expect_log: ExpectedLogs) -> Iterator[None]:
    """Fail a test that logs a warning it did not declare, or declares one that does not come."""
    yield
    records = [record for phase in ("setup", "call") for record in caplog.get_records(phase)]
    if complaints := expect_log.complaints(records):
        pytest.fail("\n".join(complaints), pytrace=False)


@pytest.fixture(autouse=True, scope="module")
def _what_stays_is_not_searched_again() -> Iterator[None]:
    """Take what a module's tests have imported and cached out of the collections that follow.

    A worker comes to hold so much that a collection takes 50 ms, and there is one for each test.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _nothing_left_open() -> Iterator[None]:
    """Collect garbage now, so that a ResourceWarning is blamed on the test that left it."""
    yield
    gc.collect()


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Give a directory for the length of the test; see `scratch_directory`."""
    with scratch_directory() as directory:
        yield directory


@pytest.fixture
def sshd(scratch: Path) -> Iterator[Sshd]:
    """Run an OpenSSH server for the length of the test; its files lie in ``scratch/sshd``."""
    with Sshd(scratch / "sshd") as server:
        yield server
