"""The scripted host itself: listens on loopback and prints events to whoever watches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import trio

from tests.support.ems_host.clock import PRINTED, HostClock
from tests.support.ems_host.event_log import EventLog
from tests.support.ems_host.layout import Layout
from tests.support.ems_host.options import HostOptions
from tests.support.ems_host.tacl import Session
from tests.support.ems_host.terminal import HungUp, Terminal

__all__ = ["EmsHost", "HostOptions", "open_ems_host"]

EMS = "TANDEM.EMS.G06"
_WITHOUT_TEXT = range(648, 654)
"""Events that only the host's template file words (OSM events manual 520372-020, chapter 9)."""


class EmsHost:
    """A NonStop host as far as its terminals go.

    What happens is logged, and printed on every terminal on which a distributor runs at that
    moment; one that is started later sees it only if it is started with TIME. *port* is Telnet's,
    *shell_port* the one that an SSH server in front of the host connects to.
    """

    def __init__(self, options: HostOptions, layout: Layout, clock: HostClock) -> None:
        self.options = options
        self.layout = layout
        self.clock = clock
        self.port = 0
        self.shell_port = 0
        self.terminals: list[Terminal] = []
        self.connections = 0
        self.history: list[Terminal] = []
        self.log = EventLog()
        self.posted: list[str] = []
        self.next_request = 42
        self.late = 0.0
        """Seconds by which the next events are older than the host's clock."""
        self.file: Path | None = None
        """Where events are printed as well, if anywhere."""
        self._reversed: list[tuple[datetime, str]] | None = None
        self._reversing = 0
        self._changed = trio.Condition()

    async def serve(self, stream: trio.SocketStream, *, is_telnet: bool = True) -> None:
        """Serve one connection (for `trio.serve_listeners`)."""
        terminal = Terminal(stream, self.options, self.connections, is_telnet)
        self.connections += 1
        self.terminals.append(terminal)
        self.history.append(terminal)
        await self._notify()
        try:
            await Session(terminal, self).serve()
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

    # ---- what a session asks for -----------------------------------------------------------------

    def now(self) -> datetime:
        """Tell the host's time."""
        return self.clock.now()

    async def begin_printing(self, terminal: Terminal, since: datetime | None) -> None:
        """Print there from now on, and before that what was logged *since*."""
        async with terminal.lock:
            # Nothing may come in between: what is logged after this line waits for the lock.
            terminal.prints = True
            replay = self.log.since(since) if since is not None else []
            await terminal.send_locked("".join(replay).encode("latin-1"))
        await self._notify()

    async def end_printing(self, terminal: Terminal) -> None:
        """Print no more there."""
        terminal.prints = False
        await self._notify()

    async def post(self, text: str) -> None:
        """Log text that a program wrote to $0: event 512 of EMS, the text as it is [EMSM/609]."""
        self.posted.append(text)
        await self.emit(512, text, layout=self.layout.of("$Z4F1", EMS))
        await self._notify()

    # ---- who is there ----------------------------------------------------------------------------

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

    async def drop(self, *, reset: bool = False) -> None:
        """Cut every connection, with a TCP reset if asked to."""
        for terminal in list(self.terminals):
            if reset:
                linger = (1).to_bytes(4, "little") + bytes(4)
                terminal.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, linger)
            await trio.aclose_forcefully(terminal.stream)

    # ---- what happens ----------------------------------------------------------------------------

    async def emit(
        self, number: int, text: str, *, layout: Layout | None = None, critical: bool = False
    ) -> None:
        """Let one event happen, printed in the host's layout or in another."""
        chosen = layout or self.layout
        if number in _WITHOUT_TEXT and not self.options.has_templates:
            text = (
                "EMSTEXT-No template and no TEXT token for event. "
                f"SSID = {chosen.ssid} Event number = {number} Subject = {chosen.process}"
            )
        at = self.clock.stamp() - timedelta(seconds=self.late)
        lines = chosen.lines(at.strftime(PRINTED), number, text, critical=critical)
        await self._happen(at, "".join(f"{line}\r\n" for line in lines))

    async def _happen(self, at: datetime, printed: str) -> None:
        if self._reversed is None:
            await self._log(at, printed)
            return
        self._reversed.append((at, printed))
        if len(self._reversed) == self._reversing:
            reversed_events, self._reversed = self._reversed[::-1], None
            for event in reversed_events:
                await self._log(*event)

    async def _log(self, at: datetime, printed: str) -> None:
        self.log.add(at, printed, self.options.keeps, at - self.clock.stepped)
        await self.raw(printed)

    def reverse(self, count: int) -> None:
        """Have the next *count* events come in the reverse of the order in which they happened."""
        self._reversed, self._reversing = [], count

    async def again(self, count: int) -> None:
        """Print the *count* latest events once more, without their having happened again."""
        await self.raw("".join(self.log.latest(count)))

    async def raw(self, text: str) -> None:
        """Print *text* as it is."""
        if self.file is not None:
            with self.file.open("ab") as file:
                file.write(text.encode("latin-1"))
        for terminal in [found for found in self.terminals if found.prints]:
            try:
                await terminal.send(text)
            except HungUp:
                await trio.aclose_forcefully(terminal.stream)

    def rotate(self, *, truncate: bool = False) -> None:
        """Rotate the file: rename it to ``.1`` and begin anew, or copy and truncate it."""
        if self.file is None:
            raise ValueError("nothing is printed into a file")
        old = self.file.with_name(f"{self.file.name}.1")
        if truncate:
            old.write_bytes(self.file.read_bytes())
            self.file.write_bytes(b"")
        else:
            self.file.rename(old)
            self.file.touch()

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
        number = 601 if not ring else 600 if volume else 602
        words = ["MOUNT", volume or "SCRATCH TAPE"]
        words += [f"ON {drive}"] if drive else []
        words += ["WITH RING" if ring else "NO RING"]
        words += [comment] if comment else []
        return await self.request(number, " ".join(words), request)

    async def request(self, number: int, text: str, request: int | None = None) -> int:
        """Ask the operator for something, with the next request number unless one is given."""
        if request is None:
            request = self.next_request
            self.next_request = (self.next_request + 1) % 10_000
        await self.emit(number, f"$ZSVR: {request:04d} {text}")
        return request

    async def unlabelled_request(self, drive: str, *, request: int | None = None) -> int:
        """Ask for a drive on which a job uses a tape without labels."""
        return await self.request(606, f"REQUEST TO USE {drive} UNLABELED", request)

    async def device_accepted(self, request: int, drive: str) -> None:
        """Say that the operator gave the drive."""
        text = f"$ZSVR: {request:04d} REQUEST FOR DEVICE {drive} ACCEPTED BY OPERATOR"
        await self.emit(652, text)

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

    async def burst(self, number: int, ssid: str) -> None:
        """Say that events were suppressed, as a distributor with a burst filter does [EMSM/489]."""
        text = (
            f"EMS: EVENT BURST DETECTED FOR EVENT NO. {number} OF SUBSYSTEM {ssid}, "
            f"BY DISTRIBUTOR {self.layout.node}.$Z123"
        )
        await self.emit(538, text, layout=self.layout.of("$0", EMS))


@asynccontextmanager
async def open_ems_host(
    options: HostOptions | None = None,
    layout: Layout | None = None,
    *,
    port: int = 0,
    shell_port: int = 0,
    clock: HostClock | None = None,
) -> AsyncIterator[EmsHost]:
    """Run a host on 127.0.0.1 for as long as the block lasts; `EmsHost.port` is Telnet's."""
    host = EmsHost(options or HostOptions(), layout or Layout(), clock or HostClock())
    async with trio.open_nursery() as nursery:
        telnet = await trio.open_tcp_listeners(port, host="127.0.0.1")
        shell = await trio.open_tcp_listeners(shell_port, host="127.0.0.1")
        host.port = int(telnet[0].socket.getsockname()[1])
        host.shell_port = int(shell[0].socket.getsockname()[1])
        nursery.start_soon(trio.serve_listeners, host.serve, telnet)
        nursery.start_soon(trio.serve_listeners, partial(host.serve, is_telnet=False), shell)
        try:
            yield host
        finally:
            nursery.cancel_scope.cancel()
