"""A line that is cut at any request leaves every companion whole, and the next attempt goes on."""

from dataclasses import replace

import pytest

from copyagent.core.copying import CopyDone, CopyFailed
from tests.support.copy_rig import CopyRig
from tests.support.tcp_proxy import TcpProxy, open_proxy

pytestmark = [pytest.mark.ssh, pytest.mark.slow]

NAMES = ("X00001", "X00001.index", "X00001.meta")


def write(rig: CopyRig, generation: int) -> dict[str, bytes]:
    contents = {name: f"{name} of {generation}".encode() for name in NAMES}
    for name, content in contents.items():
        rig.write(content, name)
    return contents


def there(rig: CopyRig) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((rig.vault / "BILL").iterdir())}


def pin(rig: CopyRig, proxy: TcpProxy) -> None:
    line = rig.sshd.known_hosts.read_text()
    rig.sshd.known_hosts.write_text(line + line.replace(f":{rig.sshd.port} ", f":{proxy.port} "))


async def test_a_connection_cut_at_any_request_is_recovered_from(rig: CopyRig) -> None:
    rig.companions = ("{label}.*",)
    old = write(rig, 1)
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    ahead = 0
    async with open_proxy(rig.sshd.port) as proxy:
        pin(rig, proxy)
        new = write(rig, 2)
        done = await rig.copy(replace(rig.job(generation=2), base=done.copy), port=proxy.port)
        assert isinstance(done, CopyDone)
        total, old = proxy.sent, new
        for generation, after in enumerate(range(2500, total + 300, (total - 2500) // 10), 3):
            new = write(rig, generation)
            job = replace(rig.job(generation=generation), base=done.copy)
            rig.journal.intended.clear()
            proxy.cut_after(after)
            outcome = await rig.copy(job, port=proxy.port)
            proxy.spare()
            found = there(rig)
            for name, content in found.items():
                assert content in (old[name], new[name]), "each is whole"
            if found["X00001"] == new["X00001"]:
                assert found == new, "the tape comes last"
            ahead += found != old and found["X00001"] == old["X00001"]
            if not isinstance(outcome, CopyDone):
                assert isinstance(outcome, CopyFailed), outcome
                intent = rig.journal.intended[-1] if rig.journal.intended else None
                outcome = await rig.copy(replace(job, intent=intent))
                assert isinstance(outcome, CopyDone), outcome
            assert there(rig) == new
            assert rig.staged() == []
            done, old = outcome, new
    assert ahead, "too few cuts fell between companions and tape"
