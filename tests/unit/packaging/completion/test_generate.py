"""The completion of bash knows every command and option, and starts no program for it."""

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from copyagent.cli.commands import copyagent
from tests.support.program_file import program
from vtsfs.cli import cli as vtsfs

generate = program("packaging/completion/generate.py")
PROGRAMS = {"vtsfs": vtsfs, "copyagent": copyagent}


def completed(name: str, *words: str) -> list[str]:
    """Return what bash proposes for the last of *words*."""
    script = f"""{generate.completion(name, PROGRAMS[name])}
        PATH=/nonexistent
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _{name}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    command = [str(shutil.which("bash")), "-c", script, "bash", name, *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_command_that_is_listed(name: str) -> None:
    group = PROGRAMS[name]
    assert isinstance(group, click.Group)
    listed = group.list_commands(click.Context(group))
    shown = [each for each in listed if not group.commands.get(each, click.Command(each)).hidden]
    assert set(completed(name, "")) == set(shown)


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        (("stat",), ["status"]),
        (("ems", "te"), ["test"]),
        (("ems", "test", "--wa"), ["--wait"]),
        (("ems", "nothing", "re"), ["replay"]),
        (("--config", "/etc/x.yaml", "relo"), ["reload", "relocate"]),
        (("run", "--"), ["--help"]),
        (("init", "--exam"), []),
        (("release", "--because", "status"), []),
        (("licence", ""), ["install", "remove", "show"]),
    ],
)
def test_what_is_proposed(words: tuple[str, ...], proposed: list[str]) -> None:
    assert completed("copyagent", *words) == proposed


def test_a_file_is_proposed_where_one_is_wanted(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").touch()
    assert completed("vtsfs", "--config", f"{tmp_path}/set") == [f"{tmp_path}/settings.yaml"]
