"""``copyagent ems test`` as operators run it: what it prints, and its exit status."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from copyagent.cli.ems_trial import ERRORS
from copyagent.core.host_events import LinkTrouble
from tests.support.documents import check_document
from tests.support.example_settings import EXAMPLE
from tests.support.nonstop import TREE, NonStop
from tests.support.scratch import scratch_directory
from tests.support.sshd import ADDRESS
from vtsfs.contract.errors import LinkFailed


@pytest.fixture(scope="module")
def host() -> Iterator[NonStop]:
    with scratch_directory() as directory, NonStop(directory) as started:
        yield started


def tried(root: Path, *arguments: str, **host: object) -> subprocess.CompletedProcess[str]:
    """Run the command with settings whose one host is *host*."""
    config = root / "vts-autocopy.yaml"
    hosts = json.dumps({"hosts": {"DEV2": host}})
    text = EXAMPLE.replace("ems: {required: false}", f"ems: {hosts}").replace("ROOT", str(root))
    config.write_text(text, encoding="ascii")
    command = [sys.executable, "-m", "copyagent", "--config", str(config), "ems", "test", "DEV2"]
    return subprocess.run(
        [*command, *arguments], capture_output=True, text=True, check=False, cwd=TREE, timeout=60
    )


def test_every_kind_of_trouble_has_an_exit_status_of_its_family() -> None:
    assert set(ERRORS) == set(LinkTrouble)
    assert all(issubclass(error, LinkFailed) for error in ERRORS.values())


def test_a_refused_log_on_is_told_without_the_password(tmp_path: Path, host: NonStop) -> None:
    password = tmp_path / "password"
    password.write_text("Wr0ng-Word\n", encoding="ascii")
    password.chmod(0o600)
    ended = tried(
        tmp_path,
        address="127.0.0.1",
        port=host.port,
        user=host.user,
        password_file=str(password),
        response_timeout="2s",
    )
    assert ended.returncode == 62
    assert "password prompt" in ended.stdout
    assert "log-on refused" in ended.stderr
    assert "Check user and password file" in ended.stderr
    assert "Wr0ng" not in ended.stdout + ended.stderr


def test_the_end_of_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "events"
    file.write_text(
        "06-09-14 22:01:00 \\DEV2.$ZSVR  TANDEM.TAPE.G06  000659 STATUS 1512 - X00001 TAPE\n"
        "        DISMOUNTED FROM DRIVE $VTAPE0\n",
        encoding="ascii",
    )
    ended = tried(tmp_path, "--json", access="file", file=str(file))
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    check_document("ems-test", document)
    assert (document["ok"], document["events"], document["failure"]) == (True, 1, None)
    assert document["latest"][0]["reading"] == "X00001 dismounted from $VTAPE0"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    ended = tried(tmp_path, "--json", access="file", file=str(tmp_path / "nowhere"))
    assert ended.returncode == 60
    document = json.loads(ended.stdout)
    check_document("ems-test", document)
    assert document["failure"]["trouble"] == "file of events cannot be read"


@pytest.mark.ssh
def test_over_ssh_an_unknown_host_key_has_a_status_of_its_own(
    tmp_path: Path, host: NonStop
) -> None:
    with scratch_directory() as directory, host.ssh_front(directory / "front") as front:
        link = {
            "access": "ssh",
            "address": ADDRESS,
            "port": front.port,
            "ssh_user": front.user,
            "key": str(front.key),
            "known_hosts": str(front.known_hosts),
        }
        ended = tried(tmp_path, "--wait", "0", **link)
        assert ended.returncode == 0, ended.stderr
        assert "distributor runs" in ended.stdout
        nobody = directory / "known_hosts"
        nobody.touch()
        ended = tried(tmp_path, "--wait", "0", **link | {"known_hosts": str(nobody)})
        assert ended.returncode == 64, ended.stderr
