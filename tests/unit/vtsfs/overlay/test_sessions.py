"""Write sessions over real files and a sink in memory."""

import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.expected_logs import ExpectedLogs
from tests.support.signal_sink import TAPE, FixedClock, Sink
from vtsfs.contract.errors import OutboxError
from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.notes import TapeClosed, TapeReopened
from vtsfs.contract.signals import Kind
from vtsfs.overlay import store
from vtsfs.overlay.links import Links
from vtsfs.overlay.reports import Reporter
from vtsfs.overlay.sessions import QUIET_S, Sessions, WriteSession
from vtsfs.overlay.usage import Settling


@pytest.fixture
def tape(tmp_path: Path) -> Callable[[], int]:
    path = tmp_path / "only-here"
    path.write_bytes(b"content")
    return lambda: os.open(path, os.O_RDWR)


def always_that_tape(fd: int) -> TapeId | None:
    return TAPE


async def opened(sessions: Sessions, fd: int) -> WriteSession:
    return await sessions.opened(TAPE, fd, created=False, since_ns=0, pid=1)


@contextmanager
def scratch_links() -> Iterator[Links]:
    """Give a look-up of names in an empty vault."""
    with tempfile.TemporaryDirectory() as top:
        root = os.open(top, os.O_PATH)
        try:
            yield Links(root, "VAULT00", NamePatterns())
        finally:
            os.close(root)


@asynccontextmanager
async def sessions_with(
    *,
    settle_s: float = 0.0,
    sink: Sink | None = None,
    tape_of: Callable[[int], TapeId | None] = always_that_tape,
    refuse: bool = False,
    most_settling: int = 10,
    close: Callable[[int], None] = os.close,
    links: Links | None = None,
) -> AsyncIterator[tuple[Sessions, Sink]]:
    """Give sessions, and the sink that has every signal when the block has ended."""
    sink = Sink() if sink is None else sink
    async with trio.open_nursery() as nursery:
        reporter = Reporter("VAULT00", sink, FixedClock(), refuse=refuse)
        with scratch_links() as nowhere:
            yield (
                Sessions(
                    reporter,
                    nursery,
                    tape_of,
                    links or nowhere,
                    settle_s=settle_s,
                    most_settling=most_settling,
                    close=close,
                ),
                sink,
            )
    assert not open_descriptors_of("only-here")


def open_descriptors_of(name: str) -> list[str]:
    """Say what we still have open of a file that is called so."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            path = os.readlink(f"/proc/self/fd/{number}")
            if Path(path.removesuffix(" (deleted)")).name == name:
                found.append(path)
    return found


async def told(sink: Sink, count: int) -> None:
    """Wait until so many signals are there; fsync is done in a thread, in real time."""
    with trio.fail_after(10):
        while len(sink.signals) < count:
            await trio.lowlevel.checkpoint()


async def synced(session: WriteSession, clock: trio.testing.MockClock) -> None:
    """Let the time pass until the fsync after the last release, and wait until that is done."""
    clock.jump(QUIET_S)
    with trio.fail_after(10):
        while not (isinstance(session.usage.state, Settling) and session.usage.state.synced):
            await trio.lowlevel.checkpoint()


async def test_a_reopen_during_the_fsync_joins(tape: Callable[[], int]) -> None:
    async with sessions_with() as (sessions, sink):
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


async def test_a_session_ends_when_the_tape_was_closed_for_the_settle_time(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock
) -> None:
    async with sessions_with(settle_s=2.0) as (sessions, sink):
        for _ in range(5):
            fd = tape()
            session = await opened(sessions, fd)
            sessions.released(session, fd)
            await synced(session, mock_clock)
            mock_clock.jump(1.9 - QUIET_S)
            await trio.testing.wait_all_tasks_blocked()
            assert session.settling
        assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED]
        mock_clock.jump(0.1)
        await told(sink, 2)
    assert sink.signals[1].quiet_ns == 2_000_000_000
    assert sink.signals[1].synced


async def test_what_is_written_after_an_fsync_is_synced_before_the_end(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock
) -> None:
    async with sessions_with(settle_s=2.0) as (sessions, sink):
        fd = tape()
        session = await opened(sessions, fd)
        sessions.released(session, fd)
        await synced(session, mock_clock)
        sessions.changed_by_path(session)
        state = session.usage.state
        assert isinstance(state, Settling)
        assert not state.synced
        await synced(session, mock_clock)
        mock_clock.jump(2.0)
    assert sink.signals[-1].kind is Kind.DISMOUNTED


async def test_how_a_tape_was_left_is_noted_until_its_end_is_told(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock
) -> None:
    async with sessions_with(settle_s=2.0) as (sessions, sink):
        for count in (1, 2):
            fd = tape()
            session = await opened(sessions, fd)
            # Taken back before anything can be written.
            assert sink.notes[-1:] == [TapeReopened(session.id)] * (count - 1)
            noted = len(sink.notes)
            session.mark(0, 3)
            session.bytes_written += os.pwrite(fd, b"new", 0)
            sessions.released(session, fd)
            await trio.testing.wait_all_tasks_blocked()
            state = session.usage.state
            assert isinstance(state, Settling)
            assert not state.synced
            assert len(sink.notes) == noted, "an engine that comes back at once costs nothing"
            await synced(session, mock_clock)
            await trio.testing.wait_all_tasks_blocked()
            found = os.stat(fd)
            left = TapeClosed(session.id, store.identity_of(found), True, 3 * count)
            assert sink.notes[-1] == left
            mock_clock.jump(1.0)
            await trio.testing.wait_all_tasks_blocked()
            assert len(sink.notes) == noted + 1
        mock_clock.jump(2.0)
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]


async def test_no_more_opens_can_come_so_nothing_is_waited_for(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock
) -> None:
    async with sessions_with(settle_s=3600.0) as (sessions, sink):
        still_open, closed = tape(), tape()
        session = await opened(sessions, still_open)
        assert await opened(sessions, closed) is session
        sessions.released(session, closed)
        sessions.hurry()
        sessions.released(session, still_open)
        await told(sink, 2)
        # And one that had settled for a while.
    async with sessions_with(settle_s=3600.0) as (sessions, sink):
        fd = tape()
        session = await opened(sessions, fd)
        sessions.released(session, fd)
        await synced(session, mock_clock)
        sessions.hurry()
        assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]


async def test_a_tape_that_loses_its_name_while_settling_is_told_at_once(
    tape: Callable[[], int],
) -> None:
    names: dict[str, TapeId | None] = {"now": TAPE}
    async with sessions_with(settle_s=3600.0, tape_of=lambda _: names["now"]) as (sessions, sink):
        fd = tape()
        session = await opened(sessions, fd)
        sessions.name_gone(*session.key)
        sessions.released(session, fd)
        sessions.name_gone(*session.key)
        assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED]
        names["now"] = None
        sessions.name_gone(*session.key)
        assert sink.signals[1].cause == "removed"
        assert len(sessions) == 0
        assert sessions.of_file(*session.key) is None


async def test_of_many_tapes_closed_together_the_first_do_not_wait(tmp_path: Path) -> None:
    async with sessions_with(settle_s=3600.0, most_settling=3) as (sessions, sink):
        made = []
        for number in range(5):
            fd = os.open(tmp_path / str(number), os.O_RDWR | os.O_CREAT)
            made.append(await opened(sessions, fd))
            sessions.released(made[-1], fd)
        await told(sink, 7)
        ended = [s.session for s in sink.signals if s.kind is Kind.DISMOUNTED]
        assert sorted(ended) == sorted(session.id for session in made[:2])
        assert [session.settling for session in made] == [False, False, True, True, True]
        sessions.hurry()


async def test_an_engine_that_comes_back_a_thousand_times_costs_two_descriptors(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock
) -> None:
    async with sessions_with(settle_s=2.0) as (sessions, sink):
        for _ in range(1000):
            fd = tape()
            session = await opened(sessions, fd)
            sessions.released(session, fd)
            assert len(session.left) <= 2
        mock_clock.autojump_threshold = 0.01
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]


async def test_what_is_being_synced_is_not_closed(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock
) -> None:
    closed: list[int] = []

    def close(fd: int) -> None:
        closed.append(fd)
        os.close(fd)

    async with sessions_with(settle_s=2.0, close=close) as (sessions, _):
        fd = tape()
        session = await opened(sessions, fd)
        sessions.released(session, fd)
        await synced(session, mock_clock)
        for _ in range(100):
            second = tape()
            await opened(sessions, second)
            sessions.released(session, second)
            mock_clock.jump(QUIET_S)
            await trio.testing.wait_all_tasks_blocked()
            state = session.usage.state
            assert isinstance(state, Settling)
            if not state.synced:
                break
        else:
            pytest.fail("no fsync was seen under way")
        third = tape()
        await opened(sessions, third)
        sessions.released(session, third)
        assert second not in closed
        sessions.hurry()


async def test_after_a_failed_fsync_the_next_one_proves_nothing(
    tape: Callable[[], int], mock_clock: trio.testing.MockClock, expect_log: ExpectedLogs
) -> None:
    expect_log("could not be made durable", logging.ERROR)
    async with sessions_with(settle_s=2.0) as (sessions, sink):
        fd = tape()
        # Of a file that was opened by O_PATH, fsync(2) says EBADF.
        place = os.open(f"/proc/self/fd/{fd}", os.O_PATH)
        session = await opened(sessions, place)
        sessions.released(session, place)
        await synced(session, mock_clock)
        await opened(sessions, fd)
        sessions.released(session, fd)
        await synced(session, mock_clock)
        mock_clock.jump(2.0)
    assert not sink.signals[-1].synced


async def test_a_session_ends_even_if_further_names_cannot_be_looked_for(
    tape: Callable[[], int], tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("further names of /VAULT00/BILL/X00001 could not be looked for", logging.ERROR)
    os.link(tmp_path / "only-here", tmp_path / "and-here")
    root = tape()
    links = Links(root, "VAULT00", NamePatterns())
    async with sessions_with(links=links) as (sessions, sink):
        fd = tape()
        sessions.released(await opened(sessions, fd), fd)
        await told(sink, 2)
        os.close(root)
    assert sink.signals[-1].synced
    assert len(sessions) == 0


async def test_opens_together_begin_one_session(tape: Callable[[], int]) -> None:
    async with sessions_with() as (sessions, sink):

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
    async with sessions_with(sink=Sink(failing=True)) as (sessions, sink):
        fd = tape()
        sessions.released(await opened(sessions, fd), fd)
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]


async def test_a_site_may_have_the_open_refused(tape: Callable[[], int]) -> None:
    failing = Sink(failing=True)
    async with sessions_with(settle_s=3600.0, sink=failing, refuse=True) as (sessions, sink):
        with pytest.raises(OutboxError):
            await opened(sessions, tape())
        assert len(sessions) == 0, "the next open tries the outbox anew"
    assert sink.signals[-1].cause == "refused"


async def test_a_tape_without_a_name_is_reported_under_its_last(tape: Callable[[], int]) -> None:
    async with sessions_with(tape_of=lambda _: None) as (sessions, sink):
        fd = tape()
        sessions.released(await opened(sessions, fd), fd)
    dismounted = sink.signals[-1]
    assert (dismounted.label, dismounted.identity, dismounted.cause) == ("X00001", None, "removed")


async def test_a_handle_from_before_the_session_makes_its_extents_unknown(
    tape: Callable[[], int],
) -> None:
    async with sessions_with() as (sessions, sink):
        fd, second = tape(), tape()
        session, mounted = sessions.adopt(TAPE, fd, 0)
        assert mounted is not None
        assert (mounted.kind, mounted.cause) == (Kind.MOUNTED, "rename")
        assert sessions.adopt(TAPE, second, 0) == (session, None)
        await sink.commit([mounted])
        session.begun.set()
        joined = tape()
        assert await opened(sessions, joined) is session
        session.mark(0, 3)
        for each in (fd, second, joined):
            sessions.released(session, each)
    mounted, dismounted = sink.signals
    assert mounted.opened == dismounted.opened
    assert (dismounted.wrote, dismounted.extents) == (True, None)


async def test_who_opens_an_adopted_tape_waits_until_that_is_durable(
    tape: Callable[[], int],
) -> None:
    async with sessions_with() as (sessions, _), trio.open_nursery() as nursery:
        session, _mounted = sessions.adopt(TAPE, fd := tape(), 0)
        second = tape()
        answered: list[WriteSession] = []

        async def open_second() -> None:
            answered.append(await opened(sessions, second))

        nursery.start_soon(open_second)
        await trio.testing.wait_all_tasks_blocked()
        assert answered == []
        session.begun.set()
        await trio.testing.wait_all_tasks_blocked()
        assert answered == [session]
        sessions.released(session, fd)
        sessions.released(session, second)
