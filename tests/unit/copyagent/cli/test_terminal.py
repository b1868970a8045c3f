"""What a terminal gets and a pipe does not: the command itself, on a real pseudo terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.example_settings import EXAMPLE
from tests.support.nonstop import TREE

STATE = {
    "schema": 1, "system": "TAPESRV1", "version": "0.1.0", "at": "2026-11-22T03:00:00Z",
    "attention": [], "copies": [], "hosts": [], "vaults": [], "targets": [],
    "pools": [{
        "pool": "/VAULT00/BILL", "target": "drsite", "tapes": 3, "protected": 1, "unprotected": 2,
        "oldest_unprotected_s": 7200, "behind_since": None, "paused": None,
        "states": {"copied": 1, "failed": 2},
    }],
}  # fmt: skip


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "status.json").write_text(json.dumps(STATE))
    return path


def on_a_terminal(config: Path, *arguments: str, **environment: str) -> str:
    """Run a command whose three streams are one terminal; return all that it shows."""
    screen, program = os.openpty()
    known = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "COLUMNS", "FORCE_COLOR"}}
    ended = subprocess.Popen(
        [sys.executable, "-m", "copyagent", "--config", str(config), *arguments],
        stdin=program, stdout=program, stderr=program, cwd=TREE,
        env=known | {"TERM": "xterm-256color"} | environment,
    )  # fmt: skip
    os.close(program)
    shown = b""
    try:
        while piece := os.read(screen, 65536):
            shown += piece
    except OSError:
        pass  # the other end is closed: EIO is how a terminal says so
    ended.wait(60)
    os.close(screen)
    return shown.decode()


def piped(config: Path, *arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "copyagent", "--config", str(config), *arguments]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=TREE,
        timeout=60,
        env=os.environ | environment,
    )
    return ended.stdout + ended.stderr


def test_colours_are_for_terminals_that_want_them(config: Path) -> None:
    shown = on_a_terminal(config, "status")
    assert "\x1b[31m2" in shown, "what is unprotected is red"
    for environment in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = on_a_terminal(config, "status", **environment)
        assert "/VAULT00/BILL" in shown
        assert "\x1b" not in shown, environment
    shown = piped(config, "status", FORCE_COLOR="1", CLICOLOR_FORCE="1", TTY_COMPATIBLE="1")
    assert "/VAULT00/BILL" in shown
    assert "\x1b" not in shown


def test_a_question_is_asked_on_a_terminal_and_its_end_of_input_is_a_no(config: Path) -> None:
    release = ("release", "/VAULT00/BILL/X00001", "--overwrite-target", "--because", "x")
    screen, program = os.openpty()
    command = [sys.executable, "-m", "copyagent", "--config", str(config), *release]
    with subprocess.Popen(
        command, stdin=program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=TREE, text=True
    ) as asked:
        os.close(program)
        os.write(screen, b"\x04")  # Ctrl-D
        out, err = asked.communicate(timeout=60)
    os.close(screen)
    assert asked.returncode == 45
    assert out == ""
    assert "Replace what the target has" in err
    assert "so nothing was done" in err
