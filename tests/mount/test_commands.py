"""attach, detach and status, as an operator meets them."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, VAULT, Vault, attached_vault
from tests.support.mountpoint import mounts_under
from tests.support.posix_case import close_dead, fails_with, opened
from tests.support.processes import is_alive, send_signal, state_of
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind
from vtsfs.fuse.mounting import guard_mountpoint


def test_attaching_twice_is_refused(vault: Vault) -> None:
    ended = vault.run("attach", VAULT)
    assert ended.returncode == 20
    assert "already attached" in ended.stderr


def test_an_unknown_vault(vault: Vault) -> None:
    ended = vault.run("attach", "VAULT99")
    assert ended.returncode == 2
    assert VAULT in ended.stderr


def test_a_missing_mount_point(scratch: Path) -> None:
    vault = Vault(scratch)
    vault.mount.rmdir()
    ended = vault.run("attach", VAULT)
    assert ended.returncode == 20
    assert str(vault.mount) in ended.stderr


def test_what_was_done_is_told_as_a_document(scratch: Path) -> None:
    vault = Vault(scratch)
    told = [vault.run(what, VAULT, "--json") for what in ("attach", "detach")]
    documents = [json.loads(ended.stdout) for ended in told]
    assert [document["schema"] for document in documents] == [1, 1]
    (attached,), (detached,) = (document["answers"] for document in documents)
    assert attached.startswith(f"{VAULT} attached at {vault.mount}")
    assert detached == f"{VAULT} detached from {vault.mount}"


def test_detach_names_the_open_tapes_and_changes_nothing(vault: Vault) -> None:
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        ended = vault.run("detach", VAULT)
        assert ended.returncode == 21
        assert f"/{VAULT}/{POOL}/X00001" in ended.stderr
        assert str(os.getpid()) in ended.stderr
        os.write(fd, b"still served")
    with vault.follow() as feed:
        feed.until(Kind.DISMOUNTED, "X00001")
    vault.detach()
    assert os.listdir(vault.mount) == []
    assert vault.run("detach", VAULT).returncode == 20


def test_detach_does_not_take_a_tape_for_open_that_is_just_being_closed(vault: Vault) -> None:
    tape = vault.pool / "X00001"
    tape.write_bytes(b"0")
    with tape.open("rb") as reading:
        closing = threading.Timer(0.6, reading.close)
        closing.start()
        ended = vault.run("detach", VAULT)
        closing.join()
    assert ended.returncode == 0, ended.stderr
    assert not os.path.ismount(vault.mount)


def test_detach_while_somebody_stands_in_the_vault(vault: Vault) -> None:
    with opened(vault.pool, os.O_RDONLY | os.O_DIRECTORY):
        ended = vault.run("detach", VAULT)
        assert ended.returncode == 21
        assert "fuser" in ended.stderr
    vault.detach()


def test_what_the_daemon_makes_for_itself_is_nobody_else_s_to_write(vault: Vault) -> None:
    (vault.pool / "X00001").write_bytes(b"0")
    for directory in ("run", "state", "log"):
        for path in [vault.top / directory, *(vault.top / directory).rglob("*")]:
            if not path.is_socket():
                assert not path.stat().st_mode & 0o022, path


def test_status(vault: Vault) -> None:
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, bytes(2048))
        status = vault.status()
        assert status["attached"]
        assert status["open_tapes"][0]["tape"] == f"/{VAULT}/{POOL}/X00001"
        assert status["open_tapes"][0]["bytes_written"] == 2048
        assert status["open_tapes"][0]["pids"] == [os.getpid()]
        text = vault.run("status").stdout
        assert "X00001 open for writing" in text
        assert "2.0 KiB" in text
    assert vault.run("status", VAULT).returncode == 0


def test_status_of_what_is_not_attached(scratch: Path) -> None:
    vault = Vault(scratch)
    ended = vault.run("status")
    assert ended.returncode == 50
    assert "NOT ATTACHED" in ended.stdout


def _at_once(vault: Vault, *commands: str) -> "list[subprocess.CompletedProcess[str]]":
    """Type the *commands* beside each other: each has to be patient with who does not answer."""
    with ThreadPoolExecutor(len(commands)) as hands:
        return list(hands.map(lambda what: vault.run(*what.split(), VAULT), commands))


def _assert_left_attached(vault: Vault, ended: "subprocess.CompletedProcess[str]") -> None:
    assert ended.returncode == 20, ended.stdout
    assert "does not answer" in ended.stderr
    assert ended.stdout == ""
    assert len(mounts_under(vault.mount)) == 1


def test_an_overlay_whose_socket_is_gone_is_not_dead(vault: Vault) -> None:
    daemon = vault.daemon()
    vault.settings.feed_socket(VAULT).unlink()
    shown, refused = _at_once(vault, "status", "detach")
    assert shown.returncode == 50
    assert f"does not answer (process {daemon.pid})" in shown.stdout
    assert "died" not in shown.stdout
    assert f"does not answer: {VAULT}" in shown.stderr
    _assert_left_attached(vault, refused)
    (vault.pool / "X00001").write_bytes(b"still served")
    # The next step that was named.
    send_signal(daemon, signal.SIGTERM)
    wait_until(lambda: not is_alive(daemon), 20, "the daemon has ended")
    assert mounts_under(vault.mount) == []


def test_a_stopped_overlay_is_not_dead_and_nothing_waits_for_it(vault: Vault) -> None:
    daemon = vault.daemon()
    send_signal(daemon, signal.SIGSTOP)
    wait_until(lambda: state_of(daemon) == "T", 10, "the daemon is stopped")
    shown, *refused = _at_once(vault, "status --json", "detach", "attach")
    (told,) = json.loads(shown.stdout)
    assert (told["attached"], told["dead"], told["silent"]) == (False, False, True)
    assert told["pid"] == daemon.pid
    for ended in refused:
        _assert_left_attached(vault, ended)
    send_signal(daemon, signal.SIGCONT)
    vault.detach()


def test_an_overlay_whose_files_are_all_gone_is_not_dead(vault: Vault) -> None:
    daemon = vault.daemon()
    for path in (vault.top / "run").iterdir():
        path.unlink()
    shown, refused = _at_once(vault, "status", "detach")
    assert shown.returncode == 50
    assert "does not answer (process unknown)" in shown.stdout
    _assert_left_attached(vault, refused)
    send_signal(daemon, signal.SIGSTOP)
    wait_until(lambda: state_of(daemon) == "T", 10, "the daemon is stopped")
    # Nobody but the mount itself can be asked now, and it does not say a word.
    for ended in _at_once(vault, "detach", "attach"):
        _assert_left_attached(vault, ended)
    send_signal(daemon, signal.SIGCONT)


def test_a_dead_overlay_is_taken_off_and_the_next_one_attached(vault: Vault) -> None:
    vault.kill()
    assert "its overlay died" in vault.run("status", VAULT).stdout
    vault.detach()
    assert mounts_under(vault.mount) == []
    vault.attach()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a tmpfs")
@pytest.mark.parametrize("is_dead", [True, False])
def test_an_overlay_under_something_else_is_neither_attached_nor_detached(
    vault: Vault, is_dead: bool
) -> None:
    if is_dead:
        vault.kill()
    subprocess.run(["mount", "-t", "tmpfs", "none", vault.mount], check=True)
    ended = vault.run("detach", VAULT)
    assert ended.returncode == 20
    assert ended.stdout == ""
    assert "findmnt" in ended.stderr
    assert len(mounts_under(vault.mount)) == 2
    shown = vault.run("status", VAULT)
    assert shown.returncode == 50
    assert "NOT ATTACHED: something else is mounted over" in shown.stdout


def test_sigterm_with_nothing_open_is_a_detach(vault: Vault) -> None:
    (vault.pool / "X00001").write_bytes(b"0")
    daemon = vault.daemon()
    send_signal(daemon, signal.SIGTERM)
    wait_until(lambda: not is_alive(daemon), 20, "the daemon has ended")
    assert mounts_under(vault.mount) == []
    vault.attach()
    assert not vault.status()["unclean"]


def test_sigterm_waits_for_an_open_tape(vault: Vault) -> None:
    daemon = vault.daemon()
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        send_signal(daemon, signal.SIGTERM)
        wait_until(lambda: _is_refused(vault), 10, "new opens are refused")
        os.write(fd, b"to the end")
        assert is_alive(daemon)
    wait_until(lambda: not is_alive(daemon), 20, "the daemon has ended")
    assert (vault.backing / POOL / "X00001").read_bytes() == b"to the end"
    vault.attach()
    with vault.follow() as feed:
        assert feed.until(Kind.DISMOUNTED, "X00001").bytes_written == 10


def _is_refused(vault: Vault) -> bool:
    try:
        with opened(vault.pool / "X00002", os.O_WRONLY | os.O_CREAT):
            return False
    except OSError:
        return True


def test_a_second_sigterm_leaves_the_mount_point_covered(vault: Vault) -> None:
    daemon = vault.daemon()
    fd = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
    send_signal(daemon, signal.SIGTERM)
    wait_until(lambda: _is_refused(vault), 10, "new opens are refused")
    send_signal(daemon, signal.SIGTERM)
    wait_until(lambda: not is_alive(daemon), 20, "the daemon has ended")
    assert vault.status()["dead"]
    events = (vault.top / "log" / "event.log").read_text()
    assert f"ended while in use: /{VAULT}/{POOL}/X00001" in events
    close_dead(fd)
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.unclean
        feed.until(Kind.INTERRUPTED, "X00001")


def test_two_hundred_opens_at_once_and_a_stat(vault: Vault) -> None:
    barrier = threading.Barrier(201)
    failures: list[BaseException] = []

    def open_one(number: int) -> None:
        barrier.wait()
        try:
            with opened(vault.pool / f"X{number:05}", os.O_WRONLY | os.O_CREAT) as fd:
                os.write(fd, b"x")
        except OSError as error:
            failures.append(error)

    threads = [threading.Thread(target=open_one, args=(n,)) for n in range(200)]
    for thread in threads:
        thread.start()
    barrier.wait()
    begun = time.monotonic()
    os.stat(vault.pool)
    assert time.monotonic() - begun < 5
    for thread in threads:
        thread.join()
    assert not failures
    with vault.follow() as feed:
        seen = {feed.next() for _ in range(400)}
    assert len({s.label for s in seen if s.kind is Kind.DISMOUNTED}) == 200


def test_an_outbox_that_cannot_be_written_does_not_stop_the_engine(scratch: Path) -> None:
    (scratch / "state").write_text("a file where the directory should be")
    with attached_vault(scratch) as vault:
        (vault.pool / "X00001").write_bytes(b"served all the same")
        assert (vault.pool / "X00001").read_bytes() == b"served all the same"
        status = vault.status()
        assert status["unclean"]
        assert status["outbox"]["failure"]
        assert (vault.top / "log" / "event.log").read_text().count("824141") == 1


def test_an_outbox_that_cannot_be_written_refuses_where_the_site_wants_it(scratch: Path) -> None:
    (scratch / "state").write_text("a file where the directory should be")
    with attached_vault(scratch, outbox_failure="refuse") as vault:
        (vault.backing / POOL / "X00001").write_bytes(b"old")
        with fails_with(errno.EIO):
            (vault.pool / "X00001").write_bytes(b"new")
        assert (vault.backing / POOL / "X00001").read_bytes() == b"old"
        assert (vault.pool / "X00001").read_bytes() == b"old"


def _wait_for_state(notify: socket.socket, state: bytes) -> None:
    """Skip what else systemd would be told; the socket's time-out is the deadline."""
    while state not in notify.recv(4096).split(b"\n"):
        pass


def test_the_daemon_runs_in_the_foreground_for_a_service(scratch: Path) -> None:
    vault = Vault(scratch)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.settimeout(20)
        notify.bind(str(scratch / "notify"))
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(scratch / "notify"),
            "WATCHDOG_USEC": "200000",
        }
        command = [sys.executable, "-m", "vtsfs", "--config", str(vault.config)]
        with subprocess.Popen(
            [*command, "attach", VAULT, "--foreground"], env=environment, stderr=subprocess.PIPE
        ) as process:
            for state in (b"WATCHDOG=1", b"READY=1", b"WATCHDOG=1"):
                _wait_for_state(notify, state)
            process.terminate()
            _wait_for_state(notify, b"STOPPING=1")
            assert process.wait(20) == 0


def test_a_bare_mount_point_takes_nothing(scratch: Path) -> None:
    probe = scratch / "probe"
    probe.mkdir()
    can_be_guarded = guard_mountpoint(probe)
    with attached_vault(scratch) as vault:
        (vault.pool / "X00001").write_bytes(b"through the overlay")
        vault.detach()
        if can_be_guarded:
            with fails_with(errno.EPERM):
                os.mkdir(vault.mount / "under-it")
        vault.attach()
        (vault.pool / "X00001").write_bytes(b"still through the overlay")
        vault.detach()
        assert vault.log.count("cannot be made immutable") == (0 if can_be_guarded else 2)


def test_a_mount_point_is_left_as_it_is_where_the_operator_says_so(scratch: Path) -> None:
    vault = Vault(scratch)
    try:
        vault.attach("--no-guard")
        vault.detach()
        os.mkdir(vault.mount / "under-it")
        assert "immutable" not in vault.log
    finally:
        vault.end()


def test_a_mount_point_that_cannot_be_guarded_is_attached_and_that_is_said(scratch: Path) -> None:
    vault = Vault(scratch)
    bare = vault.mount
    if os.geteuid() == 0:
        # ramfs, unlike tmpfs, knows no file flags; other users may not set them anywhere.
        subprocess.run(["mount", "-t", "ramfs", "none", vault.mount], check=True)
        bare = vault.mount / VAULT
        bare.mkdir()
        text = vault.config.read_text(encoding="utf-8")
        vault.config.write_text(text.replace(str(vault.mount), str(bare)), encoding="utf-8")
    try:
        vault.attach()
        assert vault.log.count("cannot be made immutable") == 1
        vault.detach()
        (bare / "under-it").touch()
    finally:
        vault.end()
