"""Where the programs' own log goes: the journal when it listens, otherwise standard error.

systemd connects standard error to the journal and says so in ``JOURNAL_STREAM`` (systemd.exec(5)).
A line that begins with ``<N>`` gets that priority there (sd-daemon(3)); the journal has its own
clock, so lines for it carry no time.
"""

import logging
import os
import time
from collections.abc import Iterable, Mapping
from typing import TextIO

_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.NOTSET, 7),
)


class JournalFormatter(logging.Formatter):
    """Puts the priority in front of every line, a traceback's lines too."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(p for level, p in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


class StderrFormatter(logging.Formatter):
    """Writes UTC time, level and logger in front of the text."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)-8s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        self.converter = time.gmtime


def goes_to_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether *stream* is the one that systemd connected to the journal."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(stream.fileno())
        return (found.st_dev, found.st_ino) == (int(device), int(inode))
    except (OSError, ValueError):
        return False


def configure_logging(
    stream: TextIO,
    environ: Mapping[str, str],
    *,
    level: int = logging.INFO,
    quiet: Iterable[str] = (),
) -> None:
    """Send everything from *level* up to *stream*, in the form that suits it.

    Loggers named in *quiet* (libraries that report every connection) speak from WARNING up. Calling
    this again replaces what an earlier call set up.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        JournalFormatter("%(name)s: %(message)s")
        if goes_to_journal(stream, environ)
        else StderrFormatter()
    )
    root = logging.getLogger()
    for old in [h for h in root.handlers if type(h) is logging.StreamHandler]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in quiet:
        logging.getLogger(name).setLevel(logging.WARNING)
