"""The example files do what they are shown for."""

import grp
import os
import pwd
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from copyagent.checking import look_at
from copyagent.cli.commands import copyagent
from vtsfs.contract.credentials import DIRECTORY
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings import Settings, parse_settings
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


#: The package makes this user; the machine that tests has another.
HERE = grp.getgrgid(os.getegid()).gr_name, pwd.getpwuid(os.geteuid()).pw_name


def test_what_a_package_installs_is_in_order_and_starts_nothing(tmp_path: Path) -> None:
    text = (EXAMPLES / "first.yaml").read_text()
    group, user = HERE
    made = text.replace("user: vts-autocopy", f"user: {user}")
    file = tmp_path / "settings.yaml"
    file.write_text(made.replace("group: vts-autocopy", f"group: {group}"))
    done = CliRunner().invoke(copyagent, ["--config", str(file), "check"])
    assert done.exit_code == 0, done.output
    assert "none is configured yet" in done.output
    with pytest.raises(SettingsError):
        look_at(file).sound()


def test_what_is_commented_out_in_it_is_valid_and_complete() -> None:
    text = (EXAMPLES / "first.yaml").read_text()
    # A section that says {} or [] is followed by what would stand there instead.
    opened = re.sub(r"^(vaults|targets|autocopy): (\{\}|\[\])$", r"\1:", text, flags=re.MULTILINE)
    opened = opened.replace("ems: {required: false}", "ems:")
    settings = parse_settings(re.sub(r"^#(?=  )", "", opened, flags=re.MULTILINE), "first.yaml")
    assert set(settings.vaults) == {"VAULT00"}
    assert settings.targets["drsite"].key.parent == DIRECTORY
    assert settings.ems.hosts["DEV2"].password_file == DIRECTORY / "dev2"
    assert settings.autocopy[0].target == "drsite"


def test_every_mistake_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(copyagent, program="copyagent", args=["--config", str(BAD), "check"]) == 10
    captured = capsys.readouterr()
    told = captured.err.splitlines()
    assert captured.out == ""
    assert all(line.startswith(f"{BAD}: ") for line in told)
    missing = [m for m in MISTAKES if not any(f"{BAD}: {m}" in line for line in told)]
    assert missing == []
    assert len(told) == len(set(told)) >= len(MISTAKES)
