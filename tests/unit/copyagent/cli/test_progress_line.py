"""The progress line: on a terminal only, not at once, and gone in the end."""

import io

import pytest

from copyagent.cli.progress_line import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


def shown(stream: io.StringIO, times: list[float]) -> str:
    line = ProgressLine(stream, iter(times).__next__)
    for _ in times[1:]:
        line.show("X00001", 1024, 4096)
    line.clear()
    return stream.getvalue()


def test_nothing_is_shown_of_what_is_quick() -> None:
    assert shown(Terminal(), [0.0, 0.1, 0.9]) == ""


def test_then_not_more_often_than_one_can_read() -> None:
    text = shown(Terminal(), [0.0, 2.0, 2.1, 2.2, 2.3])
    assert text.count("X00001: 1.0 KiB of 4.0 KiB, 25 %, 512 B/s, 6s left") == 1
    assert text.count("X00001") == 2
    assert text.endswith("\r")


def test_nothing_goes_into_a_pipe() -> None:
    assert shown(io.StringIO(), [0.0, 2.0, 3.0]) == ""


def test_things_are_counted_as_bytes_are(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    stream = Terminal()
    line = ProgressLine(stream, lambda: now[0])
    line.count("/VAULT00/BILL at drsite", 1, 4)
    assert stream.getvalue() == "", "what is quick shows nothing"
    now[0] = 2.0
    line.count("/VAULT00/BILL at drsite", 3, 4)
    assert "/VAULT00/BILL at drsite: 3 of 4, 75 %" in stream.getvalue()
    monkeypatch.setenv("TERM", "dumb")
    now[0] = 4.0
    seen = stream.getvalue()
    line.count("/VAULT00/BILL at drsite", 4, 4)
    assert stream.getvalue() == seen
