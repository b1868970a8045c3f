"""``tapes`` and ``queue`` on the command line: what is asked for, and what is shown."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from copyagent.cli.commands import copyagent
from copyagent.cli.listings import copy_text, shown_queue
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.runtime.exits import run_cli

COPY: dict[str, Any] = {
    "tape": "/VAULT00/BILL/X00001",
    "target": "drsite",
    "state": "retry 3/12",
    "trouble": "transient",
    "since": "2026-11-22T03:00:00Z",
    "why": "no route to host",
    "next": "Next attempt in 200 s.",
    "attempts": 3,
    "attempts_of": 12,
    "due": "2026-11-22T03:05:00Z",
    "bytes": 5 << 20,
    "place": 1,
}


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    monkeypatch.setenv(ENVIRONMENT, str(path))


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=arguments)


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("tapes",), 40),
        (("tapes", "--state", "held", "--state", "failed", "--unprotected", "--json"), 40),
        (("queue", "--first", "5"), 40),
        (("tapes", "--state", "hled"), 2),
        (("tapes", "--pool", "BILL"), 2),
        (("queue", "--first", "0"), 2),
    ],
)
def test_a_wrong_name_is_told_before_the_agent_is_asked(
    arguments: tuple[str, ...], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == status
    assert capsys.readouterr().err


def test_a_copy_is_one_line_in_a_pipe_and_a_paragraph_on_a_screen() -> None:
    line = copy_text(COPY, None)
    assert line == (
        "/VAULT00/BILL/X00001 to drsite: retry 3/12, transient since 2026-11-22T03:00:00Z: "
        "no route to host | next: Next attempt in 200 s."
    )
    shown = copy_text(COPY | {"since": None}, 60).splitlines()
    assert shown[-1] == "    next: Next attempt in 200 s."
    assert max(map(len, shown)) <= 60
    assert "since" not in shown[0]


def test_the_queue_shows_turns_attempts_and_what_is_left_out() -> None:
    running = COPY | {"place": 0, "state": "copying", "trouble": None, "due": None}
    target = {"target": "drsite", "running": 1, "pending": 9, "bytes": 50 << 20, "left_out": 8}
    document = {"targets": [target | {"copies": [running, COPY]}, target | {"copies": []}]}
    screen = Console(width=160)
    with screen.capture() as shown:
        screen.print(shown_queue(document, None))
    lines = [" ".join(line.split()) for line in shown.get().splitlines()]
    assert lines[0] == "drsite: 1 running, 9 pending, at most 50.0 MiB to send"
    assert lines[2] == "> /VAULT00/BILL/X00001 copying 4/12 now 5.0 MiB no route to host"
    assert lines[3].startswith("1 /VAULT00/BILL/X00001 retry 3/12, transient 4/12 2026-11-22T03:05")
    assert lines[4] == "... and 8 more (--first N shows more of them)"


def test_on_a_usual_terminal_a_queue_cuts_neither_names_nor_times() -> None:
    target = {"target": "drsite", "running": 0, "pending": 1, "bytes": 5 << 20, "left_out": 0}
    document = {"targets": [target | {"copies": [COPY]}]}
    screen = Console(width=80)
    with screen.capture() as shown:
        screen.print(shown_queue(document, 80))
    assert shown.get().splitlines() == [
        "drsite: 0 running, 1 pending, at most 5.0 MiB to send",
        "1  /VAULT00/BILL/X00001: attempt 4/12, due 2026-11-22T03:05:00Z, 5.0 MiB to send",
        "    retry 3/12, transient: no route to host",
    ]
