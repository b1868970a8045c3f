"""A thread for what must not hold up the loop: words for the operator, on disks that may not answer.

A frozen log disk or a journal that reads no more blocks whoever writes to it. Tapes must not wait
for that, so the log and the event log are written by a thread of their own; what it cannot write in
time is dropped, counted and told later.
"""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from logging.handlers import QueueHandler
from typing import Any

from vtsfs.contract.messages import Message
from vtsfs.contract.settings import Settings
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.eventlog import EventLog

_logger = logging.getLogger(__name__)

#: Jobs that wait at most; of events and warnings there are a few an hour.
MOST_WAITING = 1000


class Aside:
    """Does jobs one after the other in a thread; may be used from any thread."""

    def __init__(self, most_waiting: int = MOST_WAITING) -> None:
        self._jobs: queue.Queue[Callable[[], object] | None] = queue.Queue(most_waiting)
        self._dropped = 0
        # Nobody waits for it at the end: it may hang.
        self._thread = threading.Thread(target=self._work, name="aside", daemon=True)
        self._thread.start()

    def do(self, job: Callable[[], object]) -> None:
        """Have *job* done soon; drop it if too many wait. *job* must not raise."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self._dropped += 1

    @property
    def waiting(self) -> int:
        """How many jobs nobody has begun with."""
        return self._jobs.qsize()

    def close(self, limit_s: float = 5.0) -> bool:
        """Wait until everything is done, for *limit_s* at most; tell whether it is."""
        try:
            self._jobs.put(None, timeout=limit_s)
        except queue.Full:
            return False
        self._thread.join(limit_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        closing = False
        # What a job has logged comes after the wish to close, and is to be written too.
        while not (closing and self._jobs.empty()):
            job = self._jobs.get()
            if job is None:
                closing = True
                continue
            job()
            dropped, self._dropped = self._dropped, 0
            if dropped:
                _logger.error("%d messages are missing here: the log could not be written", dropped)


class AsideHandler(QueueHandler):
    """Has log records written by *handler* aside."""

    def __init__(self, handler: logging.Handler, aside: Aside) -> None:
        super().__init__(queue.SimpleQueue())
        self._handler = handler
        self._aside = aside
        self.setLevel(handler.level)

    def enqueue(self, record: logging.LogRecord) -> None:
        self._aside.do(lambda: self._handler.handle(record))


class EventsAside:
    """The event log, written aside; the time is that of the call."""

    def __init__(self, events: EventLog, aside: Aside) -> None:
        self._events = events
        self._aside = aside

    def write(self, message: Message, **fields: Any) -> None:
        """Have *message* appended soon, as `EventLog.write` does."""
        now = wall_ns()
        self._aside.do(lambda: self._events.write(message, now_ns=now, **fields))


@contextmanager
def written_aside(settings: Settings) -> Iterator[EventsAside]:
    """Open the overlay's event log; it and the program's log are written aside while the block runs.

    Afterwards everything has been written, unless a disk does not answer for seconds.
    """
    events = EventLog(settings.paths.event_log, settings.system, program="vtsfs")
    aside = Aside()
    root = logging.getLogger()
    # The program's own, of exactly this class; a test's are not.
    replaced = [handler for handler in root.handlers if type(handler) is logging.StreamHandler]
    stand_ins = [AsideHandler(handler, aside) for handler in replaced]
    _exchange(root, replaced, stand_ins)
    try:
        yield EventsAside(events, aside)
    finally:
        if aside.close():
            _exchange(root, stand_ins, replaced)
            events.close()


def _exchange(
    root: logging.Logger, old: Sequence[logging.Handler], new: Sequence[logging.Handler]
) -> None:
    for handler in old:
        root.removeHandler(handler)
    for handler in new:
        root.addHandler(handler)
