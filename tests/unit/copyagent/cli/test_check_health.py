"""The command keeps to the four exit statuses of monitoring plugins, whatever happens."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from copyagent.cli.commands import copyagent
from tests.support.documents import check_document
from tests.support.example_settings import EXAMPLE


def run(config: Path, *args: str) -> Result:
    return CliRunner().invoke(copyagent, ["--config", str(config), "check-health", *args])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "settings.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    return path


def test_no_agent_is_critical_and_what_was_known_last_is_said(config: Path) -> None:
    state = config.parent / "state"
    state.mkdir()
    last = {"at": "2026-11-22T10:00:00Z", "pools": [{"unprotected": 3}]}
    (state / "status.json").write_text(json.dumps(last))
    result = run(config)
    assert result.exit_code == 2
    assert result.output.startswith("COPYAGENT CRITICAL - the agent does not answer: no agent")
    assert "at 2026-11-22T10:00:00Z 3 tapes were unprotected" in result.output


@pytest.mark.parametrize(
    "args", [("--warning-age", "soon"), ("--no-such-option",), ("argument",), ("--timeout",)]
)
def test_a_wrong_command_line_is_unknown(config: Path, args: tuple[str, ...]) -> None:
    result = run(config, *args)
    assert result.exit_code == 3
    assert result.output.startswith("COPYAGENT UNKNOWN - ")


def test_settings_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    result = run(tmp_path / "none.yaml", "--json")
    assert result.exit_code == 3
    document = json.loads(result.output)
    check_document("check-health", document)
    assert (document["status"], document["exit"]) == ("UNKNOWN", 3)
    assert "cannot be read" in document["summary"]
