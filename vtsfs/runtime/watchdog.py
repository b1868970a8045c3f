"""Feeding systemd's watchdog (WatchdogSec= of systemd.service(5)) as long as a service gets on.

From a thread of its own, since a loop that waits in a system call for a disk cannot do it, and must not
be killed for it: storage may be away for a minute and then go on, as if nothing had been. To kill the
process would not even help. It cannot end before its disk answers (state D of proc_pid_stat(5)), and
would then end just when all is well, and with it everybody's open files.
"""

import os
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from vtsfs.runtime.systemd import Notifier

_TASKS: Final = Path("/proc/self/task")
_WAITS_FOR_A_DISK: Final = "D"

#: Say whether whatever does not get on waits for a disk.
Waits = Callable[[], bool]


def is_held_by_a_disk(thread: int) -> bool:
    """Tell whether that thread of this process waits for a disk, or likewise for NFS."""
    try:
        stat = (_TASKS / str(thread) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    # The name before it stands in parentheses, and may hold anything.
    return stat.rpartition(")")[2].split()[:1] == [_WAITS_FOR_A_DISK]


def any_is_held_by_a_disk() -> bool:
    """Tell whether any thread of this process waits for a disk."""
    return any(is_held_by_a_disk(int(name)) for name in os.listdir(_TASKS))


async def feed_watchdog(
    notifier: Notifier,
    *,
    proof: Callable[[], Awaitable[object]] = trio.lowlevel.checkpoint,
    waits: Waits | None = None,
) -> None:
    """Feed the watchdog until cancelled, if there is one: a task of the loop that is watched.

    The service gets on as long as *proof* returns, or *waits* is true: by default, while the thread
    that this runs in is held by a disk. Who sleeps, or computes, for too long is not fed.
    """
    interval = notifier.watchdog_interval
    if interval is None:
        return
    loop = threading.get_native_id()
    feeder = _Feeder(notifier, interval / 2, waits or (lambda: is_held_by_a_disk(loop)))
    threading.Thread(target=feeder.run, name="watchdog", daemon=True).start()
    try:
        while True:
            await proof()
            feeder.turns += 1
            await trio.sleep(feeder.pause_s)
    finally:
        feeder.over.set()


@dataclass(slots=True)
class _Feeder:
    """What the thread does; *turns* is counted up by the loop, which is the one who writes it."""

    notifier: Notifier
    pause_s: float
    waits: Waits
    turns: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        seen = -1
        while not self.over.is_set():
            if self.turns != seen or self.waits():
                seen = self.turns
                self.notifier.alive()
            self.over.wait(self.pause_s)
