"""A sign of life while somebody else works: on a terminal, and gone before anything else is printed."""

import io
import os
import select
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

import pytest

from copyagent.cli.patience import LifeLine, patience


@dataclass(frozen=True)
class Terminal:
    """Both ends of a pseudo terminal: what the program writes to, and what a person would see."""

    program: TextIO
    screen: int

    def shown(self, deadline_s: float = 20.0) -> str:
        """Return what has been written, once there is something."""
        assert select.select([self.screen], [], [], deadline_s)[0], "nothing was shown"
        return os.read(self.screen, 65536).decode()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setenv("TERM", "xterm")
    screen, program = os.openpty()
    with os.fdopen(program, "w", encoding="utf-8") as stream:
        yield Terminal(stream, screen)
    os.close(screen)


def test_what_takes_long_is_shown_on_a_terminal_and_taken_away(terminal: Terminal) -> None:
    with patience("sync: the agent is at it", terminal.program, after_s=0.01):
        assert "sync: the agent is at it, " in terminal.shown()
    assert terminal.shown().endswith(" \r")


def test_what_is_quick_shows_nothing(terminal: Terminal) -> None:
    with patience("status", terminal.program, after_s=3600.0):
        pass
    assert select.select([terminal.screen], [], [], 0.0)[0] == []


def test_a_new_thing_counts_anew_and_takes_the_line_away(terminal: Terminal) -> None:
    line = LifeLine("one", terminal.program, after_s=0.0)
    line.tick()
    assert "one, 0s" in terminal.shown()
    line.now("two")
    assert terminal.shown().strip(" \r") == ""
    line.tick()
    assert "two, " in terminal.shown()
    line.clear()
    assert terminal.shown().strip(" \r") == ""


def test_nothing_is_shown_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    with patience("sync", said, after_s=0.0):
        pass
    assert said.getvalue() == ""


def test_a_terminal_that_cannot_write_over_a_line_gets_none(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    with patience("sync", terminal.program, after_s=0.0) as line:
        assert line.what == "sync"
    assert select.select([terminal.screen], [], [], 0.0)[0] == []
