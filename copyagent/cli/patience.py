"""A sign of life on the terminal while somebody else works on what was asked for."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from copyagent.cli.console import has_progress
from vtsfs.contract.units import format_duration

#: Nothing is shown of what takes no longer than this, in seconds.
PATIENCE_S = 1.0


@dataclass(slots=True)
class LifeLine:
    """The line that says so; *what* can be changed at any time, and counts anew from then on."""

    what: str
    stream: TextIO
    after_s: float = PATIENCE_S
    _began: float = field(default_factory=time.monotonic)
    _width: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self, what: str) -> None:
        """Say that it is *what* that takes its time from now on; takes the line away."""
        with self._lock:
            self._erase()
            self.what, self._began = what, time.monotonic()

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        with self._lock:
            self._erase()

    def tick(self) -> None:
        """Show for how long it has taken by now, if that is long enough."""
        with self._lock:
            passed = time.monotonic() - self._began
            if passed >= self.after_s:
                text = f"{self.what}, {format_duration(passed)}"
                self.stream.write("\r" + text.ljust(self._width))
                self.stream.flush()
                self._width = max(self._width, len(text))

    def _erase(self) -> None:
        if self._width:
            self.stream.write("\r" + " " * self._width + "\r")
            self.stream.flush()
            self._width = 0


@contextmanager
def patience(
    what: str, stream: TextIO | None = None, after_s: float = PATIENCE_S
) -> Iterator[LifeLine]:
    """Show *what*, and for how long already, on standard error if the block takes longer than *after_s*.

    On a terminal only; the line is gone when the block has ended.
    """
    out = sys.stderr if stream is None else stream
    line = LifeLine(what, out, after_s)
    if not has_progress(out):
        yield line
        return
    over = threading.Event()
    shower = threading.Thread(target=_show, args=(line, over), daemon=True)
    shower.start()
    try:
        yield line
    finally:
        over.set()
        shower.join()
        line.clear()


def _show(line: LifeLine, over: threading.Event) -> None:
    while not over.wait(line.after_s / 2):
        line.tick()
