"""A server's host key is what it shows; whether it is pinned is read from the file."""

import pytest
import trio

from copyagent.ssh.dialling import SshFailure, SshTrouble
from copyagent.ssh.host_keys import Pinned, fetch_host_key, known_hosts_line, pinned_for
from tests.support.copy_rig import CopyRig
from tests.support.sshd import public_half

pytestmark = pytest.mark.ssh


async def test_the_key_that_is_shown_is_the_servers(rig: CopyRig) -> None:
    with trio.fail_after(10):
        key = await fetch_host_key(rig.settings())
    kind, text = public_half(rig.sshd.host_key).read_text().split()[:2]
    assert (key.kind, key.text) == (kind, text)
    assert pinned_for(rig.sshd.known_hosts.read_text(), rig.settings()) == Pinned((key,))
    wrong = rig.sshd.wrong_known_hosts().read_text()
    assert pinned_for(wrong, rig.settings()).keys != (key,)


async def test_what_is_written_is_found_again(rig: CopyRig) -> None:
    key = await fetch_host_key(rig.settings())
    for changes, token in (
        ({"host": "vts-dr.example.com", "port": 22}, "vts-dr.example.com"),
        ({"host": "192.0.2.7", "port": 2222}, "[192.0.2.7]:2222"),
        ({"host": "2001:db8::7", "port": 22}, "2001:db8::7"),
    ):
        target = rig.settings(**changes)
        line = known_hosts_line(target, key)
        assert line == f"{token} {key.line()}\n"
        assert pinned_for(line, target) == Pinned((key,))
        assert pinned_for("", target) == Pinned()
        assert pinned_for(line, rig.settings(host="other.example")) == Pinned()
        assert pinned_for(f"@cert-authority {line}", target) == Pinned((), certified=True)


@pytest.mark.parametrize(
    ("line", "algorithms"),
    [
        ("Ciphers aes128-cbc", {"ciphers": ["aes128-cbc"]}),
        ("Ciphers aes128-ctr\nMACs hmac-sha1", {"macs": ["hmac-sha1"]}),
    ],
)
async def test_an_old_server_shows_its_key_where_the_settings_name_what_it_has(
    rig: CopyRig, line: str, algorithms: dict[str, list[str]]
) -> None:
    config = rig.sshd.directory / "sshd_config"
    config.write_text(f"{line}\n{config.read_text()}")
    rig.sshd.restart()
    with trio.fail_after(20):
        with pytest.raises(SshFailure) as failed:
            await fetch_host_key(rig.settings())
        assert f"targets.*.algorithms.{next(iter(algorithms))}" in failed.value.next_step
        key = await fetch_host_key(rig.settings(algorithms=algorithms))
    assert key.text == public_half(rig.sshd.host_key).read_text().split()[1]


async def test_a_server_that_is_down_or_no_ssh_server_says_so(rig: CopyRig) -> None:
    rig.sshd.stop()
    with pytest.raises(SshFailure) as failed:
        await fetch_host_key(rig.settings())
    assert failed.value.trouble is SshTrouble.UNREACHABLE
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    port = listener.socket.getsockname()[1]

    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, hang_up, [listener])
        with trio.fail_after(10), pytest.raises(SshFailure, match="did not show its host key"):
            await fetch_host_key(rig.settings(port=port))
        nursery.cancel_scope.cancel()
