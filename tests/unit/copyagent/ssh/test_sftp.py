"""Logging in, being refused, and links that die: each has its own error, and none takes long."""

import logging
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from copyagent.core.copying import CopyFailed
from copyagent.ssh import bridge
from copyagent.transfer.probing import probe
from copyagent.transfer.target import (
    HostKeyRejected,
    LinkLost,
    LoginRefused,
    TargetError,
    TargetRefused,
    TargetUnreachable,
)
from tests.support.copy_rig import CopyRig
from tests.support.expected_logs import ExpectedLogs
from tests.support.sshd import Sshd, make_key
from tests.support.tcp_proxy import open_proxy
from tests.support.waiting import wait_until

pytestmark = pytest.mark.ssh


async def failure(rig: CopyRig, **changes: object) -> TargetError:
    with trio.fail_after(20), pytest.raises(TargetError) as failed:
        async with rig.connect(**changes):
            pass
    return failed.value


async def test_probe_says_none_or_the_cause(rig: CopyRig) -> None:
    assert await probe(rig.connect) is None
    rig.sshd.stop()
    cause = await probe(rig.connect)
    assert isinstance(cause, CopyFailed)
    assert cause.cause == f"127.0.0.1:{rig.sshd.port} cannot be reached: Connection refused"


async def test_a_host_without_address_is_unreachable(rig: CopyRig) -> None:
    error = await failure(rig, host="no-such-host.invalid")
    assert isinstance(error, TargetUnreachable)
    assert error.unreachable


async def test_another_host_key_is_rejected(rig: CopyRig) -> None:
    error = await failure(rig, known_hosts=str(rig.sshd.wrong_known_hosts()))
    assert isinstance(error, HostKeyRejected)
    assert "is not the pinned one" in str(error)


async def test_a_new_host_key_is_rejected(rig: CopyRig) -> None:
    rig.sshd.new_host_key()
    rig.sshd.restart()
    assert isinstance(await failure(rig), HostKeyRejected)


def _pin_nothing(sshd: Sshd) -> None:
    sshd.known_hosts.write_text("")


def _pin_other_host(sshd: Sshd) -> None:
    line = sshd.known_hosts.read_text().replace("127.0.0.1", "other.example")
    sshd.known_hosts.write_text(line)


def _pin_other_kind(sshd: Sshd) -> None:
    key = _make(sshd.directory / "rsa_host_key", "rsa")
    kind, public = key.with_suffix(".pub").read_text().split()[:2]
    sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {kind} {public}\n")


def _pin_garbage(sshd: Sshd) -> None:
    sshd.known_hosts.write_bytes(b"\xff\xfe\x00 not\na known_hosts\n")


def _pin_without_file(sshd: Sshd) -> None:
    sshd.known_hosts.unlink()


@pytest.mark.parametrize(
    "spoil", [_pin_nothing, _pin_other_host, _pin_other_kind, _pin_garbage, _pin_without_file]
)
async def test_without_the_right_pin_there_is_no_connection(
    rig: CopyRig, spoil: Callable[[Sshd], None]
) -> None:
    spoil(rig.sshd)
    assert isinstance(await failure(rig), HostKeyRejected)


async def test_a_key_the_server_does_not_know_is_refused(rig: CopyRig) -> None:
    other = make_key(rig.sshd.directory / "other_client")
    error = await failure(rig, key=str(other))
    assert isinstance(error, LoginRefused)
    assert str(other) in str(error)


async def test_another_user_is_refused(rig: CopyRig) -> None:
    assert isinstance(await failure(rig, user="nobody"), LoginRefused)


def _make(key: Path, kind: str, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return key


async def test_keys_that_cannot_be_used_say_why(rig: CopyRig) -> None:
    locked = _make(rig.sshd.directory / "locked", "ed25519", "secret")
    junk = rig.sshd.directory / "junk"
    junk.write_text("not a key")
    for key in (locked, junk, rig.sshd.directory / "missing", rig.sshd.directory):
        error = await failure(rig, key=str(key))
        assert isinstance(error, LoginRefused), key
        assert "passphrase" in error.next_step


async def test_nothing_of_the_user_is_used(rig: CopyRig, monkeypatch: pytest.MonkeyPatch) -> None:
    own = rig.sshd.directory / "home" / ".ssh"
    own.mkdir(parents=True)
    (own / "config").write_text("Host *\n  HostKeyAlias elsewhere\n")
    (own / "known_hosts").write_text(rig.sshd.known_hosts.read_text())
    (own / "id_ed25519").write_text(rig.sshd.key.read_text())
    monkeypatch.setenv("HOME", str(own.parent))
    assert await probe(rig.connect) is None
    other = make_key(rig.sshd.directory / "other_client")
    assert isinstance(await failure(rig, key=str(other)), LoginRefused)
    _pin_nothing(rig.sshd)
    assert isinstance(await failure(rig), HostKeyRejected)


@pytest.fixture
def ssh_agent(scratch: Path, sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run an ssh-agent that holds the key the server knows."""
    path = scratch / "ssh-agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        wait_until(path.exists, 5, "the agent listens")
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        subprocess.run(["ssh-add", "-q", str(sshd.key)], check=True, capture_output=True)
        yield
    finally:
        agent.kill()
        agent.wait()


async def test_no_agent_is_asked(rig: CopyRig, ssh_agent: None) -> None:
    other = make_key(rig.sshd.directory / "other_client")
    assert isinstance(await failure(rig, key=str(other)), LoginRefused)


@pytest.mark.parametrize("instead", ["/bin/false", "echo hello", "cat /dev/zero"])
async def test_a_server_that_starts_something_else_than_sftp(rig: CopyRig, instead: str) -> None:
    with Sshd(rig.sshd.directory / "bare", options=[f"ForceCommand {instead}"]) as bare:
        error = await failure(
            rig, port=bare.port, key=str(bare.key), known_hosts=str(bare.known_hosts)
        )
    assert "SFTP" in str(error)


async def test_a_port_that_says_nothing_is_given_up_in_time(rig: CopyRig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = trio.current_time()
        error = await failure(rig, port=mute.getsockname()[1], connect_timeout="500ms")
        took = trio.current_time() - started
    assert isinstance(error, TargetUnreachable)
    assert "did not answer within 0.5 s" in str(error)
    assert took < 3


async def test_something_that_is_no_ssh_server(rig: CopyRig) -> None:
    async def speak(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(b"220 mail.example ESMTP\r\n" * 3000)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, speak, listeners)
        error = await failure(rig, port=listeners[0].socket.getsockname()[1])
        nursery.cancel_scope.cancel()
    assert isinstance(error, TargetUnreachable)


@pytest.mark.parametrize("reached", [0, 50, 1000, 1300])
async def test_a_link_cut_during_log_in(rig: CopyRig, reached: int) -> None:
    async with open_proxy(rig.sshd.port) as proxy:
        line = rig.sshd.known_hosts.read_text().replace(str(rig.sshd.port), str(proxy.port))
        rig.sshd.known_hosts.write_text(line)
        proxy.cut_after(reached)
        error = await failure(rig, port=proxy.port)
        assert error.unreachable


@pytest.mark.parametrize("when", ["frozen", "mute"])
async def test_connecting_is_cancelled_promptly(rig: CopyRig, when: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1] if when == "mute" else rig.sshd.port
        if when == "frozen":
            rig.sshd.freeze()
        started = trio.current_time()
        with trio.move_on_after(0.3):
            async with rig.connect(port=port):
                raise AssertionError("it cannot have answered")
        took = trio.current_time() - started
        rig.sshd.thaw()
    assert took < 2


async def test_a_frozen_server_is_noticed_by_keepalive(rig: CopyRig) -> None:
    async with rig.connect(keepalive="200ms") as target:
        rig.sshd.freeze()
        started = trio.current_time()
        with trio.fail_after(10), pytest.raises(LinkLost):
            await target.run("true", 60)
        took = trio.current_time() - started
        rig.sshd.thaw()
    assert took < 3


async def test_a_frozen_request_is_cancelled_promptly(rig: CopyRig) -> None:
    started = trio.current_time()
    with trio.move_on_after(0.3):
        async with rig.connect() as target:
            rig.sshd.freeze()
            await target.lstat("/")
    rig.sshd.thaw()
    assert trio.current_time() - started < 3.5


async def test_a_command_that_takes_too_long_is_given_up(rig: CopyRig) -> None:
    async with rig.connect() as target:
        with trio.fail_after(5), pytest.raises(LinkLost, match=r"within 0\.2 s"):
            await target.run("sleep 30", 0.2)


async def test_sftp_only_servers_run_no_commands(rig: CopyRig) -> None:
    with Sshd(rig.sshd.directory / "locked-down", sftp_only=True) as bare:
        async with rig.connect(
            port=bare.port, key=str(bare.key), known_hosts=str(bare.known_hosts)
        ) as target:
            said = await target.run("echo out", 10)
            assert said is None or said.status != 0


async def test_a_refusal_without_reason_is_looked_into(rig: CopyRig) -> None:
    (rig.vault / "full" / "below").mkdir(parents=True)
    (rig.vault / "other").mkdir()
    async with rig.connect() as target:
        with pytest.raises(TargetRefused, match="gives no reason"):
            await target.rename(str(rig.vault / "other"), str(rig.vault / "full"))


async def test_an_error_nobody_waits_for_is_logged_and_ends_nothing(
    rig: CopyRig, expect_log: ExpectedLogs
) -> None:
    expect_log("unclaimed: left behind", logging.ERROR)
    loop = bridge.trio_asyncio.current_loop.get()  # type: ignore[attr-defined]  # banned here
    loop.call_exception_handler({"message": "left behind", "exception": OSError("gone")})
    assert await probe(rig.connect) is None
