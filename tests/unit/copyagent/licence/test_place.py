import json
import os
from pathlib import Path

import pytest

from copyagent.core.licence import Installed
from copyagent.licence.place import (
    find_licence,
    licence_path,
    lock_path,
    store_licence,
    verified,
    without_agent,
)
from tests.support.example_settings import example_settings
from tests.support.licences import TERMS, Issuer
from vtsfs.contract.errors import AgentBusy, LicenceInvalid, Refused, StateError
from vtsfs.contract.settings import Service, Settings
from vtsfs.runtime.files import lock_file

ISSUER = Issuer()
TEXT = ISSUER.issue()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = example_settings(tmp_path)
    made.agent_directory().mkdir(parents=True)
    return made


def put(path: Path, text: str = TEXT) -> Installed:
    found = Installed(None, "", "", "anna", "ordered", 17)
    if text:
        found = verified(text, [ISSUER.public], "anna", "ordered", 17)
    store_licence(path, text, found, Service())
    return found


def test_what_was_put_there_is_found(settings: Settings) -> None:
    path = licence_path(settings)
    assert find_licence(path, [ISSUER.public]) == Installed()
    assert put(path) == find_licence(path, [ISSUER.public])
    assert find_licence(path, [ISSUER.public]).terms == TERMS
    assert path.stat().st_mode & 0o777 == 0o600
    gone = put(path, "")
    assert find_licence(path, [ISSUER.public]) == gone
    assert (gone.digest, gone.user) == ("", "anna")


def test_a_file_of_another_issuer_is_a_licence_with_a_fault(settings: Settings) -> None:
    path = licence_path(settings)
    put(path)
    found = find_licence(path, [Issuer().public])
    assert found.terms is None
    assert "signature" in found.fault
    assert found.digest
    with pytest.raises(LicenceInvalid, match="signature"):
        verified(TEXT, [Issuer().public], "anna", "", 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 10_000,
        b"null",
        b'{"schema":2,"licence":"","user":"","because":"","at_ns":0}',
        b'{"schema":1,"licence":"","user":"","because":"","at_ns":1e999}',
        b'{"schema":1,"licence":"","user":"","because":"","at_ns":0}' + b" " * 20_000,
        TEXT.encode(),
    ],
    ids=lambda data: repr(data[:20]),
)
def test_a_damaged_file_is_told_and_ends_nothing(settings: Settings, data: bytes) -> None:
    path = licence_path(settings)
    path.write_bytes(data)
    found = find_licence(path, [ISSUER.public])
    assert found.fault == f"{path} is damaged"
    assert found.digest


def test_what_is_no_file_is_told(settings: Settings) -> None:
    path = licence_path(settings)
    path.mkdir()
    assert "cannot be read: Is a directory" in find_licence(path, []).fault
    with pytest.raises(StateError, match="nothing was changed"):
        put(path)


def test_changes_without_an_agent_are_made_only_while_there_is_none(settings: Settings) -> None:
    with without_agent(settings):
        pass
    assert not lock_path(settings).exists(), "root must not make the agent's files"
    with lock_file(lock_path(settings)):
        with pytest.raises(AgentBusy), without_agent(settings):
            pytest.fail("an agent runs")
    with without_agent(settings), pytest.raises(AgentBusy), lock_file(lock_path(settings)):
        pytest.fail("no agent may start")


def test_before_there_is_a_state_directory(tmp_path: Path) -> None:
    with (
        pytest.raises(StateError, match="start the agent once"),
        without_agent(example_settings(tmp_path)),
    ):
        pytest.fail("there is nothing to put it into")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_without_an_agent_the_owner_alone_may(scratch: Path) -> None:
    scratch.chmod(0o755)
    settings = example_settings(scratch)
    settings.paths.state.mkdir(mode=0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(Refused, match="only root and the owner"), without_agent(settings):
            pytest.fail("a stranger may not")
    finally:
        os.seteuid(0)
    os.chown(settings.paths.state, 65534, -1)
    os.seteuid(65534)
    try:
        with without_agent(settings):
            pass
    finally:
        os.seteuid(0)


def test_the_stored_form_never_changes(settings: Settings) -> None:
    path = licence_path(settings)
    put(path)
    assert json.loads(path.read_text()) == {
        "schema": 1,
        "licence": TEXT,
        "user": "anna",
        "because": "ordered",
        "at_ns": 17,
    }
