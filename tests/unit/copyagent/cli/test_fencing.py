"""Fencing and taking over by command, at a real server and without an agent."""

import os
from pathlib import Path

import pytest
import yaml

from copyagent.cli.commands import copyagent
from copyagent.cli.fencing_run import Done, do_there
from copyagent.control.errands import AtTarget
from copyagent.transfer.agent_mark import AgentMark
from tests.support.example_settings import EXAMPLE
from tests.support.sshd import ADDRESS, Sshd
from vtsfs.contract.settings import ENVIRONMENT, Settings, parse_settings
from vtsfs.runtime.exits import run_cli
from vtsfs.runtime.late_acts import left, place_of
from vtsfs.runtime.peers import user_name

pytestmark = pytest.mark.ssh


@pytest.fixture
def vault(tmp_path: Path) -> Path:
    made = tmp_path / "far" / "VAULT00"
    made.mkdir(parents=True)
    return made


@pytest.fixture
def settings(tmp_path: Path, vault: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The example, with the target behind *sshd*, named by the environment."""
    data = yaml.safe_load(EXAMPLE.replace("ROOT", str(tmp_path)))
    data["targets"]["drsite"] |= {
        "host": ADDRESS,
        "port": sshd.port,
        "user": sshd.user,
        "key": str(sshd.key),
        "known_hosts": str(sshd.known_hosts),
        "vaults": {"VAULT00": str(vault)},
    }
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(yaml.safe_dump(data))
    monkeypatch.setenv(ENVIRONMENT, str(path))
    return parse_settings(path.read_text(), "test")


def run(*arguments: str) -> int:
    return run_cli(copyagent, program="copyagent", args=arguments)


def test_a_fence_says_who_and_why(
    settings: Settings, vault: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("fence", "drsite", "--because", "it takes over") == 0
    fence = vault / ".vts-autocopy" / "IN-SERVICE"
    assert fence.read_text().endswith(": it takes over\n")
    told = capsys.readouterr()
    assert f"{fence}: nothing is published in this vault now" in told.out
    assert "done, but NOT on record: no agent answers" in told.err
    assert run("unfence", "drsite", "--because", "it is back") == 0
    assert not fence.exists()


def test_taking_over_replaces_the_other_s_mark(settings: Settings, vault: Path) -> None:
    mark = vault / ".vts-autocopy" / settings.system.name / "AGENT"
    mark.parent.mkdir(parents=True)
    mark.write_bytes(AgentMark("b" * 32, settings.system.name, "old").encode())
    assert run("take-over", "drsite", "--because", "the old one burnt") == 0
    assert AgentMark.decode(mark.read_bytes()) == AgentMark.of(settings)
    act = AtTarget("take-over", "drsite", "again")
    nothing = "drsite: no other agent's mark is there: nothing was to be done"
    assert do_there(settings, act, "") == Done([nothing], changed=False)


@pytest.mark.usefixtures("settings")
def test_a_target_of_another_name_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("fence", "drsit", "--because", "x") == 2
    assert "did you mean drsite?" in capsys.readouterr().err
    for command in ("take-over", "fence", "unfence"):
        assert run(command, "drsite") == 2
        assert "--because" in capsys.readouterr().err


def test_what_was_done_without_an_agent_is_left_for_the_next(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.agent_directory().mkdir(parents=True)
    assert run("fence", "drsite", "--because", "it takes over") == 0
    assert "done; it goes on record when an agent runs" in capsys.readouterr().err
    ((_, act),) = left(place_of(settings))
    assert act is not None
    assert (act.action, act.about, act.because) == ("fence", "drsite", "it takes over")
    assert act.user == user_name(os.getuid())


@pytest.mark.usefixtures("settings")
def test_a_target_that_does_not_answer_is_told(
    sshd: Sshd, capsys: pytest.CaptureFixture[str]
) -> None:
    sshd.stop()
    assert run("fence", "drsite", "--because", "x") == 60
    assert "cannot be reached" in capsys.readouterr().err
