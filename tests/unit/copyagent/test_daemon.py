"""The agent's start: what keeps it from running is said by name, and nothing is left behind."""

from pathlib import Path

import pytest

from copyagent.daemon import run_agent
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import AgentBusy, SettingsError, VtsError
from vtsfs.runtime.files import lock_file


def causes(error: BaseException) -> list[BaseException]:
    """Unpack what a nursery wrapped."""
    if isinstance(error, BaseExceptionGroup):
        return [cause for inner in error.exceptions for cause in causes(inner)]
    return [error]


def test_a_second_agent_on_one_state_is_refused(tmp_path: Path) -> None:
    settings = example_settings(tmp_path)
    settings.agent_directory().mkdir(parents=True)
    with lock_file(settings.agent_directory() / "lock"), pytest.raises(AgentBusy):
        run_agent(settings, tmp_path / "none.yaml")


def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    host = "{address: 127.0.0.1, user: VTS.EMS, password_file: ROOT/none}"
    text = EXAMPLE.replace("{required: false}", f"{{hosts: {{DEV2: {host}}}}}")
    with pytest.raises(BaseExceptionGroup) as caught:
        run_agent(example_settings(tmp_path, text), tmp_path / "none.yaml")
    (cause,) = causes(caught.value)
    assert isinstance(cause, SettingsError)
    assert "ems.hosts.DEV2.password_file" in str(cause)


def test_an_unknown_service_user_is_named(tmp_path: Path) -> None:
    text = EXAMPLE + "service: {user: nobody-of-that-name}\n"
    with pytest.raises(BaseExceptionGroup) as caught:
        run_agent(example_settings(tmp_path, text), tmp_path / "none.yaml")
    (cause,) = causes(caught.value)
    assert isinstance(cause, SettingsError)
    assert "service.user" in str(cause)


def test_a_damaged_state_is_set_aside_and_told(tmp_path: Path, expect_log: ExpectedLogs) -> None:
    expect_log("state was damaged", level=50)
    settings = example_settings(tmp_path, EXAMPLE + "service: {user: nobody-of-that-name}\n")
    settings.agent_directory().mkdir(parents=True)
    (settings.agent_directory() / "agent.sqlite").write_bytes(b"scribble" * 1000)
    with pytest.raises(BaseExceptionGroup) as caught:
        run_agent(settings, tmp_path / "none.yaml")
    assert all(isinstance(cause, VtsError) for cause in causes(caught.value))
    assert list(settings.agent_directory().glob("agent.sqlite.damaged-*"))
