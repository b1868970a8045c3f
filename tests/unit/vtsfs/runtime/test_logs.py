import io
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtsfs.runtime.logs import JournalFormatter, StderrFormatter, configure_logging, goes_to_journal


@pytest.fixture(autouse=True)
def _root_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def record(level: int, text: str) -> logging.LogRecord:
    made = logging.LogRecord("vtsfs.x", level, "f", 1, text, None, None)
    made.created, made.msecs = 1_156_782_318.25, 250.0
    return made


@pytest.mark.parametrize(
    ("level", "priority"),
    [
        (logging.DEBUG, 7),
        (logging.INFO, 6),
        (logging.WARNING, 4),
        (logging.ERROR, 3),
        (logging.CRITICAL, 2),
    ],
)
def test_the_journal_gets_a_priority_on_every_line(level: int, priority: int) -> None:
    text = JournalFormatter("%(name)s: %(message)s").format(record(level, "one\ntwo"))
    assert text == f"<{priority}>vtsfs.x: one\n<{priority}>two"


def test_standard_error_gets_utc_time() -> None:
    text = StderrFormatter().format(record(logging.WARNING, "hello"))
    assert text == "2006-08-28T16:25:18.250Z WARNING  vtsfs.x: hello"


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        ours = f"{found.st_dev}:{found.st_ino}"
        assert goes_to_journal(stream, {"JOURNAL_STREAM": ours})
        for other in ("", "1", "x:y", f"{found.st_dev}:{found.st_ino + 1}"):
            assert not goes_to_journal(stream, {"JOURNAL_STREAM": other})
    assert not goes_to_journal(io.StringIO(), {"JOURNAL_STREAM": ours})


def test_set_up_twice_speaks_once() -> None:
    stream = io.StringIO()
    for _ in range(2):
        configure_logging(stream, {}, quiet=["chatty"])
    logging.getLogger("vtsfs.x").info("once")
    logging.getLogger("vtsfs.x").debug("not at all")
    logging.getLogger("chatty").info("not at all")
    assert re.fullmatch(r"\S+Z INFO     vtsfs\.x: once\n", stream.getvalue())
