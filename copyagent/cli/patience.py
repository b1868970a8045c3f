"""A sign of life on the terminal while somebody else works on what was asked for."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from vtsfs.contract.units import format_duration

#: Nothing is shown of what takes no longer than this, in seconds; then so often.
_PATIENCE_S = 1.0
_EVERY_S = 0.5


@contextmanager
def patience(what: str, stream: TextIO | None = None) -> Iterator[None]:
    """Show *what*, and for how long already, on standard error while the block takes its time.

    On a terminal only; the line is gone when the block has ended.
    """
    out = sys.stderr if stream is None else stream
    if not out.isatty():
        yield
        return
    over = threading.Event()
    shower = threading.Thread(target=_show, args=(what, out, over), daemon=True)
    shower.start()
    try:
        yield
    finally:
        over.set()
        shower.join()


def _show(what: str, out: TextIO, over: threading.Event) -> None:
    began, width = time.monotonic(), 0
    wait = _PATIENCE_S
    while not over.wait(wait):
        wait = _EVERY_S
        text = f"{what}, {format_duration(time.monotonic() - began)}"
        out.write("\r" + text.ljust(width))
        out.flush()
        width = max(width, len(text))
    if width:
        out.write("\r" + " " * width + "\r")
        out.flush()
