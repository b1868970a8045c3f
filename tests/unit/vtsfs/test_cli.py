import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.attached_vault import VAULT, Vault
from vtsfs import launch
from vtsfs.cli import cli
from vtsfs.contract.errors import AttachError, UsageError
from vtsfs.contract.settings import ENVIRONMENT
from vtsfs.fuse import mounting
from vtsfs.inquiry import known_vault
from vtsfs.runtime.exits import run_cli


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(cli, program="vtsfs", args=["--version"]) == 0
    assert "vtsfs" in capsys.readouterr().out


def test_settings_that_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("vaults: {}\nnonsense: 1\n")
    assert run_cli(cli, program="vtsfs", args=["--config", str(bad), "status"]) == 10
    assert "nonsense" in capsys.readouterr().err


def test_a_vault_that_the_settings_do_not_know(scratch: Path) -> None:
    with pytest.raises(UsageError, match=VAULT):
        known_vault(Vault(scratch).settings, "VAULT99")


def test_directories_that_cannot_be_covered(scratch: Path) -> None:
    vault = Vault(scratch)
    mounting.check_mountpoint(VAULT, vault.backing, vault.mount)
    with pytest.raises(AttachError, match="backing"):
        mounting.check_mountpoint(VAULT, scratch / "none", vault.mount)
    with pytest.raises(AttachError, match="mount point"):
        mounting.check_mountpoint(VAULT, vault.backing, vault.config)


def test_a_daemon_that_ends_at_once_gives_its_status_and_words(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vault = Vault(scratch)
    status = launch.start_in_background("VAULT99", vault.config, scratch / "log")
    assert status == 2
    assert "VAULT99" in capsys.readouterr().err


def test_what_the_daemon_says_goes_through_no_link(scratch: Path) -> None:
    vault, precious, log = Vault(scratch), scratch / "precious", scratch / "log"
    precious.write_text("as it was")
    log.symlink_to(precious)
    with pytest.raises(AttachError, match=r"cannot be written.*remove it"):
        launch.start_in_background("VAULT99", vault.config, log)
    assert precious.read_text() == "as it was"


def test_the_help_names_the_environment_variable_and_cuts_no_summary_short(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_cli(cli, program="vtsfs", args=["--help"]) == 0
    text = capsys.readouterr().out
    assert ENVIRONMENT in text
    assert "..." not in text.partition("Commands:")[2]


def test_the_environment_names_the_settings(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(Vault(scratch).config))
    assert run_cli(cli, program="vtsfs", args=["status"]) == 50
    assert VAULT in capsys.readouterr().out


def test_who_types_a_command_does_not_wait_for_what_serves_a_vault() -> None:
    question = "import sys, vtsfs.cli; print({'trio', 'pyfuse3', 'sqlite3'} & sys.modules.keys())"
    told = subprocess.run(
        [sys.executable, "-c", question], capture_output=True, text=True, check=True
    )
    assert told.stdout == "set()\n"
