"""How answers are printed: whole lines for a pipe, a width for a screen."""

import json

import pytest

from copyagent.cli.console import (
    PIPE_WIDTH,
    console,
    is_screen,
    print_document,
    printable,
)


def test_a_pipe_has_room_and_a_screen_its_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert (is_screen(), console().width) == (False, PIPE_WIDTH)
    monkeypatch.setenv("COLUMNS", "50")
    assert (is_screen(), console().width) == (True, 50)


def test_a_document_or_what_it_looks_like(capsys: pytest.CaptureFixture[str]) -> None:
    print_document({"a": [1]}, "a is 1", as_json=True)
    assert json.loads(capsys.readouterr().out) == {"a": [1]}
    print_document({"a": [1]}, "a is 1", as_json=False)
    assert capsys.readouterr().out == "a is 1\n"


def test_a_hosts_text_moves_no_cursor() -> None:
    assert printable("MOUNT \x1b]0;x\x07 \xe9\n") == "MOUNT ?]0;x? \xe9?"
