"""A host that prints much and fast, and a world in which a dismount hides in all that."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any, NamedTuple

import trio

from copyagent.ems.lines import EmsLineDecoder
from tests.support.ems_host import EmsHost, HostOptions, Layout, open_ems_host
from tests.support.ems_host.clock import HostClock
from tests.support.ems_host.flood import flood
from tests.support.site import Site
from tests.support.sshd import ADDRESS
from tests.support.waiting import wait_until
from tests.support.world import World, open_world

_LAYOUT = Layout(width=79, indent=8)
_LINE = 80


def printed(kind: str, lines: int) -> str:
    """Print about so many lines of *kind*; of an endless one, as many characters as they would have."""
    one = lines_in("".join(flood(_LAYOUT, HostClock(), 1000, kind)))
    return "".join(flood(_LAYOUT, HostClock(), lines * 1000 // one, kind))


def lines_in(text: str) -> int:
    """Count the lines of *text*, an endless one in parts of 80 characters."""
    return text.count("\n") or len(text) // _LINE


class TalkativeHost:
    """A host in a thread of its own that prints what it is told as fast as it is taken."""

    def __init__(self, directory: Path) -> None:
        self.password_file = directory / "password"
        self._options = HostOptions()
        self.password_file.write_text(self._options.password + "\n", encoding="ascii")
        self.password_file.chmod(0o600)
        self._started, self._ended = Event(), trio.Event()
        self._thread = Thread(target=lambda: trio.run(self._serve), daemon=True)
        self._token: trio.lowlevel.TrioToken
        self._host: EmsHost

    async def _serve(self) -> None:
        async with open_ems_host(self._options, _LAYOUT) as host:
            self._token, self._host = trio.lowlevel.current_trio_token(), host
            self._started.set()
            await self._ended.wait()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen for as long as the block lasts."""
        self._thread.start()
        if not self._started.wait(10.0):
            raise RuntimeError("the host does not start")
        try:
            yield
        finally:
            self._token.run_sync_soon(self._ended.set)
            self._thread.join(10.0)

    def use(self, site: Site) -> None:
        """Have the agent of *site* listen."""
        site.settings["ems"] = {
            "hosts": {
                "DEV2": {
                    "address": ADDRESS,
                    "port": self._host.port,
                    "user": self._options.user,
                    "password_file": str(self.password_file),
                    "response_timeout": "1s",
                }
            }
        }

    def say(self, text: str) -> None:
        """Print *text* as it is; return when all of it is on its way."""
        trio.from_thread.run(self._host.raw, text, trio_token=self._token)

    def event(self, number: int, text: str) -> None:
        """Print an event of the tape server."""
        lines = _LAYOUT.lines("06-09-14 22:00:01", number, text)
        self.say("".join(f"{line}\r\n" for line in lines))


@contextmanager
def flooded_world(directory: Path) -> Iterator[tuple[World, TalkativeHost]]:
    """Bring up a world that listens to a talkative host."""
    host = TalkativeHost(directory)
    with host.running(), open_world(adjust=host.use) as world:
        world.site.wait(lambda: world.site.status()["hosts"][0]["up"], "the EMS link is up")
        yield world, host


class Flooded(NamedTuple):
    """How a dismount amid a flood went.

    *took_s* are the seconds from the flood's first byte to the verdict, *before* the lines before the dismount,
    *heard* the events that the agent had read when the verdict was seen, of *events* in all.
    """

    took_s: float
    before: int
    heard: int
    events: int


def flood_with_dismount(world: World, host: TalkativeHost, label: str, text: str) -> Flooded:
    """Let the host dismount a tape that was written, in the middle of printing *text*."""
    half = text.rfind("\n", 0, len(text) // 2) + 1
    host.event(600, f"$ZSVR: 0042 MOUNT {label} ON $VTAPE0 WITH RING")
    host.event(648, f"$ZSVR: 0042 VOLUME {label} MOUNTED")
    world.tape(label).write_bytes(b"x" * 10_000)
    world.wait_for(label, "awaiting host")
    heard_before = _heard(world)
    begun = time.monotonic()
    printing = Thread(target=_say_all, args=(host, label, text, half))
    printing.start()
    wait_until(lambda: _verdict(world, label) == "agreed", 60.0, f"{label} is judged")
    took_s = time.monotonic() - begun
    heard = _heard(world) - heard_before
    printing.join(60.0)
    events = len(EmsLineDecoder().feed(text)) + 1
    wait_until(lambda: _heard(world) - heard_before >= events, 60.0, "all is read")
    return Flooded(took_s, lines_in(text[:half]), heard, events)


def _heard(world: World) -> int:
    return int(world.site.status()["hosts"][0]["events_of_all_kinds"])


def _say_all(host: TalkativeHost, label: str, text: str, half: int) -> None:
    host.say(text[:half])
    host.event(659, f"STATUS 1512 - {label} TAPE DISMOUNTED FROM DRIVE $VTAPE0")
    host.say(text[half:])


def _verdict(world: World, label: str) -> str:
    judged: dict[str, Any] = world.explain(label).get("verdict") or {}
    return str(judged.get("verdict", ""))
