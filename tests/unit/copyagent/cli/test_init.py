"""A first settings file is written once, for its readers, and what it still lacks is named."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from copyagent.checking import look_at
from copyagent.cli import init as module
from copyagent.cli.commands import copyagent
from tests.support.nonstop import TREE
from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import parse_settings

ENOUGH = ("--system", "TAPESRV1", "--vault", "VAULT00=/no/backing:/no/VAULT00", "--no-ems")


def init(file: Path, *options: str) -> Result:
    """Write a first settings file with *options*."""
    return CliRunner().invoke(copyagent, ["--config", str(file), "init", *options])


def test_it_is_written_for_its_owner_and_group_and_what_is_missing_is_named(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    wanted = (*ENOUGH, "--target", "drsite=vts@dr.example.com", "--pool", "/VAULT00/BILL=drsite")
    done = init(file, *wanted)
    assert done.exit_code == 0, done.exception
    assert stat.S_IMODE(file.stat().st_mode) == module.MODE
    assert "copyagent keys init drsite" in done.output
    assert "/no/VAULT00 is not a directory; create it" in done.output
    checked = look_at(file)
    # What is wrong with it is only what does not exist yet.
    assert checked.settings is not None
    assert all("cannot be read: No such file" in problem for problem in checked.problems)


def test_a_file_that_is_there_is_left_alone_unless_told_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text("mine")
    done = init(file, *ENOUGH)
    assert isinstance(done.exception, UsageError)
    assert "is there already" in str(done.exception)
    assert file.read_text() == "mine"
    assert init(file, *ENOUGH, "--overwrite").exit_code == 0
    assert "TAPESRV1" in file.read_text()


def packaged(tmp_path: Path) -> tuple[Path, Path]:
    """Lay out what a package makes; return its settings file and the example of it."""
    example, file = tmp_path / "example.yaml", tmp_path / "etc" / "settings.yaml"
    (tmp_path / "etc" / "keys").mkdir(parents=True)
    for each in (example, file):
        each.write_text("vaults: {}\n")
        each.chmod(0o644)
    return file, example


def test_what_a_package_brought_and_nobody_edited_may_go(tmp_path: Path) -> None:
    file, example = packaged(tmp_path)
    wanted = (*ENOUGH, "--target", "drsite=vts@dr.example.com", "--example", str(example))
    assert init(file, *wanted).exit_code == 0
    settings = parse_settings(file.read_text(), "settings")
    assert (settings.service.user, settings.service.group) == ("vts-autocopy", "vts-autocopy")
    assert settings.targets["drsite"].key == file.parent / "keys" / "id_ed25519"
    assert settings.targets["drsite"].known_hosts == file.parent / "known_hosts"
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    # It is somebody's now.
    assert isinstance(init(file, *wanted).exception, UsageError)


def test_what_a_package_brought_and_somebody_edited_stays(tmp_path: Path) -> None:
    file, example = packaged(tmp_path)
    file.write_text("vaults: {}\n# mine\n")
    done = init(file, *ENOUGH, "--example", str(example))
    assert isinstance(done.exception, UsageError)
    assert file.read_text() == "vaults: {}\n# mine\n"


def test_it_can_be_printed(tmp_path: Path) -> None:
    done = init(tmp_path / "settings.yaml", *ENOUGH, "--output", "-")
    assert "system: {name: TAPESRV1}" in done.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "say --system NAME, --vault NAME=BACKING:MOUNTPOINT, --ems HOST=ADDRESS or --no-ems"),
        ((*ENOUGH, "--ems", "DEV2=dev2"), "choose one"),
        ((*ENOUGH, "--pool", "/VAULT00/BILL=nowhere"), "no target 'nowhere'"),
        ((*ENOUGH, "--system", "a name with blanks"), "system.name"),
    ],
)
def test_nothing_is_written_that_could_not_be_read(
    tmp_path: Path, options: tuple[str, ...], said: str
) -> None:
    done = init(tmp_path / "settings.yaml", *options)
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    # The name as proposed, a vault that is asked for again, one target, one pool, no host.
    vaults = "VAULT00=/no/backing\nVAULT00=/no/backing:/no/VAULT00\n\n"
    answers = f"\n{vaults}drsite=vts@dr.example.com\n\n/VAULT00/BILL=drsite\n\n\n"
    screen, program = os.openpty()
    command = [sys.executable, "-m", "copyagent", "--config", str(file), "init"]
    asked = subprocess.Popen(command, stdin=program, stdout=program, stderr=program, cwd=TREE)
    os.close(program)
    os.write(screen, answers.encode())
    shown = b""
    try:
        while piece := os.read(screen, 65536):
            shown += piece
    except OSError:
        pass  # the other end is closed: EIO is how a terminal says so
    os.close(screen)
    assert asked.wait(60) == 0, shown
    assert b"both paths absolute" in shown
    settings = parse_settings(file.read_text(), "made")
    assert str(settings.autocopy[0].pool) == "/VAULT00/BILL"
    assert not settings.ems.required


def test_the_steps_that_follow_can_be_typed_as_they_stand(tmp_path: Path) -> None:
    file = tmp_path / "a file.yaml"
    place = tmp_path / "VAULT00"
    options = ("--system", "TAPESRV1", "--vault", f"VAULT00={place}:{tmp_path}/mnt", "--no-ems")
    wanted = ("--target", "drsite=vts@dr.example.com", "--pool", "/VAULT00/BILL=drsite")
    told = init(file, *options, *wanted).output.splitlines()
    steps = [
        line.split("   #")[0].strip() for line in told[told.index("Then, in this order:") + 1 :]
    ]
    assert steps[0] == f"export VTS_AUTOCOPY_CONFIG='{file}'"
    assert steps[1] == f"mkdir -p {place}/BILL {tmp_path}/mnt"
    assert steps[-1] == "copyagent sync /VAULT00/BILL"
    assert not [step for step in steps if "systemctl" in step]
