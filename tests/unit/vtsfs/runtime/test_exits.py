import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import (
    AgentBusy,
    AgentUnreachable,
    SettingsError,
    StateError,
    Unprotected,
    VtsError,
)
from vtsfs.runtime.exits import exit_codes, run_cli


def run(action: Callable[[], object], *args: str) -> int:
    @click.command()
    @click.option("--number", type=int)
    def command(number: int | None) -> object:
        return action()

    return run_cli(command, program="vtsfs", args=args)


def fails_with(error: BaseException) -> Callable[[], object]:
    def action() -> object:
        raise error

    return action


def test_success_is_0() -> None:
    assert run(lambda: None) == 0
    assert run(lambda: "text") == 0


def test_a_command_may_return_its_status() -> None:
    assert run(lambda: 50) == 50


def test_help_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None, "--help") == 0
    assert "--number" in capsys.readouterr().out


@pytest.mark.parametrize("args", [["--nunber", "1"], ["--number", "x"], ["surplus"]])
def test_a_wrong_command_line_is_2(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(lambda: None, *args) == 2
    assert "Usage: vtsfs" in capsys.readouterr().err


def test_an_error_of_ours_has_its_status_and_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fails_with(AgentUnreachable("nobody answers; start it"))) == 40
    captured = capsys.readouterr()
    assert captured.err == "vtsfs: nobody answers; start it\n"
    assert captured.out == ""


def test_a_status_alone_says_nothing_more(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(fails_with(Unprotected())) == 50
    assert capsys.readouterr().err == ""


def test_every_problem_has_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    error = SettingsError("a\nb", ("f: a: is wrong", "f: b: is wrong"))
    assert run(fails_with(error)) == 10
    assert capsys.readouterr().err == "f: a: is wrong\nf: b: is wrong\n"


def test_what_a_nursery_wrapped_is_unwrapped(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("x", [ExceptionGroup("y", [StateError("gone")]), AgentBusy("busy")])
    assert run(fails_with(group)) == 44
    assert capsys.readouterr().err == "vtsfs: gone\nvtsfs: busy\n"


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("bug"), ExceptionGroup("x", [StateError("gone"), KeyError("bug")])]
)
def test_the_unforeseen_is_70_with_its_traceback(
    error: Exception, caplog: pytest.LogCaptureFixture, expect_log: ExpectedLogs
) -> None:
    expect_log("vtsfs ends by an unforeseen error", 50)
    assert run(fails_with(error)) == 70
    assert "Traceback" in caplog.text
    assert "bug" in caplog.text


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), BaseExceptionGroup("x", [KeyboardInterrupt(), StateError("x")])]
)
def test_an_interrupt_is_130(error: BaseException) -> None:
    assert run(fails_with(error)) == 130


def test_a_plain_exit_stays_one() -> None:
    with pytest.raises(SystemExit) as ended:
        run(fails_with(SystemExit(3)))
    assert ended.value.code == 3


_WRITES = "for n in range({lines}): sys.stdout.write('line\\n')"
_WITHIN_A_NURSERY = "raise ExceptionGroup('x', [BrokenPipeError(32, 'Broken pipe')])"


@pytest.mark.parametrize(
    "ends", [_WRITES.format(lines=1), _WRITES.format(lines=100_000), _WITHIN_A_NURSERY]
)
def test_a_closed_pipe_ends_quietly(ends: str) -> None:
    code = (
        "import sys, click\n"
        "from vtsfs.runtime.exits import run_cli\n"
        "@click.command()\n"
        "def command():\n"
        "    sys.stdin.read()\n"
        f"    {ends}\n"
        "sys.exit(run_cli(command, program='vtsfs', args=[]))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1


def test_the_table_is_the_tree() -> None:
    table = exit_codes()
    assert table[10][0] is SettingsError
    assert table[70][0] is VtsError
    assert [kind.__name__ for kind in table[2]][:2] == ["UsageError", "NameInvalid"]
    assert list(table) == sorted(table)
