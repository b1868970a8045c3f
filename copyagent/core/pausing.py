"""An operator pauses a pool or a target, and lets it go on; what that means is in `core.gates`.

A pause that is asked for a length of time is measured by time passed: it survives restarts of the
agent, also while it does not run, and clocks that are set. One that is asked for until a time of the
clock ends by the clock.
"""

from dataclasses import dataclass

from copyagent.core.book import Book
from copyagent.core.dates import iso
from copyagent.core.gates import Pause
from copyagent.core.operator import record_action
from copyagent.core.time import Moment
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.near_names import hint, listed

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PauseWanted:
    """A pause of *about*, a pool or a target: until a time, for so many seconds, or (both 0) on and on.

    *finish*: copies that run go on to their end.
    """

    about: str
    because: str
    until_ns: int = 0
    for_s: float = 0.0
    finish: bool = False


def pause(book: Book, wanted: PauseWanted, user: str, now: Moment) -> list[str]:
    """Begin a pause, or replace the one there is; raise `RequestFailed` if it makes no sense."""
    _known(book, wanted.about)
    until_ns = wanted.until_ns
    if wanted.for_s:
        until_ns = now.wall_ns + int(wanted.for_s * _NS)
    if until_ns and until_ns <= now.wall_ns:
        raise RequestFailed(f"a pause until {iso(until_ns)} would be over already")
    replaced = wanted.about in book.pauses
    old = "paused" if replaced else "not paused"
    book.pauses[wanted.about] = Pause(
        wanted.about, user, wanted.because, now.wall_ns, until_ns, wanted.for_s, wanted.finish
    )
    book.pauses_dirty = True
    until = f" until {iso(until_ns)}" if until_ns else ""
    record_action(book, user, "pause", wanted.about, wanted.because, old=old, new=f"paused{until}")
    again = ", instead of the pause before" if replaced else ""
    ends = until or f" until: copyagent resume {wanted.about}"
    answer = [f"{wanted.about} is paused{ends}{again}"]
    running = sum(1 for tape, target in book.running if wanted.about in (str(tape.pool_id), target))
    if running:
        what = "go on to their end" if wanted.finish else "are stopped and go on later"
        answer.append(f"{running} running copies {what}")
    return answer


def resume(book: Book, about: str, user: str, now: Moment, *, because: str = "") -> list[str]:
    """End a pause before its time; raise `RequestFailed` if there is none."""
    _known(book, about)
    ended = book.pauses.pop(about, None)
    if ended is None:
        paused = ", ".join(sorted(book.pauses)) or "nothing"
        raise RequestFailed(f"{about} is not paused (paused: {paused})")
    book.pauses_dirty = True
    old = f"paused since {iso(ended.since_ns)}"
    record_action(book, user, "resume", about, because, old=old, new="not paused")
    still = [
        f"{about} is still waiting: {closed.why}"
        for way in book.gates
        if about in (str(way[0]), way[1]) and (closed := book.way_closed(way, now)) is not None
    ]
    return [f"{about} goes on", *sorted(set(still))]


def _known(book: Book, about: str) -> None:
    pools = sorted({str(pool) for pool, _ in book.ways})
    if about not in pools and about not in book.settings.targets:
        names = [*pools, *sorted(book.settings.targets)]
        raise NameUnknown(
            f"{about} is neither a watched pool nor a target (there are: {listed(names)})"
            f"{hint(about, names)}"
        )
