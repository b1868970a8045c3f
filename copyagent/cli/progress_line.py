"""How far a long command has come, on one line of the terminal that is gone when it has ended."""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console

from copyagent.cli.console import has_progress
from vtsfs.contract.units import format_duration, format_size

#: Nothing is shown of what takes no longer than this, in seconds; then so often.
_PATIENCE_S = 1.0
_EVERY_S = 0.25


@dataclass(slots=True)
class ProgressLine:
    """Shown on standard error, if that is a terminal; *clock* gives seconds."""

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _shown: float = field(init=False)
    _width: int = 0

    def __post_init__(self) -> None:
        self._began = self._shown = self.clock()

    def begin(self) -> None:
        """Begin to count time anew, for the next thing."""
        self._began = self.clock()

    def count(self, what: str, done: int, total: int) -> None:
        """Show that *done* of *total* things were looked at, unless something was just shown."""
        now = self.clock()
        if self._is_time(now):
            share = f", {100 * done // total} %" if total else ""
            self._write(f"{what}: {done} of {total}{share}"[: Console(file=self.stream).width - 1])

    def _is_time(self, now: float) -> bool:
        early = now - self._began < _PATIENCE_S or now - self._shown < _EVERY_S
        if early or not has_progress(self.stream):
            return False
        self._shown = now
        return True

    def show(self, what: str, done: int, total: int) -> None:
        """Show that *done* of *total* bytes of *what* are done, unless it was just shown."""
        now = self.clock()
        if not self._is_time(now):
            return
        rate = done / max(now - self._began, 0.001)
        share = f", {100 * done // total} %" if total else ""
        left = f", {format_duration((total - done) / rate)} left" if rate and total else ""
        text = f"{what}: {format_size(done)} of {format_size(total)}{share}, {format_size(rate)}/s{left}"
        self._write(text[: Console(file=self.stream).width - 1])

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        if self._width:
            self._write("")

    def _write(self, text: str) -> None:
        self.stream.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
        self.stream.flush()
        self._width = len(text)
