"""What is written aside: in order, in the end completely, and never in the way."""

import logging
import threading
from functools import partial
from pathlib import Path

import pytest

from tests.support.example_settings import example_settings
from tests.support.expected_logs import ExpectedLogs
from tests.support.waiting import wait_until
from vtsfs.contract import messages
from vtsfs.runtime.aside import Aside, AsideHandler, written_aside


class Slow(logging.Handler):
    """Writes only when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_write = threading.Event()
        self.written: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        assert self.may_write.wait(20)
        self.written.append(self.format(record))


def test_jobs_are_done_in_order_and_all_of_them() -> None:
    done: list[int] = []
    aside = Aside()
    for number in range(500):
        aside.do(partial(done.append, number))
    assert aside.close()
    assert done == list(range(500))


def test_what_the_last_job_has_to_say_is_written_too() -> None:
    done: list[str] = []
    aside, may_go = Aside(), threading.Event()

    def last() -> None:
        assert may_go.wait(20)
        aside.do(partial(done.append, "its words"))

    aside.do(last)
    threading.Timer(0.05, may_go.set).start()
    assert aside.close()
    assert done == ["its words"]


def test_who_logs_does_not_wait_and_memory_is_bounded(expect_log: ExpectedLogs) -> None:
    expect_log("89 messages are missing here", logging.ERROR)
    slow, aside = Slow(), Aside(most_waiting=10)
    handler = AsideHandler(slow, aside)
    for number in range(100):
        handler.handle(logging.LogRecord("x", 40, "f", 1, "number %d", (number,), None))
        if number == 0:
            wait_until(lambda: aside.waiting == 0, 5, "the first is being written")
    assert slow.written == []
    slow.may_write.set()
    assert aside.close()
    assert slow.written[:3] == ["number 0", "number 1", "number 2"]
    assert len(slow.written) == 11


def test_a_log_that_hangs_does_not_keep_the_program_from_ending() -> None:
    slow, aside = Slow(), Aside()
    aside.do(slow.may_write.wait)
    assert not aside.close(limit_s=0.05)
    slow.may_write.set()


def test_a_traceback_is_written_too() -> None:
    slow, aside = Slow(), Aside()
    slow.may_write.set()
    try:
        raise KeyError("what was looked for")
    except KeyError as error:
        info = (KeyError, error, error.__traceback__)
    AsideHandler(slow, aside).handle(logging.LogRecord("x", 40, "f", 1, "it failed", (), info))
    assert aside.close()
    assert slow.written[0].startswith("it failed\nTraceback")
    assert slow.written[0].count("Traceback") == 1


def test_events_are_in_the_file_when_the_block_has_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = example_settings(tmp_path)
    with written_aside(settings) as events:
        for number in range(20):
            events.write(messages.LINK_UP, host=f"/{number}/")
    lines = settings.paths.event_log.read_text().splitlines()
    assert [line.split("/")[-2] for line in lines] == [str(n) for n in range(20)]
    assert len(caplog.records) == 20


def test_the_program_s_own_log_is_written_aside_meanwhile(tmp_path: Path) -> None:
    root, stream = logging.getLogger(), (tmp_path / "log").open("w+")
    own = logging.StreamHandler(stream)
    root.addHandler(own)
    try:
        with written_aside(example_settings(tmp_path)):
            assert own not in root.handlers
            logging.getLogger("test").info("a word")
        assert own in root.handlers
        stream.seek(0)
        assert stream.read() == "a word\n"
    finally:
        root.removeHandler(own)
        stream.close()
