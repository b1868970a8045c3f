"""The command line: what it asks, what it prints, and how it ends."""

import json
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.runtime.exits import run_cli

BROKEN = EXAMPLE.replace("drsite, target_pool", "nowhere, target_pool") + "surprise: 1\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A settings file whose files and directories are all there, named by the environment."""
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    (tmp_path / "backing" / "BILL").mkdir(parents=True)
    (tmp_path / "VAULT00").mkdir()
    for name in ("key", "known_hosts"):
        (tmp_path / name).write_text("x")
        (tmp_path / name).chmod(0o600)
    monkeypatch.setenv(ENVIRONMENT, str(path))
    return path


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=arguments)


def test_check_says_that_all_is_in_order(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("check") == 0
    assert f"{config}: in order" in capsys.readouterr().out


def test_check_reports_every_problem_with_file_and_key(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config.write_text(config.read_text() + "surprise: 1\nretry: {interval: 5}\n")
    assert run("check") == 10
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in told] == ["retry.interval", "surprise"]


def test_check_knows_which_algorithms_there_are(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = config.read_text()
    config.write_text(text.replace("user: vts", "user: vts\n    algorithms: {ciphers: [rot13]}"))
    assert run("check") == 10
    assert "targets.drsite.algorithms.ciphers: 'rot13' is not known" in capsys.readouterr().err
    config.write_text(text.replace("user: vts", "user: vts\n    algorithms: {macs: [hmac-sha1]}"))
    assert run("check") == 0


def test_check_looks_at_the_files_too(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (config.parent / "key").chmod(0o644)
    (config.parent / "known_hosts").unlink()
    (config.parent / "backing" / "BILL").rmdir()
    assert run("check") == 10
    told = capsys.readouterr().err
    assert "chmod 600" in told
    assert "known_hosts cannot be read" in told.replace(str(config.parent) + "/", "")
    assert "there is no pool /VAULT00/BILL" in told
    assert len(told.splitlines()) == 3


def test_check_changes_nothing(config: Path) -> None:
    before = sorted(config.parent.rglob("*"))
    run("check")
    assert sorted(config.parent.rglob("*")) == before


def test_a_missing_file_names_the_next_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--config", str(tmp_path / "none.yaml"), "check") == 10
    assert "--config" in capsys.readouterr().err


def test_without_an_agent_the_status_ends_with_its_own_code(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status") == 40
    assert "no agent answers" in capsys.readouterr().err


@pytest.mark.usefixtures("config")
def test_without_an_agent_the_last_known_state_is_shown_with_its_date(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {
        "schema": 1, "system": "TAPESRV1", "version": "0.1.0", "at": "2026-11-22T03:00:00Z",
        "pools": [], "attention": [], "copies": [], "hosts": [], "vaults": [], "targets": [],
    }  # fmt: skip
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "status.json").write_text(json.dumps(document))
    assert run("status") == 40
    shown = capsys.readouterr()
    assert "NOT running" in shown.out
    assert "2026-11-22T03:00:00Z" in shown.out
    assert run("status", "--json") == 40
    assert json.loads(capsys.readouterr().out)["stale"] is True


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "/VAULT00/BILL/X1", "--failed"),
        ("explain", "X00001"),
        ("sync", "/VAULT00"),
        ("release", "/VAULT00/BILL/X1"),
        ("status", "--watch", "--json"),
    ],
)
@pytest.mark.usefixtures("config")
def test_a_wrong_command_line_ends_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert capsys.readouterr().err
