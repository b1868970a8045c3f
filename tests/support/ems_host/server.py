"""The scripted host itself: listens on loopback and prints events to whoever watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio

from tests.support.ems_host.layout import Layout
from tests.support.ems_host.terminal import HostOptions, HungUp, Terminal

__all__ = ["EmsHost", "HostOptions", "open_ems_host"]


def counting_clock() -> Callable[[], str]:
    """Make a host clock that stands at 06-09-14 22:00:00 and goes on a second per event."""
    second = 0

    def printed_at() -> str:
        nonlocal second
        hours, rest = divmod(second, 3600)
        second += 1
        return f"06-09-14 {(22 + hours) % 24:02d}:{rest // 60:02d}:{rest % 60:02d}"

    return printed_at


class EmsHost:
    """A NonStop host as far as its terminals go.

    The methods that print do so on every terminal on which a distributor runs at that moment;
    an event that nobody watches is lost, as with a distributor started without TIME.
    """

    def __init__(self, options: HostOptions, layout: Layout, clock: Callable[[], str]) -> None:
        self.options = options
        self.layout = layout
        self.port = 0
        self.terminals: list[Terminal] = []
        self.connections = 0
        self.history: list[Terminal] = []
        self._clock = clock
        self._next_request = 42
        self._changed = trio.Condition()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection (for `trio.serve_listeners`)."""
        terminal = Terminal(stream, self.options, self._notify)
        self.connections += 1
        self.terminals.append(terminal)
        self.history.append(terminal)
        await self._notify()
        try:
            await terminal.serve()
        except HungUp:
            pass
        finally:
            terminal.prints = False
            self.terminals.remove(terminal)
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(stream)
                await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    @property
    def printing(self) -> int:
        """Count the terminals on which a distributor runs."""
        return sum(terminal.prints for terminal in self.terminals)

    async def wait_printing(self, count: int = 1, *, within: float = 10.0) -> None:
        """Wait until exactly *count* terminals watch; TooSlowError after *within* seconds."""
        await self.wait_until(lambda: self.printing == count, within=within)

    async def wait_until(self, holds: Callable[[], bool], *, within: float = 10.0) -> None:
        """Wait until *holds* is true, looked at whenever a terminal came, went or changed."""
        with trio.fail_after(within):
            async with self._changed:
                while not holds():
                    await self._changed.wait()

    async def emit(
        self, number: int, text: str, *, layout: Layout | None = None, critical: bool = False
    ) -> None:
        """Print one event in the host's layout, or in another (another subsystem's)."""
        chosen = layout or self.layout
        lines = chosen.lines(self._clock(), number, text, critical=critical)
        await self.raw("".join(f"{line}\r\n" for line in lines))

    async def raw(self, text: str) -> None:
        """Send *text* as it is."""
        for terminal in [found for found in self.terminals if found.prints]:
            try:
                await terminal.send(text)
            except HungUp:
                await trio.aclose_forcefully(terminal.stream)

    async def drop(self) -> None:
        """Cut every connection."""
        for terminal in list(self.terminals):
            await trio.aclose_forcefully(terminal.stream)

    async def mount_request(
        self,
        volume: str | None,
        *,
        ring: bool,
        request: int | None = None,
        drive: str = "",
        comment: str = "",
    ) -> int:
        """Ask for a mount, *ring* for with ring; a scratch tape where *volume* is None."""
        if request is None:
            request = self._next_request
            self._next_request = (self._next_request + 1) % 10000
        number = 601 if not ring else 600 if volume else 602
        words = [f"$ZSVR: {request:04d} MOUNT", volume or "SCRATCH TAPE"]
        words += [f"ON {drive}"] if drive else []
        words += ["WITH RING" if ring else "NO RING"]
        words += [comment] if comment else []
        await self.emit(number, " ".join(words))
        return request

    async def volume_mounted(self, request: int, volume: str) -> None:
        """Say that *request* was met."""
        await self.emit(648, f"$ZSVR: {request:04d} VOLUME {volume} MOUNTED")

    async def request_rejected(self, request: int, volume: str) -> None:
        """Say that the operator rejected *request*."""
        text = f"$ZSVR: {request:04d} REQUEST FOR VOLUME {volume} REJECTED BY OPERATOR"
        await self.emit(651, text)

    async def tape_opened(self, volume: str, drive: str) -> None:
        """Say that a job opened the tape."""
        await self.emit(638, f"$ZSVR: STATUS 1504 - {volume} TAPE OPENED ON {drive}")

    async def tape_dismounted(self, volume: str, drive: str) -> None:
        """Say that the host has done with the tape."""
        await self.emit(659, f"STATUS 1512 - {volume} TAPE DISMOUNTED FROM DRIVE {drive}")

    async def volume_substituted(self, wanted: str, used: str) -> None:
        """Say that another tape is used than was asked for."""
        await self.emit(703, f"STATUS 1518 - TAPE {used} USED INSTEAD OF TAPE {wanted}")

    async def takeover(self) -> None:
        """Say that the tape server's backup took over, so that pending requests are lost."""
        await self.emit(702, "STATUS 1517 - TAKEOVER BY BACKUP $ZSVR PROCESS STATUS: 0")


@asynccontextmanager
async def open_ems_host(
    options: HostOptions | None = None,
    layout: Layout | None = None,
    *,
    port: int = 0,
    clock: Callable[[], str] | None = None,
) -> AsyncIterator[EmsHost]:
    """Run a host on 127.0.0.1 for as long as the block lasts; its port is `EmsHost.port`."""
    host = EmsHost(options or HostOptions(), layout or Layout(), clock or counting_clock())
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(port, host="127.0.0.1")
        host.port = int(listeners[0].socket.getsockname()[1])
        nursery.start_soon(trio.serve_listeners, host.serve, listeners)
        try:
            yield host
        finally:
            nursery.cancel_scope.cancel()
