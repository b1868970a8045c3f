"""Many writes in flight to one file, without a task for each."""

from collections.abc import Callable

import outcome
import trio

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.asking import Asker
from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel, Trouble
from copyagent.transfer.target import LinkLost

#: How often those who watch hear of a slow line, in seconds.
_NEWS_S = 0.2


class Lane:
    """One handle of the file, over one channel, and the bytes in flight there."""

    def __init__(self, channel: SftpChannel, handle: bytes) -> None:
        self.channel = channel
        self.handle = handle
        self.in_flight = 0


class Writer:
    """A `copyagent.transfer.target.Writer`; see there.

    *window* is how many bytes may be in flight. Answers are taken in asyncio's callbacks, which
    only take notes; everything else happens in the task of whoever writes.
    """

    def __init__(
        self,
        ask: Asker,
        path: str,
        lanes: list[Lane],
        *,
        window: int,
        patience_s: float,
        acknowledged: Callable[[int, int], None],
    ) -> None:
        self._ask = ask
        self._path = path
        self._lanes = lanes
        self._window = window
        self._patience_s = patience_s
        self._acknowledged = acknowledged
        self._in_flight = 0
        self._trouble: Trouble | None = None
        self._answered: list[tuple[int, int]] = []
        self._parked: trio.lowlevel.Task | None = None
        self._enough = 0
        self._last_s = self._told_s = trio.current_time()

    async def put(self, offset: int, data: bytes | memoryview) -> None:
        if self._in_flight and self._in_flight + len(data) > self._window:
            await self._until(self._window // 2)
        else:
            await trio.lowlevel.checkpoint_if_cancelled()
            await self._take_note()
        self._post(offset, data)

    async def drain(self) -> None:
        """Wait until everything is answered; raises `TargetError`."""
        await self._until(0)

    def _post(self, offset: int, data: bytes | memoryview) -> None:
        lane = min(self._lanes, key=lambda lane: lane.in_flight)
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
