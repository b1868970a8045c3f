"""What is said of a settings file that is in order, and of one that is not."""

import json
from pathlib import Path

from click.testing import CliRunner, Result

from copyagent.cli.check import lines_of
from copyagent.cli.commands import copyagent
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.errors import SettingsError


def check(root: Path, *options: str, text: str = EXAMPLE) -> Result:
    """Check a file whose storage and keys are there."""
    for name in ("backing/BILL", "VAULT00"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for name in ("key", "known_hosts"):
        (root / name).write_text("")
        (root / name).chmod(0o600)
    file = root / "settings.yaml"
    file.write_text(text.replace("ROOT", str(root)))
    return CliRunner().invoke(copyagent, ["--config", str(file), "check", *options])


def test_a_file_in_order_is_told_with_what_could_not_be_looked_at(tmp_path: Path) -> None:
    done = check(tmp_path)
    assert done.exit_code == 0
    assert "in order (1 vault, 1 watched pool, 1 target, 0 hosts)" in done.output
    assert "no agent runs" in done.output
    assert "copyagent doctor" in done.output
    document = json.loads(check(tmp_path, "--json").output)
    assert document["in_order"] is True
    assert document["agent"] == "none"


def test_every_problem_is_told_and_what_is_away_as_well(tmp_path: Path) -> None:
    text = EXAMPLE.replace("/VAULT00/BILL", "/VAULT00/NONE").replace("port", "prot")
    done = check(tmp_path, "--json", text=f"{text}odd: 1\n")
    assert isinstance(done.exception, SettingsError)
    assert len(done.exception.problems) == 2
    document = json.loads(done.output)
    assert document["in_order"] is False
    assert "odd" in document["problems"][0]
    assert "there is no pool /VAULT00/NONE" in document["away"][0]


def test_how_the_agent_that_runs_stands_to_it() -> None:
    document = {
        "file": "x", "counts": {"vaults": 1}, "not_checked": [], "waiting_for_restart": [],
    }  # fmt: skip
    said = "\n".join(lines_of(document | {"agent": "other"}))
    assert "not in force yet: copyagent reload" in said
    waits = {"agent": "same", "waiting_for_restart": ["system.name"]}
    assert "before the agent is started again: system.name" in "\n".join(lines_of(document | waits))
