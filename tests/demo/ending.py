"""Ending a demonstration that is not this process's own: a kept one, or what a killed one left."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import NamedTuple

from tests.demo.place import VAULT, Place, all_places, kept, pointer
from tests.support.mountpoint import mounts_under, remove_tree, unmount_under
from tests.support.nonstop import TREE
from tests.support.processes import ProcessId, descendants, identify, is_alive, send_signal
from tests.support.site import end_overlays
from tests.support.waiting import NotInTime, wait_until

#: Who is ended, in this order: nobody is to miss somebody who ended before.
NAMES = ("agent", "host", "target")
#: Who plays the demonstration; alive, it ends everything itself.
PLAYER = "player"
_GRACE_S = 10.0
_MAKING_S = 60.0


class Ended(NamedTuple):
    """What was ended: a demonstration's directory, and what was running in it."""

    place: Place
    was_running: list[str]


def record(place: Place, name: str, process: ProcessId) -> None:
    """Write down which process is *name*, so that another command finds it."""
    place.processes.mkdir(exist_ok=True)
    path = place.processes / name
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(process))
    temporary.replace(path)


def recorded(place: Place, name: str) -> ProcessId | None:
    """Return the process that is *name*, None unless that very process is alive."""
    try:
        pid, started = json.loads((place.processes / name).read_text())
    except (OSError, ValueError):
        return None
    process = ProcessId(int(pid), int(started))
    return process if is_alive(process) else None


def is_running(place: Place) -> bool:
    """Tell whether anybody in *place* runs."""
    return any(recorded(place, name) is not None for name in NAMES)


def end_process(process: ProcessId, first: signal.Signals = signal.SIGTERM) -> None:
    """End a process and what it has started: *first* asks, SIGKILL follows for who is left."""
    family = [process, *descendants(process.pid)]
    send_signal(process, first)
    with suppress(NotInTime):
        wait_until(lambda: not is_alive(process), _GRACE_S, f"process {process.pid} ends")
    for left in family:
        send_signal(left, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, family)), _GRACE_S, f"process {process.pid} is gone")


def end(place: Place) -> Ended:
    """End what runs in *place* and remove it; harmless when nothing does."""
    running = []
    for name in NAMES:
        process = recorded(place, name)
        if process is not None:
            running.append(name)
            end_process(process)
    if mounts_under(place.source):
        running.append("overlay")
        _detach(place)
    end_overlays(place.source)
    unmount_under(place.root)
    remove_tree(place.root)
    return Ended(place, running)


def _detach(place: Place) -> None:
    # Properly, so that its last words are written; by force below, should somebody hold a tape.
    command = [sys.executable, "-m", "vtsfs", "--config", str(place.config), "detach", VAULT]
    subprocess.run(command, cwd=TREE, capture_output=True, timeout=60, check=False)


def end_all() -> list[Ended]:
    """End the kept demonstration, and whatever a demonstration that was killed has left."""
    ended = []
    place = kept()
    if place is not None:
        forget(place)
        ended.append(end(place))
    return ended + [end(left) for left in all_places() if is_left_over(left)]


def is_left_over(place: Place) -> bool:
    """Tell whether nobody will end *place*: it is not kept, and who played it is gone."""
    other = kept()
    if other is not None and other.root == place.root:
        return False
    if not (place.processes / PLAYER).exists():
        # It may be just being made; who was killed at that very moment has left it long ago.
        return time.time() - place.root.stat().st_mtime > _MAKING_S
    return recorded(place, PLAYER) is None


def keep(place: Place) -> Place:
    """Make *place* the one that is kept; return the one that is, if another came first."""
    link = pointer()
    while True:
        try:
            link.symlink_to(place.root)
        except FileExistsError:
            other = kept()
            if other is not None and is_running(other):
                return other
            _clear(link, other)
        else:
            return place


def _clear(link: os.PathLike[str], stale: Place | None) -> None:
    """Take away a pointer to a demonstration that is no more, for example since the last boot."""
    os.unlink(link)
    if stale is not None:
        end(stale)


def forget(place: Place) -> None:
    """Let *place* no longer be the kept one."""
    link = pointer()
    with suppress(OSError):
        if link.readlink() == place.root:
            link.unlink()


def this_process() -> ProcessId:
    """Say which process this is."""
    process = identify(os.getpid())
    if process is None:
        raise RuntimeError("this process is not in /proc")
    return process
