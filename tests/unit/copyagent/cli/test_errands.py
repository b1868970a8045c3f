"""An operator's decisions on the command line: what is sent to the agent, and what is asked back."""

import sys
from pathlib import Path

import pytest

from copyagent.cli import asking
from copyagent.cli.commands import copyagent
from copyagent.cli.errands import adopt, release, relocate, rollback
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.errors import NotConfirmed
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.runtime.exits import run_cli

TAPE = "/VAULT00/BILL/X00001"
WHY = ("--because", "x")


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    monkeypatch.setenv(ENVIRONMENT, str(path))


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=arguments)


def test_they_are_commands() -> None:
    assert {release, relocate, adopt, rollback} <= set(copyagent.commands.values())


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", TAPE),
        ("release", "X00001", *WHY),
        ("relocate", TAPE),
        ("adopt",),
        ("adopt", "X00001"),
        ("rollback", TAPE, *WHY),
        ("rollback", TAPE, "--generation", "-1", *WHY),
        ("rollback", TAPE, "--generation", "one", *WHY),
        ("rollback", TAPE, "--generation", "1"),
    ],
)
def test_what_says_too_little_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", TAPE, *WHY),
        ("release", TAPE, "--overwrite-target", *WHY),
        ("relocate", TAPE, *WHY),
        ("adopt", "/VAULT00/BILL", "--target", "drsite"),
        ("rollback", TAPE, "--generation", "3", *WHY),
    ],
)
def test_without_an_agent_nobody_can_do_it(arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 40


class Terminal:
    """Somebody who types *answer* when asked."""

    def __init__(self, answer: str) -> None:
        self._answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self, _size: int = -1) -> str:
        return self._answer


@pytest.mark.parametrize(
    "arguments",
    [
        ("release", TAPE, "--overwrite-target", *WHY),
        ("relocate", TAPE, *WHY),
        ("rollback", TAPE, "--generation", "3", *WHY),
        ("take-over", "drsite", *WHY),
    ],
)
def test_on_a_terminal_it_is_asked_back(
    arguments: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert run(*arguments) == 45
    assert "[y/N]" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert run(*arguments) == 45
    assert "the input ended before that was answered" in capsys.readouterr().err
    if arguments[0] != "take-over":
        assert run(*arguments, "--yes") == 40


def test_a_yes_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    asking.confirm("Really?", yes=False)
    monkeypatch.setattr(sys, "stdin", Terminal("no\n"))
    asking.confirm("Really?", yes=True)
    with pytest.raises(NotConfirmed):
        asking.confirm("Really?", yes=False)
