from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from copyagent.cli.commands import copyagent
from copyagent.cli.import_config import MAX_BYTES
from vtsfs.contract.errors import Unprotected, UsageError
from vtsfs.runtime.exits import run_cli

GOOD = b"ems_enable='YES'\r\nems_hostnames='DEV2'\r\nems_keep_alive='30'\r\n"


@pytest.fixture
def original(tmp_path: Path) -> Path:
    path = tmp_path / "original.cfg"
    path.write_bytes(GOOD)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(copyagent, ["import-vts-config", *map(str, words)])


def status(*words: object) -> int:
    return run_cli(copyagent, program="copyagent", args=["import-vts-config", *map(str, words)])


def test_settings_go_to_standard_output_and_notes_do_not(original: Path) -> None:
    result = run(original)
    assert result.exception is None
    assert "    DEV2:\n      address: DEV2\n      user:  # REQUIRED" in result.stdout
    assert "keep_alive: 30s\n" in result.stdout
    assert f"{original}:2: DEV2: user has to be filled in" in result.stderr
    assert f"{original}:2: DEV2: login is TACL unless you say another" in result.stderr
    assert "REQUIRED" not in result.stderr


def test_what_was_lost_is_an_exit_status(original: Path) -> None:
    original.write_bytes(GOOD + b"ems_pass\xfcword='Hush'\nems_password='Hush.4Ever'\n")
    result = run(original)
    assert isinstance(result.exception, Unprotected)
    assert "2 of its settings could not be carried over" in str(result.exception)
    assert (
        f"{original}:5: NOT CARRIED OVER: ems_password: a password is not copied" in result.stderr
    )
    assert "Hush" not in result.stdout + result.stderr + str(result.exception)
    assert status(original) == 50


def test_a_file_that_is_there_is_left_alone_unless_told(original: Path, tmp_path: Path) -> None:
    new = tmp_path / "ems.yaml"
    assert run(original, "--output", new).exception is None
    assert "DEV2" in new.read_text(encoding="utf-8")
    new.write_text("precious", encoding="utf-8")
    refused = run(original, "--output", new)
    assert isinstance(refused.exception, UsageError)
    assert "--overwrite" in str(refused.exception)
    assert new.read_text(encoding="utf-8") == "precious"
    assert run(original, "--output", new, "--overwrite").exception is None
    assert "DEV2" in new.read_text(encoding="utf-8")


def test_what_cannot_be_done_is_told(original: Path, tmp_path: Path) -> None:
    assert isinstance(run(original, "--overwrite").exception, UsageError)
    assert "cannot be read" in str(run(tmp_path / "none").exception)
    assert "cannot be read" in str(run(tmp_path).exception)
    assert "cannot be written" in str(run(original, "--output", tmp_path / "no/x").exception)
    original.write_bytes(b"#" * (MAX_BYTES + 1))
    assert "is no configuration" in str(run(original).exception)
