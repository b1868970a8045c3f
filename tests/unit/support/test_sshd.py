import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import is_alive, state_of
from tests.support.sshd import (
    ADDRESS,
    Sshd,
    SshdError,
    free_port,
    is_locked,
    make_key,
    write_known_hosts,
)
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ssh


def start_waiting_command(server: Sshd) -> subprocess.Popen[bytes]:
    """Open a session in which a command waits for its standard input to end."""
    arguments = ["-p", str(server.port), f"{server.user}@{ADDRESS}", "cat"]
    client = subprocess.Popen(
        ["ssh", *server.client_options(), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(b"here\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"here\n"
    return client


def test_a_command_runs_as_the_user_who_runs_the_tests(sshd: Sshd) -> None:
    assert sshd.run("id -un").stdout.strip() == sshd.user


def test_a_command_waits_for_no_start_up_file_of_the_testers_shell(sshd: Sshd) -> None:
    assert sshd.run('echo "$HOME"').stdout == "/nonexistent\n"


def test_it_listens_on_loopback_alone(sshd: Sshd) -> None:
    listening = [
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{sshd.port:04X}")
    ]
    assert listening == [f"0100007F:{sshd.port:04X}"]


def test_a_wrong_host_key_is_refused(sshd: Sshd) -> None:
    sshd.known_hosts = sshd.wrong_known_hosts()
    result = sshd.run("true")
    assert result.returncode == 255
    assert "Host key verification failed" in result.stderr


def test_a_new_host_key_is_another_one_after_a_restart(sshd: Sshd) -> None:
    sshd.new_host_key()
    sshd.restart()
    assert "Host key verification failed" in sshd.run("true").stderr
    write_known_hosts(sshd.known_hosts, sshd.port, sshd.host_key)
    assert sshd.run("true").returncode == 0


def test_another_key_cannot_log_in(sshd: Sshd, scratch: Path) -> None:
    sshd.key = make_key(scratch / "stranger")
    result = sshd.run("true")
    assert result.returncode == 255
    assert "Permission denied (publickey)" in result.stderr


def test_stopped_and_started_it_keeps_port_and_host_key(sshd: Sshd) -> None:
    sshd.stop()
    assert not sshd.is_running()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, sshd.port), 1.0)
    sshd.start()
    assert sshd.run("true").returncode == 0


def test_stopping_ends_the_sessions(sshd: Sshd) -> None:
    client = start_waiting_command(sshd)
    serving = sshd.sessions()
    assert serving
    sshd.stop()
    assert not any(is_alive(process) for process in serving)
    assert client.wait(5.0) == 255
    client.communicate()


def test_killing_it_ends_the_sessions(sshd: Sshd) -> None:
    client = start_waiting_command(sshd)
    sshd.kill()
    assert client.wait(5.0) == 255
    client.communicate()


def test_a_killed_listener_leaves_its_sessions_until_it_is_stopped(sshd: Sshd) -> None:
    client = start_waiting_command(sshd)
    sshd.kill(sessions=False)
    assert not sshd.is_running()
    serving = sshd.sessions()
    assert serving
    sshd.start()
    assert set(serving) <= set(sshd.sessions())
    out, _ = client.communicate(b"still there\n", timeout=5.0)
    assert out == b"still there\n"
    assert client.returncode == 0


def test_frozen_it_accepts_but_does_not_answer_until_thawed(sshd: Sshd) -> None:
    sshd.freeze()
    with socket.create_connection((ADDRESS, sshd.port), 1.0) as connection:
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(8)
        sshd.thaw()
        connection.settimeout(5.0)
        assert connection.recv(8).startswith(b"SSH-2.0")


def test_freezing_stops_the_sessions_too(sshd: Sshd) -> None:
    client = start_waiting_command(sshd)
    sshd.freeze()
    states = [state_of(process) for process in sshd.sessions()]
    assert states
    assert set(states) == {"T"}
    sshd.thaw()
    assert client.communicate(b"thawed\n", timeout=5.0)[0] == b"thawed\n"


def test_frozen_it_can_be_stopped(sshd: Sshd) -> None:
    sshd.freeze()
    sshd.stop()
    assert not sshd.is_running()


def test_sftp_only_runs_no_command(scratch: Path) -> None:
    with Sshd(scratch / "sshd", sftp_only=True) as server:
        result = server.run("echo no")
        assert "no" not in result.stdout
        transfer = subprocess.run(
            ["sftp", *server.client_options(), "-P", str(server.port), "-b", "-", ADDRESS],
            input=b"pwd\n",
            capture_output=True,
            timeout=10.0,
            check=False,
        )
        assert transfer.returncode == 0, transfer.stderr


def test_options_come_first(scratch: Path) -> None:
    with Sshd(scratch / "sshd", options=["Banner none", "MaxSessions 1"]) as server:
        assert server.run("true").returncode == 0


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(scratch: Path) -> None:
    server = Sshd(scratch / "sshd", options=["NoSuchOption yes"])
    with pytest.raises(SshdError, match="NoSuchOption"):
        server.start()
    assert not server.is_running()


def test_a_taken_port_is_said_in_the_log(scratch: Path) -> None:
    server = Sshd(scratch / "sshd")
    with socket.create_server((ADDRESS, server.port)):
        with pytest.raises(SshdError, match="Address already in use"):
            server.start()
    server.start()
    server.stop()


def test_it_is_gone_after_a_block_that_failed(
    scratch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = Sshd(scratch / "sshd")
    with pytest.raises(ZeroDivisionError), server:  # noqa: PT012 - what happens before the failure is the case
        client = start_waiting_command(server)
        raise ZeroDivisionError
    assert not server.is_running()
    assert not server.sessions()
    assert client.wait(5.0) == 255
    client.communicate()
    assert "Server listening" in capsys.readouterr().out


def test_killed_by_somebody_else_it_can_be_started_again(sshd: Sshd) -> None:
    os.kill(sshd.pid, signal.SIGKILL)
    wait_until(lambda: not sshd.is_running(), 5.0, "the listener is gone")
    sshd.start()
    assert sshd.run("true").returncode == 0


def test_a_free_port_is_unprivileged() -> None:
    assert free_port() >= 1024


def test_a_locked_account_is_told_from_one_without_a_password(tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    shadow.write_text("root:!:1:0:9:7:::\nsync:*:1:0:9:7:::\nroo:$y$x:1:0:9:7:::\n")
    assert [is_locked(user, shadow) for user in ("root", "sync", "roo", "oo")] == [
        *(True, False, False, False)
    ]
    assert not is_locked("root", tmp_path / "none")
