"""A file at the target, opened over SFTP."""

import os
import stat
from collections.abc import Awaitable, Callable
from functools import partial

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.asking import Asker, Step
from copyagent.ssh.sftp_names import entry_of
from copyagent.ssh.writing import Lane, Lanes, Writing
from copyagent.transfer.target import TargetEntry, TargetError
from copyagent.transfer.together import together


class SftpFile:
    """A `TargetFile`: one handle of the server's, and more while much is written over a long line.

    *add* opens the file once more over another channel. *writable* is how it was opened.
    """

    def __init__(
        self,
        ask: Asker,
        path: str,
        handle: bytes,
        add: Callable[[], Awaitable[Lane | None]],
        *,
        writable: bool,
    ) -> None:
        self.path = path
        self.handle = handle
        self._ask = ask
        self._lanes = Lanes(Lane(ask.channel, handle), add)
        self._writable = writable
        self._unsynced = 0

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        self._unsynced += len(data)
        request = packets.write(self.handle, offset, data)
        await self._ask.unbounded(f"writing {self.path}", request, packets.done, near=self.path)

    def writing(self, *, patience_s: float, acknowledged: Callable[[int, int], None]) -> Writing:
        def note(start: int, end: int) -> None:
            self._unsynced += end - start
            acknowledged(start, end)

        return Writing(self._ask, self.path, self._lanes, patience_s=patience_s, acknowledged=note)

    async def read(self, offset: int, size: int) -> bytes:
        request = packets.read(self.handle, offset, size)
        doing = f"reading {self.path}"
        return await self._ask.unbounded(doing, request, packets.data, near=self.path)

    async def size(self) -> int:
        doing = f"looking at {self.path}"
        request = packets.fstat(self.handle)
        found = await self._ask(doing, request, packets.attributes, near=self.path)
        return found.size or 0

    async def set_size(self, size: int) -> None:
        request = packets.set_size(self.handle, size)
        doing = f"setting the size of {self.path}"
        await self._ask(doing, request, packets.done, near=self.path)

    async def set_attributes(self, *, mode: int, atime: int, mtime: int) -> None:
        times = _seconds(atime), _seconds(mtime)
        request = packets.set_mode_and_times(self.handle, stat.S_IMODE(mode), *times)
        doing = f"setting mode and times of {self.path}"
        await self._ask(doing, request, packets.done, near=self.path)

    async def sync(self) -> None:
        patience_s = self._ask.patience_for(self._unsynced)
        request = packets.fsync(self.handle)
        doing = f"making {self.path} durable"
        await self._ask(doing, request, packets.done, near=self.path, patience_s=patience_s)
        self._unsynced = 0

    def syncing(self) -> Step:
        """Ask to make it durable, together with other requests."""
        doing = f"making {self.path} durable"
        return Step(doing, packets.fsync(self.handle), packets.done, self.path)

    async def finish(
        self, content: bytes = b"", at: int = 0, *, attributes: tuple[int, int, int] | None = None
    ) -> TargetEntry | None:
        raw = os.fsencode(self.path)
        looking = Step(f"looking at {self.path}", packets.lstat(raw), packets.attributes, self.path)
        steps = [self.syncing(), self._closing(self.handle), looking]
        if attributes is not None:
            mode, atime, mtime = attributes
            times = _seconds(atime), _seconds(mtime)
            request = packets.set_mode_and_times(self.handle, stat.S_IMODE(mode), *times)
            doing = f"setting mode and times of {self.path}"
            steps.insert(0, Step(doing, request, packets.done, self.path))
        if content:
            request = packets.write(self.handle, at, content)
            steps.insert(0, Step(f"writing {self.path}", request, packets.done, self.path))
        patience_s = self._ask.patience_for(self._unsynced + len(content))

        seen: list[TargetEntry] = []

        async def here() -> None:
            *done, looked = await self._ask.in_order(*steps, patience_s=patience_s)
            for found in done:
                if isinstance(found, TargetError):
                    raise found
            if isinstance(looked, packets.Attributes):
                seen.append(entry_of(looked))

        calls: list[Callable[[], Awaitable[None]]] = [here]
        calls += [partial(self._close, lane) for lane in self._lanes.each[1:]]
        await together(calls)
        self._unsynced = 0
        return seen[0] if seen else None

    def finishing(self, content: bytes, block: int) -> list[Step]:
        """Write *content* in requests of at most *block* bytes, make it durable, close; likewise."""
        doing = f"writing {self.path}"
        writes = [
            Step(
                doing,
                packets.write(self.handle, at, content[at : at + block]),
                packets.done,
                self.path,
            )
            for at in range(0, len(content), block)
        ]
        return [*writes, self.syncing(), self._closing(self.handle)]

    def _closing(self, handle: bytes) -> Step:
        return Step(f"closing {self.path}", packets.close(handle), packets.done, self.path)

    async def close(self) -> None:
        if not self._writable:
            self._ask.channel.post_idly(packets.close(self.handle))
            return
        await together(partial(self._close, lane) for lane in self._lanes.each)

    async def _close(self, lane: Lane) -> None:
        ask = self._ask if lane.channel is self._ask.channel else self._ask.over(lane.channel)
        request = packets.close(lane.handle)
        await ask(f"closing {self.path}", request, packets.done, near=self.path)

    def grew_by(self, size: int) -> None:
        """Note that *size* bytes were written by other means: the next `sync` takes longer."""
        self._unsynced += size


def _seconds(time: int) -> int:
    """Fit a time into SFTP's 32 bits; a tape dated 2128 is copied, with the last date there is."""
    return min(max(time, 0), 0xFFFFFFFF)
