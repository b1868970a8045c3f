"""The runner: what is decided is durable before it is done, and time is a clock that can be faked.

Rules for determinism: the clock stands still and is moved by hand; nothing is waited for but the
runner itself (`settled` asks it until it has nothing more to say).
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from copyagent.access import open_wire
from copyagent.core.book import Book
from copyagent.core.commands import Say
from copyagent.core.engine import Engine
from copyagent.core.events import FeedOpened, SignalSeen, VaultSwept
from copyagent.core.host_clock import printed_second
from copyagent.core.host_events import LinkUp, MountRequested, Printed, Ring, TapeNotice
from copyagent.core.journal import HOLD_S
from copyagent.core.tape import Copying, Failed, Retrying, State
from copyagent.core.time import Moment
from copyagent.ems.dialogue import LinkFailure, LoginPlan
from copyagent.ems.host_writer import HostWriter
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.login_types import LOGIN_TYPES
from copyagent.ems.secret import Secret
from copyagent.runner import Runner
from copyagent.state.store import Changes, Store, open_store
from copyagent.transfer.target import Target, TargetUnreachable
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract import messages, settings
from vtsfs.contract.errors import RequestFailed, StateError
from vtsfs.contract.feed import Hello
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings_ems import Notify
from vtsfs.contract.signals import Identity, Kind, Signal
from vtsfs.runtime.eventlog import EventLog

TAPE = TapeId("VAULT00", "BILL", "X00001")
WALL = 1_700_000_000_000_000_000


def identity_of(path: Path) -> Identity:
    """Return the identity of a file as a signal carries it."""
    seen = path.stat()
    return Identity(seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)


@dataclass
class Bench:
    """A runner over a real store and event log, and a target that is never there."""

    root: Path
    text: str = EXAMPLE
    attempts: list[float] = field(default_factory=list)
    hang: bool = False

    def now(self) -> Moment:
        """The fake clock, and a wall clock that goes with it."""
        return Moment(trio.current_time(), WALL + int(trio.current_time() * 1e9))

    @asynccontextmanager
    async def running(
        self, writers: Mapping[str, HostWriter] | None = None
    ) -> AsyncIterator[Runner]:
        """Run one life of the agent; leaving the block is its sudden death."""
        made = example_settings(self.root, self.text)
        (self.root / "backing" / "BILL").mkdir(parents=True, exist_ok=True)
        store, _ = open_store(self.root / "agent.sqlite", "now")
        known = store.load()
        book = Book(
            made,
            records=known.records,
            mounts=known.mounts,
            acks=known.acks,
            baselines=known.baselines,
            links=known.links,
            journal=known.journal,
            reports=known.reports,
            behind=known.behind,
        )
        log = EventLog(made.paths.event_log, made.system, program="copyagent")
        runner = Runner(Engine(book), store, log, self.connect, self.now)
        runner.writers.update(writers or {})
        try:
            async with trio.open_nursery() as nursery:
                await nursery.start(runner.run)
                yield runner
                nursery.cancel_scope.cancel()
        finally:
            log.close()
            store.close()

    @asynccontextmanager
    async def connect(self, target: settings.Target) -> AsyncIterator[Target]:
        """Refuse, and note when."""
        self.attempts.append(trio.current_time())
        if self.hang:
            await trio.sleep_forever()
        raise TargetUnreachable(f"{target.host} refuses the connection")
        yield  # type: ignore[unreachable]  # what makes this a generator

    def write_tape(self, content: bytes = b"some blocks") -> Identity:
        """Put a tape into the backing storage."""
        path = self.root / "backing" / "BILL" / "X00001"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return identity_of(path)

    async def deliver(self, runner: Runner, identity: Identity) -> None:
        """Let the overlay report a finished session that wrote."""
        made = Signal(
            Kind.DISMOUNTED, "VAULT00", "BILL", "X00001", "boot", 1, 2,
            identity=identity, seq=2, session="s1", wrote=True, bytes_written=identity.size,
        )  # fmt: skip
        await runner.post_durably(SignalSeen("box", made))

    def events(self, message: messages.Message) -> list[str]:
        """Return the event log's lines of one message."""
        path = self.root / "event.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split("|")[2] == f"{message.id:06}"]


@pytest.fixture
def bench(tmp_path: Path, mock_clock: MockClock) -> Bench:
    mock_clock.jump(1000.0)  # a real monotonic clock is never at 0 either
    return Bench(tmp_path)


async def settled(runner: Runner, predicate: Callable[[State], bool]) -> State:
    """Let the runner work until the tape's copy satisfies *predicate*; the clock does not move."""
    state: State | None = None
    for _ in range(100_000):
        await runner.ask(lambda _: None)
        await trio.to_thread.run_sync(int)  # attempts work in threads: let them have their turn
        state = runner.engine.book.records[TAPE].copies["drsite"].state
        if predicate(state):
            return state
    raise AssertionError(f"still {state}")


async def fail_once(bench: Bench, runner: Runner, attempt: int) -> State:
    """Wait until attempt number *attempt* has failed."""

    def done(state: State) -> bool:
        return isinstance(state, Retrying | Failed) and state.failures == attempt

    found = await settled(runner, done)
    assert len(bench.attempts) == attempt
    return found


async def test_twelve_attempts_five_minutes_apart_and_one_failure_message(
    bench: Bench, mock_clock: MockClock, expect_log: ExpectedLogs
) -> None:
    expect_log("Copy of /VAULT00/BILL/X00001 to drsite failed, attempt")
    expect_log("FAILED after 12 attempts", logging.ERROR)
    expect_log("not covered", logging.CRITICAL)  # there is no overlay here
    expect_log("has fallen behind")
    async with bench.running() as runner:
        await bench.deliver(runner, bench.write_tape())
        mock_clock.jump(2.1)  # the settle time
        for attempt in range(1, 12):
            assert isinstance(await fail_once(bench, runner, attempt), Retrying)
            mock_clock.jump(299.9)
            await runner.ask(lambda _: None)
            assert len(bench.attempts) == attempt, "an attempt came early"
            mock_clock.jump(0.2)
        assert isinstance(await fail_once(bench, runner, 12), Failed)
        mock_clock.jump(100 * 300.0)
        await runner.ask(lambda _: None)
    gaps = [b - a for a, b in zip(bench.attempts[:11], bench.attempts[1:12], strict=True)]
    assert gaps == pytest.approx([300.0] * 11, abs=0.2)
    assert len(bench.events(messages.GAVE_UP)) == 1
    assert len(bench.events(messages.ATTEMPT_FAILED)) == 11


async def test_the_ladder_goes_on_where_it_was_after_sudden_deaths(
    bench: Bench, mock_clock: MockClock, expect_log: ExpectedLogs
) -> None:
    expect_log("Copy of /VAULT00/BILL/X00001 to drsite failed, attempt")
    expect_log("FAILED after 12 attempts", logging.ERROR)
    expect_log("not covered", logging.CRITICAL)  # there is no overlay here
    expect_log("has fallen behind")
    async with bench.running() as runner:
        await bench.deliver(runner, bench.write_tape())
        mock_clock.jump(2.1)
        await fail_once(bench, runner, 1)
    for attempt in range(2, 13):
        mock_clock.jump(100.0)  # the agent is down for a while
        async with bench.running() as runner:
            await runner.ask(lambda _: None)
            assert len(bench.attempts) == attempt - 1, "an attempt came early"
            mock_clock.jump(200.1)
            await fail_once(bench, runner, attempt)
    assert len(bench.events(messages.GAVE_UP)) == 1
    assert len(bench.events(messages.FALLEN_BEHIND)) == 1


async def test_hosts_are_told_what_goes_to_the_event_log_and_are_not_waited_for(
    bench: Bench, mock_clock: MockClock, expect_log: ExpectedLogs
) -> None:
    expect_log("failed, attempt 1 of 12")
    expect_log("not covered", logging.CRITICAL)

    async def nobody_answers(_: LinkSettings, __: object) -> LinkFailure:
        await trio.sleep_forever()

    link = LinkSettings("DEV2", "-", LoginPlan(LOGIN_TYPES["TACL"], "u", Secret("s"), ""))
    notify = Notify.model_validate({"events": ["failed", "copied"], "command": ["%text%"]})
    writer = HostWriter(
        link, notify, system="S", dial=nobody_answers, report=lambda *_, **__: None,
        chance=lambda: 0.5,
    )  # fmt: skip
    async with bench.running() as runner, trio.open_nursery() as nursery:
        runner.writers["DEV2"] = writer
        nursery.start_soon(writer.run)
        await bench.deliver(runner, bench.write_tape())
        mock_clock.jump(2.1)
        await fail_once(bench, runner, 1)
        assert writer.waiting == 0, "an attempt is not told"
        mock_clock.jump(40.0)
        await runner.ask(lambda _: None)
        assert writer.waiting == 1, "the vault is not covered"
        nursery.cancel_scope.cancel()


async def test_what_a_crash_kept_from_the_event_log_is_told_to_hosts_too(bench: Bench) -> None:
    store, _ = open_store(bench.root / "agent.sqlite", "now")
    changes = Changes()
    changes.put_message(Say(messages.CAUGHT_UP, {"pool": "p", "target": "t", "took": "1h"}), WALL)
    store.commit(changes)
    store.close()
    told: list[messages.Message] = []

    class Writer(HostWriter):
        def tell(self, message: messages.Message, fields: Mapping[str, object]) -> None:
            told.append(message)

    link = LinkSettings("DEV2", "-", LoginPlan(LOGIN_TYPES["TACL"], "u", Secret("s"), ""))
    notify = Notify.model_validate({"command": ["%text%"]})
    writer = Writer(
        link, notify, system="S", dial=open_wire, report=lambda *_, **__: None,
        chance=lambda: 0.5,
    )  # fmt: skip
    async with bench.running({"DEV2": writer}):
        assert told == [messages.CAUGHT_UP]


async def test_a_killed_attempt_is_made_again_and_not_counted(
    bench: Bench, mock_clock: MockClock, expect_log: ExpectedLogs
) -> None:
    expect_log("failed, attempt 1 of 12")
    bench.hang = True
    async with bench.running() as runner:
        await bench.deliver(runner, bench.write_tape())
        mock_clock.jump(2.1)
        await settled(runner, lambda state: isinstance(state, Copying))
        while not bench.attempts:
            await runner.ask(lambda _: None)
    bench.hang = False
    async with bench.running() as runner:
        state = await settled(runner, lambda state: isinstance(state, Retrying))
    assert isinstance(state, Retrying)
    assert state.failures == 1
    assert len(bench.attempts) == 2


async def test_messages_that_a_crash_kept_back_are_written_at_the_next_start(
    bench: Bench, mock_clock: MockClock
) -> None:
    async with bench.running() as runner:
        changes = Changes()
        changes.put_message(Say(messages.LINK_UP, {"host": "DEV2"}), WALL)
        runner.store.commit(changes)
    async with bench.running() as runner:
        await runner.ask(lambda _: None)
    assert len(bench.events(messages.LINK_UP)) == 1
    async with bench.running() as runner:
        await runner.ask(lambda _: None)
    assert len(bench.events(messages.LINK_UP)) == 1


async def test_what_a_host_said_is_durable_when_its_link_reads_on(bench: Bench) -> None:
    """Together with how far the host was heard: a crash can part neither from the other."""
    bench.text = EXAMPLE.replace(
        "ems: {required: false}",
        "ems: {hosts: {DEV2: {address: dev2, user: VTS.EMS, password_file: ROOT/pass}}}",
    )
    said = [
        MountRequested("DEV2", n, f"X{n:05}", Ring.NO_RING, printed_at=f"06-09-14 22:00:{n:02}",
                       printed=Printed("$ZSVR", "TANDEM.TAPE.G06", 601, f"MOUNT X{n:05} NO RING"))
        for n in range(1, 4)
    ]  # fmt: skip
    async with bench.running() as runner:
        await runner.post(LinkUp("DEV2"))
        await runner.post_heard(said)
    async with bench.running() as runner:
        book = runner.engine.book
        for event in said:
            assert event.volume is not None
            mount = book.mounts.of("DEV2", event.volume)
            assert mount is not None
            assert mount.ring is Ring.NO_RING
        memory = book.links["DEV2"].memory
        assert len(memory.told) == 3
        assert memory.last is not None
        assert memory.last.second == printed_second("06-09-14 22:00:03")


async def test_a_question_that_raises_is_the_askers_problem(
    bench: Bench, mock_clock: MockClock
) -> None:
    def refuse(_: Moment) -> object:
        raise RequestFailed("no")

    async with bench.running() as runner:
        with pytest.raises(RequestFailed, match="no"):
            await runner.ask(refuse)
        assert await runner.ask(lambda _: 5) == 5


async def test_nothing_is_done_before_it_is_recorded(
    bench: Bench, mock_clock: MockClock, expect_log: ExpectedLogs
) -> None:
    """The state's disk is full: no copy starts, and it starts when there is room again."""
    expect_log("disk is full", logging.CRITICAL)
    expect_log("failed, attempt 1 of 12")
    async with bench.running() as runner:
        await bench.deliver(runner, bench.write_tape())
        full = FullOnce(runner.store)
        runner.store = full
        mock_clock.jump(2.1)
        await full.refused.wait()
        assert bench.attempts == []
        while not full.tried_again.is_set():
            # The wait for room begins only when the thread has told of the failure. So many seconds
            # must not pass meanwhile that the vault's silence is noticed, too.
            mock_clock.jump(1.0)
            for _ in range(200):
                await trio.to_thread.run_sync(int)
        while not bench.attempts:
            await trio.to_thread.run_sync(int)
        await fail_once(bench, runner, 1)


class FullOnce(Store):
    """A store whose first commit finds no room."""

    def __init__(self, real: Store) -> None:
        self._real = real
        self._token = trio.lowlevel.current_trio_token()
        self.refused = trio.Event()
        self.tried_again = trio.Event()
        super().__init__(real._db)

    def commit(self, changes: Changes) -> list[int]:
        """Fail once, in the way SQLite's errors arrive."""
        if not self.refused.is_set():
            trio.from_thread.run_sync(self.refused.set, trio_token=self._token)
            raise StateError("the disk is full")
        trio.from_thread.run_sync(self.tried_again.set, trio_token=self._token)
        return self._real.commit(changes)


async def test_a_sweep_runs_in_the_backing_and_reaches_the_engine(
    bench: Bench, expect_log: ExpectedLogs
) -> None:
    expect_log("were there before AutoCopy")
    bench.write_tape()
    async with bench.running() as runner:
        await runner.post_durably(FeedOpened(Hello("VAULT00", "box", 0, 0, False, "0.1.0")))
        while not bench.events(messages.SWEPT):
            await runner.ask(lambda _: None)
        state = await settled(runner, lambda _: True)
    assert state.kind == "unsynced"


async def test_a_state_without_news_is_not_written(
    bench: Bench, mock_clock: MockClock, expect_log: ExpectedLogs
) -> None:
    expect_log("were there before AutoCopy")
    assert mock_clock.rate == 0, "no feed is tried while we count"
    async with bench.running() as runner:
        await runner.ask(lambda _: None)
        counting = Counting(runner.store)
        runner.store = counting
        for _ in range(20):
            await runner.ask(lambda _: None)
        assert counting.commits == 0
        swept = VaultSwept("VAULT00", 0.0, {TAPE: bench.write_tape()})
        await runner.post_durably(swept)
        assert counting.commits == 2, "one for the decision, one for its messages"


class Counting(Store):
    """A store that counts its commits."""

    def __init__(self, real: Store) -> None:
        self._real = real
        self.commits = 0
        super().__init__(real._db)

    def commit(self, changes: Changes) -> list[int]:
        """Count, and commit."""
        self.commits += 1
        return self._real.commit(changes)


# ---- what was heard ------------------------------------------------------------------------------

WITH_HOST = EXAMPLE.replace(
    "ems: {required: false}",
    "ems: {hosts: {DEV2: {address: dev2, user: VTS.EMS, password_file: ROOT/pass}}}",
)
NOTICE = TapeNotice("DEV2", "WARNING", 904, "DENSITY CHANGED")


def kept(root: Path) -> list[str]:
    """Return the kinds of what is in the journal of the state, and close it again."""
    store, _ = open_store(root / "agent.sqlite", "now")
    entries = store.load().journal.entries
    store.close()
    return [entry.kind for entry in entries]


async def test_what_has_no_effect_is_saved_a_little_later(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    bench = Bench(tmp_path, WITH_HOST)
    async with bench.running() as runner:
        await runner.ask(lambda _: None)
        counting = Counting(runner.store)
        runner.store = counting
        await runner.post(NOTICE)
        mock_clock.jump(HOLD_S / 2)
        await runner.ask(lambda _: None)
        assert counting.commits == 0
        mock_clock.jump(HOLD_S)
        await runner.ask(lambda _: None)
        assert counting.commits == 1
    assert kept(tmp_path) == ["tape notice"]


async def test_at_the_end_nothing_that_was_heard_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, WITH_HOST)
    async with bench.running() as runner:
        await runner.post(NOTICE)
        await runner.ask(lambda _: None)
        runner.save_news()
    assert kept(tmp_path) == ["tape notice"]
