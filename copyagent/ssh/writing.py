"""Many writes in flight to one file, without a task for each."""

from collections.abc import Awaitable, Callable
from functools import partial
from types import TracebackType

import outcome
import trio

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.asking import Asker
from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel, Trouble
from copyagent.transfer.target import LinkLost, TargetError

#: What OpenSSH's server takes on a channel before it acknowledges, in bytes (channels.h).
_CHANNEL_WINDOW = 2 * 1024 * 1024

#: A server process for each; sshd allows 10 sessions on a connection (sshd_config(5), MaxSessions).
_MOST_LANES = 6

#: Below this round trip, in seconds, this is more than a line of 10 Gbit/s holds, and so much again.
_NEAR_S = 0.0005
_NEAR_WINDOW = 1536 * 1024

#: Below this round trip, in seconds, one channel carries more than a gigabit per second.
_SHORT_S = 0.01

#: How many round trips are watched before more lanes are thought of.
_LOOK_AFTER = 3

#: How often those who watch hear of a slow line, in seconds.
_NEWS_S = 0.2


class Lane:
    """One handle of the file, over one channel, and the bytes in flight there."""

    def __init__(self, channel: SftpChannel, handle: bytes) -> None:
        self.channel = channel
        self.handle = handle
        self.in_flight = 0


class Lanes:
    """The handles of one file: one, and more as soon as the line turns out to need them.

    A server takes 2 MiB on a channel before it acknowledges, which is less than a long line holds.
    *add* opens the file once more over a channel of its own; None where the server allows no more.
    """

    def __init__(self, first: Lane, add: Callable[[], Awaitable[Lane | None]]) -> None:
        self.each = [first]
        self._add = add
        self._most = _MOST_LANES
        self._growing = False
        self._since_s = trio.current_time()
        self._written = 0

    def window(self, round_trip_s: float) -> int:
        """Say how many bytes may be in flight: what the server takes, and as much again to follow.

        A server keeps what it could not write yet in a buffer that it moves and clears as a whole:
        the less lies there, the quicker it is. So on a line that holds little, less is sent ahead.
        """
        each = _NEAR_WINDOW if round_trip_s < _NEAR_S else 2 * _CHANNEL_WINDOW
        return each * len(self.each)

    def least_busy(self) -> Lane:
        """Pick the lane for the next write."""
        return min(self.each, key=lambda lane: lane.in_flight)

    def written(self, size: int) -> None:
        """Note that the server has acknowledged *size* bytes."""
        self._written += size

    def consider(self, round_trip_s: float, nursery: trio.Nursery) -> None:
        """Double the lanes if what a round trip carried fills more than half of those there are."""
        if round_trip_s < _SHORT_S or self._growing or len(self.each) >= self._most:
            return
        took_s = trio.current_time() - self._since_s
        if took_s < _LOOK_AFTER * round_trip_s:
            return
        carried = self._written / took_s * round_trip_s
        self._since_s, self._written = trio.current_time(), 0
        if carried >= _CHANNEL_WINDOW * len(self.each) / 2:
            self._growing = True
            nursery.start_soon(self._grow)

    async def _grow(self) -> None:
        async with trio.open_nursery() as nursery:
            for _ in range(min(len(self.each), self._most - len(self.each))):
                nursery.start_soon(self._add_one)
        self._since_s, self._written = trio.current_time(), 0
        self._growing = False

    async def _add_one(self) -> None:
        try:
            lane = await self._add()
        except TargetError:
            # Whoever writes hears of it by the writes themselves.
            lane = None
        if lane is None:
            self._most = len(self.each)
        else:
            self.each.append(lane)


class Writer:
    """A `copyagent.transfer.target.Writer`; see there.

    Answers are taken in asyncio's callbacks, which only take notes; everything else happens in the
    task of whoever writes.
    """

    def __init__(
        self,
        ask: Asker,
        path: str,
        lanes: Lanes,
        nursery: trio.Nursery,
        *,
        patience_s: float,
        acknowledged: Callable[[int, int], None],
    ) -> None:
        self._ask = ask
        self._path = path
        self._lanes = lanes
        self._nursery = nursery
        self._patience_s = patience_s
        self._acknowledged = acknowledged
        self._in_flight = 0
        self._trouble: Trouble | None = None
        self._answered: list[tuple[int, int]] = []
        self._parked: trio.lowlevel.Task | None = None
        self._enough = 0
        self._last_s = self._told_s = trio.current_time()

    async def put(self, offset: int, data: bytes | memoryview) -> None:
        round_trip_s = self._ask.round_trip_s
        window = self._lanes.window(round_trip_s)
        if self._in_flight and self._in_flight + len(data) > window:
            self._lanes.consider(round_trip_s, self._nursery)
            await self._until(window // 2)
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            await self._take_note()
        self._post(offset, data)

    async def drain(self) -> None:
        """Wait until everything is answered; raises `TargetError`."""
        await self._until(0)

    def _post(self, offset: int, data: bytes | memoryview) -> None:
        lane = self._lanes.least_busy()
        size = len(data)
        if not self._in_flight:
            self._last_s = trio.current_time()
        self._in_flight += size
        lane.in_flight += size

        def answered(packet: bytes | None, lost: ChannelLost | None) -> None:
            lane.in_flight -= size
            self._note(offset, size, packet, lost)

        lane.channel.post(packets.write(lane.handle, offset, data), answered)

    def _note(self, offset: int, size: int, packet: bytes | None, lost: ChannelLost | None) -> None:
        self._in_flight -= size
        self._last_s = trio.current_time()
        trouble: Trouble | None = lost
        if packet is not None:
            try:
                packets.done(packets.answer(packet))
                self._answered.append((offset, offset + size))
                self._lanes.written(size)
            except (packets.Refusal, packets.BadAnswer) as error:
                trouble = error
        self._trouble = self._trouble or trouble
        news = self._last_s - self._told_s > _NEWS_S
        if self._parked and (self._in_flight <= self._enough or self._trouble or news):
            task, self._parked = self._parked, None
            trio.lowlevel.reschedule(task, outcome.Value(None))

    async def _until(self, enough: int) -> None:
        self._enough = enough
        await self._take_note()
        while self._in_flight > enough:
            until = self._last_s + self._patience_s
            with trio.move_on_at(until):
                await self._park()
            if self._in_flight > enough and trio.current_time() >= self._last_s + self._patience_s:
                raise LinkLost(f"no request was answered for {self._patience_s:g} s")
            await self._take_note()

    async def _park(self) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            self._parked = None
            return trio.lowlevel.Abort.SUCCEEDED

        self._parked = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(abort)

    async def _take_note(self) -> None:
        """Tell what was acknowledged, and raise what went wrong."""
        answered, self._answered = self._answered, []
        for start, end in answered:
            self._acknowledged(start, end)
        self._told_s = trio.current_time()
        if self._trouble is not None:
            raise await self._ask.failure(f"writing {self._path}", self._trouble, self._path)


class Writing:
    """The block in which a `Writer` writes."""

    def __init__(
        self,
        ask: Asker,
        path: str,
        lanes: Lanes,
        *,
        patience_s: float,
        acknowledged: Callable[[int, int], None],
    ) -> None:
        self._make = partial(
            Writer, ask, path, lanes, patience_s=patience_s, acknowledged=acknowledged
        )
        self._growth = trio.open_nursery()

    async def __aenter__(self) -> Writer:
        self._nursery = await self._growth.__aenter__()
        self._writer = self._make(nursery=self._nursery)
        return self._writer

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Wait for the answers; what the block raised passes by itself, in no group of a nursery."""
        failed = error is not None
        try:
            if not failed:
                await self._writer.drain()
        except BaseException:
            failed = True
            raise
        finally:
            if failed:
                self._nursery.cancel_scope.cancel()
            await self._growth.__aexit__(None, None, None)
