"""The example files do what they are shown for."""

from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.runtime.exits import run_cli

EXAMPLES = Path(__file__).parents[2] / "packaging" / "examples"
BAD = EXAMPLES / "bad.yaml"

#: What is wrong in bad.yaml, in any order, on whatever machine it is looked at.
MISTAKES = [
    "system.modle: no such setting",
    "vaults.VAULT00.mountpoint: /var/lib/vts/VAULT00/up overlaps vaults.VAULT00.backing",
    "vaults.VAULT01.backing: /no/such/directory is not a directory",
    "targets.drsite.password: no such setting",
    "targets.drsite.key: /no/such/key cannot be read",
    "targets.drsite.known_hosts: /no/such/known_hosts cannot be read",
    "autocopy.0.target: no target 'drsight' (known: drsite)",
    "autocopy.1.pool: vault VAULT07 is not under vaults:",
    "autocopy.2.target_pool: vault VAULT01 is not under targets.drsite.vaults",
    "retry.interval: should be a duration such as 30s, 5m or 24h",
    "cross_check.conflict: ",
    "naming.label: not a regular expression",
    "ems.hosts: no host is configured",
]


def test_the_first_configuration_is_valid() -> None:
    settings = read_settings(EXAMPLES / "vts-autocopy.yaml")
    assert settings.autocopy
    assert settings.ems.hosts
    assert settings.paths == Settings.model_fields["paths"].default
    assert settings.retry == Settings.model_fields["retry"].default


def test_every_mistake_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(copyagent, program="copyagent", args=["--config", str(BAD), "check"]) == 10
    captured = capsys.readouterr()
    told = captured.err.splitlines()
    assert captured.out == ""
    assert all(line.startswith(f"{BAD}: ") for line in told)
    missing = [m for m in MISTAKES if not any(f"{BAD}: {m}" in line for line in told)]
    assert missing == []
    assert len(told) == len(set(told)) >= len(MISTAKES)
