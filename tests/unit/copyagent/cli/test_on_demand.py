import subprocess
import sys

import click
import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.on_demand import OnDemand


@click.command()
def made_here() -> None:
    """Do nothing."""


def test_every_command_is_found_by_its_own_name() -> None:
    assert len(copyagent.commands) > 30
    for name in copyagent.commands:
        assert copyagent.commands[name].name == name


def test_nothing_is_imported_until_it_is_asked_for() -> None:
    program = (
        "import sys\n"
        "from copyagent.cli.commands import copyagent\n"
        "assert 'history' in list(copyagent.commands)\n"
        "before = 'copyagent.cli.history' in sys.modules\n"
        "copyagent.commands['history']\n"
        "print(before, 'copyagent.cli.history' in sys.modules, 'trio' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "True", "False"], done.stderr


def test_one_that_is_added_stands_beside_the_others() -> None:
    commands = OnDemand({"elsewhere": "copyagent.cli.json_schema:json_schema"})
    commands["made-here"] = made_here
    assert list(commands) == ["elsewhere", "made-here"]
    assert len(commands) == 2
    assert commands["made-here"] is made_here
    assert commands["elsewhere"] is commands["elsewhere"]
    del commands["elsewhere"]
    del commands["made-here"]
    assert list(commands) == []


@pytest.mark.parametrize("name", ["nothing", ""])
def test_what_is_no_command_is_a_key_error_as_in_any_mapping(name: str) -> None:
    commands = OnDemand({})
    assert commands.get(name) is None
    with pytest.raises(KeyError):
        del commands[name]


def test_what_it_leads_to_must_be_a_command() -> None:
    commands = OnDemand({"version": "copyagent.cli.json_schema:__doc__"})
    with pytest.raises(TypeError, match="is no command"):
        commands["version"]
