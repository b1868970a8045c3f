"""Write sessions over real files and a sink in memory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.signal_sink import TAPE, FixedClock, Sink
from vtsfs.contract.errors import OutboxError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Kind
from vtsfs.overlay.reports import Reporter
from vtsfs.overlay.sessions import Sessions, WriteSession


@pytest.fixture
def tape(tmp_path: Path) -> Callable[[], int]:
    path = tmp_path / "X00001"
    path.write_bytes(b"content")
    return lambda: os.open(path, os.O_RDWR)


def always_that_tape(fd: int) -> TapeId | None:
    return TAPE


async def opened(sessions: Sessions, fd: int) -> WriteSession:
    return await sessions.opened(TAPE, fd, created=False, since_ns=0, pid=1)


async def test_a_reopen_during_the_fsync_joins(tape: Callable[[], int]) -> None:
    sink = Sink()
    async with trio.open_nursery() as nursery:
        sessions = Sessions(Reporter("VAULT00", sink, FixedClock()), nursery, always_that_tape)
        fd = tape()
        session = await opened(sessions, fd)
        session.mark(0, 3)
        sessions.released(session, fd)
        # The settling task has not had a turn since, so its fsync is not over.
        again = tape()
        assert await opened(sessions, again) is session
        session.mark(5, 6)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED]
        sessions.released(session, again)
    mounted, dismounted = sink.signals
    assert dismounted.kind is Kind.DISMOUNTED
    assert dismounted.session == mounted.session
    assert dismounted.extents == ((0, 3), (5, 6))
    assert len(sessions) == 0


async def test_opens_together_begin_one_session(tape: Callable[[], int]) -> None:
    sink = Sink()
    async with trio.open_nursery() as nursery:
        sessions = Sessions(Reporter("VAULT00", sink, FixedClock()), nursery, always_that_tape)

        async def one() -> None:
            fd = tape()
            session = await opened(sessions, fd)
            await trio.lowlevel.checkpoint()
            sessions.released(session, fd)

        async with trio.open_nursery() as writers:
            for _ in range(20):
                writers.start_soon(one)
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]


async def test_a_failing_outbox_fails_no_open(tape: Callable[[], int]) -> None:
    sink = Sink(failing=True)
    async with trio.open_nursery() as nursery:
        sessions = Sessions(Reporter("VAULT00", sink, FixedClock()), nursery, always_that_tape)
        fd = tape()
        sessions.released(await opened(sessions, fd), fd)
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]


async def test_a_site_may_have_the_open_refused(tape: Callable[[], int]) -> None:
    sink = Sink(failing=True)
    async with trio.open_nursery() as nursery:
        reporter = Reporter("VAULT00", sink, FixedClock(), refuse=True)
        sessions = Sessions(reporter, nursery, always_that_tape)
        with pytest.raises(OutboxError):
            await opened(sessions, tape())
    assert len(sessions) == 0
    assert sink.signals[-1].cause == "refused"


async def test_a_tape_without_a_name_is_reported_under_its_last(tape: Callable[[], int]) -> None:
    sink = Sink()
    async with trio.open_nursery() as nursery:
        sessions = Sessions(Reporter("VAULT00", sink, FixedClock()), nursery, lambda _fd: None)
        fd = tape()
        sessions.released(await opened(sessions, fd), fd)
    dismounted = sink.signals[-1]
    assert (dismounted.label, dismounted.identity, dismounted.cause) == ("X00001", None, "removed")
