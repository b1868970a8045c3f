"""The SecureVTS gate on a kernel mount: what a tape engine's user gets, and what everybody else."""

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from grp import getgrnam
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.attached_vault import POOL, VAULT, Vault
from tests.support.posix_case import (
    GROUP,
    OTHER_GROUP,
    USER,
    as_user,
    fails_with,
    needs_root,
    opened,
)
from vtsfs.contract.signals import Kind

SIGNATURE = {"magic": "SVTSENC1", "key_id": {"offset": 8, "length": 16}}
TAPE = b"SVTSENC1" + b"KEY-2026".ljust(16) + bytes(range(256)) * 64


@contextmanager
def gated_vault(top: Path, encryption: dict[str, Any], **sections: Any) -> Iterator[Vault]:
    """Attach a vault by the settings of a receiver that runs the overlay alone."""
    top.chmod(0o755)
    vault = Vault(top)
    settings = yaml.safe_load(vault.config.read_text(encoding="utf-8"))
    settings |= {"encryption": encryption, **sections}
    vault.config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    (vault.backing / POOL).chmod(0o777)
    put(vault, "X00001", TAPE)
    put(vault, "X00002", b"plain")
    try:
        vault.attach()
        yield vault
    finally:
        vault.end()


def put(vault: Vault, label: str, content: bytes) -> Path:
    path = vault.backing / POOL / label
    path.write_bytes(content)
    path.chmod(0o666)
    return path


def event_lines(vault: Vault) -> list[list[str]]:
    text = (vault.top / "log" / "event.log").read_text(encoding="utf-8")
    return [line.split("|") for line in text.splitlines() if "|624180|" in line]


def assert_refused(path: Path, flags: int = os.O_RDONLY) -> None:
    with fails_with(errno.ENOKEY):
        os.open(path, flags)


@pytest.fixture(autouse=True)
def _other_users() -> None:
    needs_root()


def test_where_encryption_is_not_enabled(scratch: Path) -> None:
    with gated_vault(scratch, {"signature": SIGNATURE}) as vault:
        tape = vault.pool / "X00001"
        before = tape.stat()

        def as_the_engine() -> None:
            for access in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):
                for more in (0, os.O_TRUNC, os.O_APPEND, os.O_CREAT):
                    assert_refused(tape, access | more)
            assert {"X00001", "X00002"} <= set(os.listdir(vault.pool))
            assert tape.stat().st_size == len(TAPE)
            with opened(tape, os.O_PATH) as fd:
                assert os.fstat(fd).st_size == len(TAPE)
            os.link(tape, vault.pool / "X00003")
            assert_refused(vault.pool / "X00003")
            os.rename(vault.pool / "X00003", vault.pool / "X00004")
            assert_refused(vault.pool / "X00004")
            os.unlink(vault.pool / "X00004")
            assert (vault.pool / "X00002").read_bytes() == b"plain"

        as_user(as_the_engine)
        assert tape.read_bytes() == TAPE, "root reads what is stored"
        assert (tape.stat().st_mtime_ns, tape.stat().st_size) == (
            before.st_mtime_ns,
            before.st_size,
        )
        words = subprocess.run(
            ["cat", tape], capture_output=True, text=True, check=False, user=USER, group=GROUP
        )
        assert words.stdout == ""
        assert "Required key not available" in words.stderr
        lines = event_lines(vault)
        assert [line[-1].split(" ")[0] for line in lines] == [
            f"/{VAULT}/{POOL}/{label}" for label in ("X00001", "X00003", "X00004")
        ]
        assert lines[0][1] == "ERROR"
        text = (
            f"/{VAULT}/{POOL}/X00001 refused to the tape engine: encrypted with key KEY-2026, "
            "and encryption is not enabled here"
        )
        assert lines[0][6:] == [str(USER), "vtsfs", text]
        status = vault.status()["encryption"]
        assert (status["gate"], status["enabled"], status["refused"]) == ("on", False, 15)
        shown = vault.run("status", VAULT).stdout
        assert "encryption gate: on, encryption is not enabled here; 15 opens refused" in shown
        assert f"/{VAULT}/{POOL}/X00001 (key KEY-2026)" in shown
    assert (scratch / "backing" / POOL / "X00001").read_bytes() == TAPE


def test_a_refused_open_is_no_mount_and_told_once(scratch: Path) -> None:
    with gated_vault(scratch, {"signature": SIGNATURE}) as vault, vault.follow() as feed:

        def as_the_engine() -> None:
            for _ in range(300):
                assert_refused(vault.pool / "X00001", os.O_RDWR)
            (vault.pool / "X00002").write_bytes(b"new")

        as_user(as_the_engine)
        assert (feed.next().kind, feed.next().kind) == (Kind.MOUNTED, Kind.DISMOUNTED)
        status = vault.status()
        assert status["outbox"]["highest"] == 2
        assert status["encryption"]["refused"] == 300
        assert len(event_lines(vault)) == 1


def test_a_key_that_comes_to_its_server_opens_the_tape(scratch: Path) -> None:
    keys = scratch / "keys"
    servers = {"main": {"file": str(keys)}, "second": {"file": str(scratch / "none")}}
    encryption = {"signature": SIGNATURE, "enabled": True, "key_servers": servers}
    with gated_vault(scratch, encryption) as vault:
        tape = vault.pool / "X00001"
        as_user(lambda: assert_refused(tape))
        (line,) = event_lines(vault)
        assert "encrypted with key KEY-2026, key server main: " in line[-1]
        assert "cannot be read: No such file" in line[-1]
        status = vault.status()["encryption"]
        assert status["key_servers"] == ["main", "second"]
        assert set(status["failures"]) == {"main", "second"}
        assert "key server main FAILING: " in vault.run("status", VAULT).stdout

        keys.write_bytes(b"KEY-2026  # since October\n")

        def as_the_engine() -> None:
            assert tape.read_bytes() == TAPE, "as it is stored: the engine decrypts it"
            with opened(tape, os.O_WRONLY) as fd:
                os.pwrite(fd, b"changed", len(TAPE))

        as_user(as_the_engine)
        keys.write_bytes(b"KEY-2025\n")
        as_user(lambda: assert_refused(tape))
        assert vault.status()["encryption"]["refused"] == 2
        assert len(event_lines(vault)) == 1, "one message a tape and hour"


def test_a_tape_that_a_peer_publishes_is_recognised(scratch: Path) -> None:
    with gated_vault(scratch, {"signature": SIGNATURE}) as vault:
        stage = vault.mount / ".vts-autocopy" / "PEER" / "a.stage"
        stage.parent.mkdir(parents=True)
        for content, is_refused in ((TAPE, True), (b"plain again", False), (TAPE, True)):
            stage.write_bytes(content)
            stage.chmod(0o644)
            stage.rename(vault.pool / "X00009")
            published = vault.pool / "X00009"

            def as_the_engine(
                published: Path = published, content: bytes = content, is_refused: bool = is_refused
            ) -> None:
                if is_refused:
                    assert_refused(published)
                else:
                    assert published.read_bytes() == content

            as_user(as_the_engine)


def test_whom_the_gate_is_for(scratch: Path) -> None:
    groups = {"service": {"group": "nogroup"}}
    nogroup = getgrnam("nogroup").gr_gid
    with gated_vault(scratch, {"signature": SIGNATURE}, **groups) as vault:
        tape = vault.pool / "X00001"

        def reads() -> None:
            assert tape.read_bytes() == TAPE

        as_user(reads, groups=[OTHER_GROUP, nogroup])
        as_user(reads, gid=nogroup)
        as_user(lambda: assert_refused(tape), groups=[OTHER_GROUP])
        for group, status in ((nogroup, 0), (OTHER_GROUP, 1)):
            # Its number in its own process namespace is not the one that the overlay is told.
            apart = ["unshare", "--pid", "--fork", "setpriv", f"--reuid={USER}", f"--regid={GROUP}"]
            read = [*apart, f"--groups={group}", "cat", str(tape)]
            ended = subprocess.run(read, capture_output=True, check=False)
            assert ended.returncode == status, ended.stderr
            assert ended.stdout == (b"" if status else TAPE)


def test_a_list_of_engine_users_is_exact(scratch: Path) -> None:
    encryption = {"signature": SIGNATURE, "engine_users": ["root", USER]}
    with gated_vault(scratch, encryption) as vault:
        assert_refused(vault.pool / "X00001")
        as_user(lambda: assert_refused(vault.pool / "X00001"))

        def reads() -> None:
            assert (vault.pool / "X00001").read_bytes() == TAPE

        as_user(reads, uid=USER + 1)


def test_without_a_signature_everything_passes(scratch: Path) -> None:
    with gated_vault(scratch, {"enabled": False}) as vault:

        def reads() -> None:
            assert (vault.pool / "X00001").read_bytes() == TAPE

        as_user(reads)
        assert vault.status()["encryption"] == {"gate": "off"}
        assert "encryption gate: off, no signature" in vault.run("status", VAULT).stdout
        assert event_lines(vault) == []


def test_an_engine_user_whom_nobody_knows(scratch: Path) -> None:
    with (
        pytest.raises(AssertionError, match=r"engine_users: there is no user 'no-such-user'"),
        gated_vault(scratch, {"signature": SIGNATURE, "engine_users": ["no-such-user"]}),
    ):
        pass
