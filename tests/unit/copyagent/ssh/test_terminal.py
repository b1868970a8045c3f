"""Coming to a terminal over SSH, and every way in which one does not."""

import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings
from copyagent.ssh.terminal import SshWire, open_ssh
from tests.support.far_ends import link_settings, ssh_settings
from tests.support.password_server import PasswordServer, password_server
from tests.support.sshd import Sshd, make_key

pytestmark = pytest.mark.ssh

PASSWORD = "s3cret-Pass"


async def opened(settings: LinkSettings) -> SshWire:
    with trio.fail_after(20):
        wire = await open_ssh(settings)
    assert isinstance(wire, SshWire), wire
    return wire


async def failure(settings: LinkSettings) -> LinkFailure:
    with trio.fail_after(20):
        found = await open_ssh(settings)
    assert isinstance(found, LinkFailure)
    return found


async def shown(wire: SshWire) -> str:
    """Read all that is shown until the other side ends."""
    text = ""
    with trio.fail_after(10):
        while (piece := await wire.receive(trio.current_time() + 5)) is not None:
            text += piece
    await wire.close()
    return text


# ---- the terminal ---------------------------------------------------------------------------------


async def test_it_is_a_plain_terminal_that_does_not_echo(sshd: Sshd, bridge: None) -> None:
    command = "echo type $TERM; stty size; stty -a; env"
    text = await shown(await opened(ssh_settings(sshd, ssh_command=command)))
    assert "type dumb\n" in text
    assert "24 132\n" in text
    assert "-echo " in text
    assert "6530" not in text


async def test_without_a_command_it_is_the_user_s_shell(sshd: Sshd, bridge: None) -> None:
    wire = await opened(ssh_settings(sshd))
    await wire.type_line("echo $((6 * 7)) is the answer; exit")
    assert "42 is the answer\n" in await shown(wire)


async def test_a_subsystem_is_asked_for_as_ssh_does(scratch: Path, bridge: None) -> None:
    with Sshd(scratch / "sshd", options=["Subsystem tacl echo TACL 1\\>"]) as sshd:
        text = await shown(await opened(ssh_settings(sshd, ssh_command="-s tacl")))
    assert text == "TACL 1>\n"


async def test_a_frozen_host_is_noticed_by_keep_alive(sshd: Sshd, bridge: None) -> None:
    wire = await opened(ssh_settings(sshd, keep_alive=0.1))
    sshd.freeze()
    started = trio.current_time()
    with trio.fail_after(10):
        while await wire.receive(trio.current_time() + 5) is not None:
            pass
    assert trio.current_time() - started < 3
    assert wire.ended is not None
    assert wire.ended.trouble is LinkTrouble.SILENT
    sshd.thaw()
    await wire.close()


# ---- who is at the other end ----------------------------------------------------------------------


async def test_a_host_key_that_is_not_the_pinned_one(sshd: Sshd, bridge: None) -> None:
    found = await failure(ssh_settings(sshd, known_hosts=sshd.wrong_known_hosts()))
    assert found.trouble is LinkTrouble.HOST_KEY_REJECTED
    sentence = found.sentence("DEV2")
    assert f"the host key of 127.0.0.1:{sshd.port} is not the pinned one" in sentence
    assert "known_hosts" in sentence


async def test_a_host_key_that_has_changed(sshd: Sshd, bridge: None) -> None:
    sshd.new_host_key()
    sshd.restart()
    assert (await failure(ssh_settings(sshd))).trouble is LinkTrouble.HOST_KEY_REJECTED


@pytest.mark.parametrize("content", [None, "", "other.example ssh-ed25519 AAAA\n", "\udcff\udcfe"])
async def test_without_a_pin_nobody_is_believed(
    sshd: Sshd, bridge: None, content: str | None
) -> None:
    sshd.known_hosts.unlink()
    if content is not None:
        sshd.known_hosts.write_text(content, errors="surrogateescape")
    assert (await failure(ssh_settings(sshd))).trouble is LinkTrouble.HOST_KEY_REJECTED


async def test_the_password_is_not_given_to_another_host(scratch: Path, bridge: None) -> None:
    async with password_server(scratch, PasswordServer(PASSWORD)) as server:
        other = make_key(scratch / "other")
        pin = other.with_suffix(".pub").read_text()
        server.known_hosts.write_text(f"[127.0.0.1]:{server.port} {pin}")
        found = await failure(by_password(server))
        assert (found.trouble, server.given) == (LinkTrouble.HOST_KEY_REJECTED, [])


# ---- who we are -----------------------------------------------------------------------------------


async def test_a_key_that_the_host_does_not_know(sshd: Sshd, bridge: None) -> None:
    other = make_key(sshd.directory / "other_client")
    found = await failure(ssh_settings(sshd, key=other))
    assert found.trouble is LinkTrouble.LOGIN_REFUSED
    assert f"refuses user {sshd.user} with {other}" in found.step


async def test_a_key_that_is_none_says_so(sshd: Sshd, bridge: None) -> None:
    found = await failure(ssh_settings(sshd, key=sshd.directory / "missing"))
    assert found.trouble is LinkTrouble.LOGIN_REFUSED
    assert "without a passphrase, readable by the agent" in found.step


def by_password(server: PasswordServer, **changes: Any) -> LinkSettings:
    values: dict[str, Any] = {
        "access": "ssh",
        "known_hosts": server.known_hosts,
        "ssh_user": "vts.ems",
    }
    return link_settings("127.0.0.1", server.port, **(values | changes))


ways = pytest.mark.parametrize(
    "ways", [("password",), ("keyboard-interactive",), ("password", "keyboard-interactive")]
)


@ways
async def test_a_password_lets_in_whichever_way_it_is_asked_for(
    scratch: Path, bridge: None, ways: tuple[str, ...]
) -> None:
    async with password_server(scratch, PasswordServer(PASSWORD, ways)) as server:
        wire = await opened(by_password(server))
        assert await wire.receive(trio.current_time() + 5) == "TACL 1> "
        await wire.type_line("EXIT")
        await shown(wire)
        assert server.given == [("vts.ems", PASSWORD)]
        (asked,) = server.asked_for
        assert asked == {
            "command": None,
            "subsystem": None,
            "type": "dumb",
            "size": (132, 24),
            "echo": 0,
            "env": {},
        }


@ways
async def test_a_wrong_password_is_tried_once_and_shown_nowhere(
    scratch: Path, bridge: None, ways: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    async with password_server(scratch, PasswordServer("another one", ways)) as server:
        settings = by_password(server)
        found = await failure(settings)
        assert found.trouble is LinkTrouble.LOGIN_REFUSED
        assert "refuses user vts.ems with the password" in found.step
        assert server.given == [("vts.ems", PASSWORD)]
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert PASSWORD not in logged + found.sentence("DEV2") + repr((found, settings))


@pytest.mark.parametrize(
    "questions",
    [
        (("Password:", True),),
        (("Token code:", False),),
        (("Password:", False), ("New password:", False)),
    ],
)
async def test_another_question_than_for_the_password_is_not_answered(
    scratch: Path, bridge: None, questions: tuple[tuple[str, bool], ...]
) -> None:
    server = PasswordServer(PASSWORD, ("keyboard-interactive",), questions)
    async with password_server(scratch, server):
        assert (await failure(by_password(server))).trouble is LinkTrouble.LOGIN_REFUSED
        assert server.given == []


async def test_a_second_question_is_not_answered(scratch: Path, bridge: None) -> None:
    server = PasswordServer(PASSWORD, ("keyboard-interactive",), rounds=2)
    async with password_server(scratch, server):
        assert (await failure(by_password(server))).trouble is LinkTrouble.LOGIN_REFUSED
        assert server.given == [("vts.ems", PASSWORD)]


async def test_a_text_to_be_read_comes_before_the_question(scratch: Path, bridge: None) -> None:
    server = PasswordServer(PASSWORD, ("keyboard-interactive",), questions=())
    async with password_server(scratch, server):
        assert (await failure(by_password(server))).trouble is LinkTrouble.LOGIN_REFUSED
        assert server.given == [("vts.ems",)]


async def test_with_a_key_no_password_is_offered(scratch: Path, bridge: None) -> None:
    async with password_server(scratch, PasswordServer(PASSWORD)) as server:
        found = await failure(by_password(server, key=make_key(scratch / "client")))
        assert (found.trouble, server.given) == (LinkTrouble.LOGIN_REFUSED, [])


# ---- what else can go wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "trouble"),
    [
        (["PermitTTY no"], LinkTrouble.NO_TERMINAL),
        (["MaxSessions 0"], LinkTrouble.NO_TERMINAL),
        (["Ciphers 3des-cbc"], LinkTrouble.NO_AGREEMENT),
    ],
)
async def test_what_the_host_does_not_grant(
    scratch: Path, bridge: None, options: list[str], trouble: LinkTrouble
) -> None:
    with Sshd(scratch / "sshd", options=options) as sshd:
        found = await failure(ssh_settings(sshd, connect_timeout=5.0))
    assert found.trouble is trouble, found


async def test_a_port_where_nobody_listens(sshd: Sshd, bridge: None) -> None:
    sshd.stop()
    found = await failure(ssh_settings(sshd))
    assert found.trouble is LinkTrouble.UNREACHABLE
    assert found.step == f"127.0.0.1 port {sshd.port}: Connection refused"


async def test_a_host_that_says_nothing(sshd: Sshd, bridge: None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        found = await failure(ssh_settings(sshd, port=port, connect_timeout=0.3))
    assert found.trouble is LinkTrouble.TIMED_OUT
    assert found.step == f"127.0.0.1:{port}: the log-in over SSH took longer than 0.3 s"


@pytest.mark.parametrize("greeting", [b"", b"WELCOME TO dev2\r\nEnter Choice> ", b"\xff\xfd\x18"])
async def test_a_host_that_speaks_something_else(sshd: Sshd, bridge: None, greeting: bytes) -> None:
    async def speak(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(greeting)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, speak, listeners)
        found = await failure(ssh_settings(sshd, port=listeners[0].socket.getsockname()[1]))
        nursery.cancel_scope.cancel()
    assert found.trouble is LinkTrouble.DISCONNECTED


@pytest.mark.parametrize("spoil", [Sshd.freeze, Sshd.kill])
async def test_a_host_that_dies_while_a_terminal_is_had(
    sshd: Sshd, bridge: None, spoil: Callable[[Sshd], None]
) -> None:
    wire = await opened(ssh_settings(sshd, ssh_command="cat"))
    spoil(sshd)
    with trio.fail_after(5):
        await wire.type_line("x")
        await wire.interrupt()
        await wire.close()
    sshd.thaw()


async def test_coming_in_is_cancelled_promptly(sshd: Sshd, bridge: None) -> None:
    sshd.freeze()
    started = trio.current_time()
    with trio.move_on_after(0.2) as scope:
        await open_ssh(ssh_settings(sshd))
    assert scope.cancelled_caught
    assert trio.current_time() - started < 2
    sshd.thaw()


async def test_asyncssh_s_own_messages_are_not_wanted(
    sshd: Sshd, bridge: None, caplog: pytest.LogCaptureFixture
) -> None:
    wire = await opened(ssh_settings(sshd, ssh_command="true"))
    await shown(wire)
    noisy = [record for record in caplog.records if record.name.startswith("asyncssh")]
    assert [record for record in noisy if record.levelno < logging.WARNING] == []
