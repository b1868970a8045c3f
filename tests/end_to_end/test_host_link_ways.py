"""Three hosts at once, by Telnet, SSH and a file: outages, gaps, alarms, a crash, a changed key.

Each host has vaults of its own, so that a label can be there twice.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.nonstop import NonStop
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import ADDRESS, Sshd
from tests.support.world import COPIED, assert_no_bug_was_met, content, settle_quickly

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

LINK_UP, LINK_LOST, GAP, REFUSED, HOST_KEY = 220101, 420102, 420103, 620104, 620105
VAULTS = {"DEV2": "VAULT00", "DEV3": "VAULT01", "DEV4": "VAULT00"}
QUICK = {"first": "50ms", "longest": "200ms", "refused": "300ms"}


@dataclass
class Hall:
    """A source with two vaults, its target, and the hosts by their names."""

    site: Site
    far: Path
    hosts: dict[str, NonStop]
    front: Sshd
    file: Path

    def name(self, host: str, label: str) -> str:
        return f"/{VAULTS[host]}/BILL/{label}"

    def tape(self, host: str, label: str) -> Path:
        return self.site.mountpoint(VAULTS[host]) / "BILL" / label

    def copy(self, host: str, label: str) -> Path:
        return self.far / VAULTS[host] / "BILL" / label

    def link(self, host: str) -> dict[str, Any]:
        return next(h for h in self.site.status()["hosts"] if h["host"] == host)

    def wait_up(self, host: str, *, up: bool = True) -> None:
        self.site.wait(lambda: self.link(host)["up"] is up, f"the link to {host}: up is {up}")

    def wait_for(self, host: str, label: str, state: str) -> dict[str, Any]:
        return self.site.wait_for_state(self.name(host, label), state, 20.0)

    def verdict(self, host: str, label: str) -> str:
        document = self.site.explain(self.name(host, label))
        return str(document["verdict"]["verdict"]) if document and document["verdict"] else ""

    def told(self, message: int, host: str) -> int:
        return sum(f" {host} " in f"{line} " for line in self.site.events(message))

    def protect(self, host: str, label: str, written: bytes) -> None:
        """Have a tape mounted, written, dismounted and copied by what the host said."""
        self.hosts[host].begin_mount(label, ring=True)
        self.tape(host, label).write_bytes(written)
        self.wait_for(host, label, "awaiting host")
        self.hosts[host].end_mount(label)
        self.wait_for(host, label, "copied")
        assert self.verdict(host, label) == "agreed"
        assert self.copy(host, label).read_bytes() == written

    def lock_out(self, host: str) -> None:
        """Cut the link to a host, and let nobody in."""
        self.hosts[host].say("accept off")
        self.hosts[host].say("drop")
        self.wait_up(host, up=False)

    def let_in(self, host: str) -> None:
        self.hosts[host].say("accept on")
        self.wait_up(host)
        self.hosts[host].say("wait")


def entries(hosts: dict[str, NonStop], front: Sshd, file: Path) -> dict[str, dict[str, Any]]:
    """Write the settings' section on hosts."""
    telnet = hosts["DEV2"]
    return {
        "DEV2": {
            "address": ADDRESS,
            "port": telnet.port,
            "user": telnet.user,
            "password_file": str(telnet.password_file),
            "vaults": ["VAULT00"],
            "drives": {"$VTAPE7": "/VAULT00/BILL/NL0001"},
            "reconnect": QUICK,
            "response_timeout": "1s",
            "lost_after": "1s",
            "remind_every": "1s",
        },
        "DEV3": {
            "access": "ssh",
            "address": front.address,
            "port": front.port,
            "ssh_user": front.user,
            "key": str(front.key),
            "known_hosts": str(front.known_hosts),
            "vaults": ["VAULT01"],
            "reconnect": QUICK,
            "response_timeout": "2s",
        },
        "DEV4": {"access": "file", "file": str(file), "vaults": ["VAULT00"]},
    }


@pytest.fixture(scope="module")
def hall() -> Iterator[Hall]:
    with ExitStack() as stack:
        root = stack.enter_context(scratch_directory())
        far = root / "far"
        for vault in ("VAULT00", "VAULT01"):
            (far / vault).mkdir(parents=True)
        sshd = stack.enter_context(Sshd(root / "sshd"))
        hosts = {n: stack.enter_context(NonStop(root / n, n)) for n in VAULTS}
        front = stack.enter_context(hosts["DEV3"].ssh_front(root / "front"))
        file = root / "ems.txt"
        hosts["DEV4"].say(f"file {file}")
        site = stack.enter_context(Site(root / "src", vaults=("VAULT00", "VAULT01")))
        settle_quickly(site)
        site.add_target("drsite", sshd, {vault: far / vault for vault in site.vaults})
        site.settings["ems"] = {"hosts": entries(hosts, front, file)}
        for vault in site.vaults:
            site.make_pool("BILL", vault)
            site.watch(f"/{vault}/BILL", "drsite")
        for vault in site.vaults:
            site.attach(vault)
        opened = Hall(site, far, hosts, front, file)
        site.start()
        for name in hosts:
            opened.wait_up(name)
        for name in ("DEV2", "DEV3"):
            hosts[name].say("wait")
        yield opened
        assert_no_bug_was_met(site)


@pytest.mark.parametrize("host", VAULTS)
def test_a_mount_is_agreed_upon_by_each_way_in(hall: Hall, host: str) -> None:
    hall.protect(host, f"WAY{host[-1]}01", content())
    assert hall.told(GAP, host) == 0


def test_a_file_is_followed_over_its_rotation(hall: Hall) -> None:
    hall.hosts["DEV4"].begin_mount("ROTA01", ring=True)
    hall.hosts["DEV4"].say("rotate")
    written = content()
    hall.tape("DEV4", "ROTA01").write_bytes(written)
    hall.hosts["DEV4"].end_mount("ROTA01")
    hall.wait_for("DEV4", "ROTA01", "copied")
    assert hall.verdict("DEV4", "ROTA01") == "agreed"
    assert hall.told(GAP, "DEV4") == 0


@pytest.mark.parametrize("host", ["DEV2", "DEV3"])
def test_a_dismount_during_an_outage_is_heard_afterwards(hall: Hall, host: str) -> None:
    label = f"OUT{host[-1]}01"
    written = content()
    hall.hosts[host].begin_mount(label, ring=True)
    with hall.tape(host, label).open("wb") as tape:
        tape.write(written)
        tape.flush()
        hall.lock_out(host)
        hall.hosts[host].end_mount(label)
        hall.let_in(host)
        assert not hall.copy(host, label).exists()
    hall.wait_for(host, label, "copied")
    assert hall.verdict(host, label) == "agreed"
    assert hall.copy(host, label).read_bytes() == written
    assert hall.told(GAP, host) == 0


def test_a_no_ring_during_an_outage_is_heard_afterwards(hall: Hall) -> None:
    old = content()
    hall.protect("DEV2", "OUTNO1", old)
    with hall.tape("DEV2", "OUTNO1").open("r+b") as tape:
        hall.lock_out("DEV2")
        hall.hosts["DEV2"].begin_mount("OUTNO1", ring=False)
        tape.write(b"what must not be written")
        hall.let_in("DEV2")
    hall.hosts["DEV2"].end_mount("OUTNO1")
    hall.wait_for("DEV2", "OUTNO1", "held (conflict)")
    assert hall.copy("DEV2", "OUTNO1").read_bytes() == old


def test_a_gap_that_cannot_be_ruled_out_is_told(hall: Hall) -> None:
    hall.lock_out("DEV2")
    hall.hosts["DEV2"].say("forget")
    hall.hosts["DEV2"].say("other $ZDSK TANDEM.STORAGE.G06 2001 $DISC3: PATH SWITCH TO CPU 3")
    hall.let_in("DEV2")
    hall.hosts["DEV2"].say("clock step 120")
    hall.hosts["DEV2"].say("opened NOBODY $VTAPE0")
    hall.site.wait(lambda: hall.told(GAP, "DEV2"), "the gap is told")
    assert hall.told(GAP, "DEV2") == 1
    hall.protect("DEV2", "GAP001", content())


def test_a_lost_link_is_told_once_then_reminded_of_and_told_to_be_back(hall: Hall) -> None:
    lost, up = hall.told(LINK_LOST, "DEV2"), hall.told(LINK_UP, "DEV2")
    hall.lock_out("DEV2")
    hall.site.wait(lambda: hall.told(LINK_LOST, "DEV2") == lost + 1, "the alarm")
    hall.site.wait(lambda: hall.told(LINK_LOST, "DEV2") == lost + 2, "the reminder")
    hall.protect("DEV3", "ALRM01", content())
    hall.let_in("DEV2")
    hall.site.wait(lambda: hall.told(LINK_UP, "DEV2") == up + 1, "it is back")


def test_a_short_loss_is_no_alarm(hall: Hall) -> None:
    lost = hall.told(LINK_LOST, "DEV2")
    before = hall.link("DEV2")["losses"]
    hall.hosts["DEV2"].say("drop reset")
    hall.site.wait(lambda: hall.link("DEV2")["losses"] > before, "the loss is noticed")
    hall.wait_up("DEV2")
    hall.hosts["DEV2"].say("wait")
    hall.protect("DEV2", "SHORT1", content())
    assert hall.told(LINK_LOST, "DEV2") == lost


def test_a_label_that_two_hosts_use_is_two_tapes(hall: Hall) -> None:
    """One is asked for to be read only, and is written: that says nothing about the other."""
    written = content()
    hall.hosts["DEV2"].begin_mount("TWIN01", ring=False)
    hall.hosts["DEV3"].begin_mount("TWIN01", ring=True)
    for host in ("DEV2", "DEV3"):
        hall.tape(host, "TWIN01").write_bytes(written)
        hall.hosts[host].end_mount("TWIN01")
    hall.wait_for("DEV3", "TWIN01", "copied")
    assert hall.verdict("DEV3", "TWIN01") == "agreed"
    hall.wait_for("DEV2", "TWIN01", "held (conflict)")
    assert not hall.copy("DEV2", "TWIN01").exists()


def test_a_job_without_labels_is_known_by_its_drive(hall: Hall) -> None:
    host = hall.hosts["DEV2"]
    written = content()
    host.say("unlabelled $VTAPE7")
    host.say("device last $VTAPE7")
    host.say("print 638 STATUS 1504 - TAPE OPENED ON $VTAPE7")
    hall.tape("DEV2", "NL0001").write_bytes(written)
    hall.wait_for("DEV2", "NL0001", "awaiting host")
    assert not hall.copy("DEV2", "NL0001").exists()
    host.say("print 659 STATUS 1512 - TAPE DISMOUNTED FROM DRIVE $VTAPE7")
    hall.wait_for("DEV2", "NL0001", "copied")
    assert hall.copy("DEV2", "NL0001").read_bytes() == written


def test_a_no_ring_is_known_after_the_agent_was_killed(hall: Hall) -> None:
    """Killed between the host's request and its dismount; both are acted on afterwards."""
    old = content()
    hall.protect("DEV2", "KILL01", old)
    heard = hall.link("DEV2")["events"]
    hall.hosts["DEV2"].begin_mount("KILL01", ring=False)
    hall.site.wait(lambda: hall.link("DEV2")["events"] >= heard + 3, "the request was heard")
    assert hall.site.agent is not None
    hall.site.agent.kill()
    hall.tape("DEV2", "KILL01").write_bytes(content())
    hall.hosts["DEV2"].end_mount("KILL01")
    hall.site.start()
    hall.wait_for("DEV2", "KILL01", "held (conflict)")
    assert hall.copy("DEV2", "KILL01").read_bytes() == old
    assert sum("KILL01" in line for line in hall.site.events(COPIED)) == 1
    assert hall.told(GAP, "DEV2") == 1


def test_another_host_key_is_not_accepted(hall: Hall) -> None:
    hall.front.stop()
    hall.wait_up("DEV3", up=False)
    hall.front.new_host_key()
    hall.front.start()
    hall.site.wait(lambda: hall.told(HOST_KEY, "DEV3"), "the key is told of")
    hall.protect("DEV2", "KEY001", content())
    assert not hall.link("DEV3")["up"]
    assert hall.told(HOST_KEY, "DEV3") == 1
