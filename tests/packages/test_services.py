"""The installed services under a systemd of their own: started, killed, hung, reloaded, stopped."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages.built import Built
from tests.packages.roots import copy_of, in_memory
from tests.packages.served import (
    AGENT,
    COPIES,
    OVERLAY,
    SETTINGS,
    Served,
    Site,
    install,
    served_root,
    serving,
)
from tests.support.scratch import scratch_directory

#: What the agent's service is given: CAP_DAC_READ_SEARCH and CAP_LEASE.
AGENTS_RIGHTS = "0000000010000004"
NO_RIGHTS = "0000000000000000"


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def configured(request: pytest.FixtureRequest, package: Built) -> Iterator[Site]:
    """A system on which the package is installed and configured, for copying."""
    with in_memory() as memory, scratch_directory() as disk:
        (disk / "tapes").mkdir()
        site = Site(copy_of(served_root(request.param), memory / "root"), disk / "tapes")
        install(site, package.deb)
        yield site


@pytest.fixture
def site(configured: Site, memory: Path, scratch: Path) -> Site:
    """A copy for one test."""
    return configured.copy(memory / "root", scratch / "tapes")


@pytest.fixture
def served(site: Site) -> Iterator[Served]:
    """The system, up, with both services started."""
    with serving(site) as served:
        served.start()
        yield served


def rights(served: Served, pid: int) -> str:
    return served.system.out(f"sed -n 's/^CapEff:[[:space:]]*//p' /proc/{pid}/status")


# ---- what runs ------------------------------------------------------------------------------------


def test_both_services_are_up_and_a_tape_is_copied(served: Served) -> None:
    assert served.is_active(OVERLAY)
    assert served.is_active(AGENT)
    assert served.shown(OVERLAY, "StatusText") == "vault VAULT00 attached at /VAULT00"
    assert served.shown(AGENT, "StatusText") == "watching"
    served.write("X00001")
    served.until_copied("X00001")
    assert "1 copied" in served.system.out("copyagent status")


def test_everybody_sees_what_the_overlay_has_mounted(served: Served) -> None:
    overlay, agent = served.pid(OVERLAY), served.pid(AGENT)
    spaces = served.system.out(
        f"readlink /proc/1/ns/mnt /proc/{overlay}/ns/mnt /proc/{agent}/ns/mnt"
    ).split()
    assert spaces[0] == spaces[1]
    assert spaces[0] != spaces[2]
    assert served.system.out("findmnt -n -o FSTYPE /VAULT00") == "fuse.vtsfs"


def test_systemd_likes_the_units_and_finds_the_agent_little_exposed(served: Served) -> None:
    assert served.system.out(f"systemd-analyze verify --man=no {OVERLAY} {AGENT} 2>&1") == ""
    said = served.system.out(f"systemd-analyze security --no-pager {AGENT} | tail -n 1")
    assert float(said.partition(": ")[2].split()[0]) <= 2.0, said


def test_the_agent_has_two_rights_and_what_it_starts_has_none(served: Served) -> None:
    assert rights(served, served.pid(AGENT)) == AGENTS_RIGHTS
    hook = "#!/bin/sh\n{ cat /proc/self/status /etc/vts-autocopy/keys/drsite; } >/tmp/told 2>&1\n"
    served.system.run("cat >/usr/local/sbin/hook; chmod 755 /usr/local/sbin/hook", text=hook)
    served.system.run(f"echo 'notify: {{run: [/usr/local/sbin/hook]}}' >>{SETTINGS}")
    served.system.run("copyagent reload")
    served.system.run(f"echo 'nonsense: 1' >>{SETTINGS}; copyagent reload", check=False)
    told = f"/proc/{served.pid(AGENT)}/root/tmp/told"
    served.system.until(f"grep -q 'Permission denied' {told}")
    assert NO_RIGHTS in served.system.out(f"grep CapEff {told}")


def test_the_keys_stay_roots_and_a_new_one_counts_at_once(served: Served) -> None:
    system = served.system
    assert system.out("stat -c '%a %U' /etc/vts-autocopy/keys/drsite") == "600 root"
    handed = f"/proc/{served.pid(AGENT)}/root/run/credentials/{AGENT}/keys_drsite"
    system.run(f"cmp {handed} /etc/vts-autocopy/keys/drsite")
    system.run(
        "cd /etc/vts-autocopy/keys && ssh-keygen -q -t ed25519 -N '' -f new "
        "&& install -o vts -m 600 new.pub ~vts/.ssh/authorized_keys && mv new drsite"
    )
    served.write("X00001")
    served.until_copied("X00001")


def test_what_operators_type_works_with_an_agent_of_another_user(served: Served) -> None:
    system = served.system
    served.write("X00001")
    served.until_copied("X00001")
    served.write("X00001", 300)
    served.until_copied("X00001")
    tape = "/VAULT00/BILL/X00001"
    for command in (
        *("status", "queue", "tapes", f"explain {tape}", "events", "history", "history --verify"),
        *("check", "check-health", "report", "config show", "licence show", "ems status"),
        *(f"generations {tape}", "audit /VAULT00/BILL", f"verify {tape}", "doctor drsite"),
        *("drill drsite", "reload --dry-run", "reload", "sync /VAULT00/BILL"),
        *("pause /VAULT00/BILL --because x", "resume /VAULT00/BILL --because x"),
        *("fence drsite --because x", "unfence drsite --because x"),
        *("take-over drsite --because x --yes", "adopt /VAULT00/BILL --because x"),
        *(f"rollback {tape} --generation 1 --because x", f"release {tape} --because x"),
        *(f"hold {tape} --because x", f"release {tape} --because x", "retry --failed"),
        *(f"fetch {tape} --to /root", "support-bundle"),
    ):
        system.run(f"cd /root && copyagent {command}")
    system.run("usermod --append --groups vts-autocopy vts")
    assert "1" in system.out("su vts -c 'copyagent status'")
    refused = system.run(f"su vts -c 'copyagent hold {tape} --because x'", check=False)
    assert refused.returncode == 41


# ---- what fails -----------------------------------------------------------------------------------


def test_a_killed_overlay_is_attached_anew_by_itself(served: Served) -> None:
    former = served.pid(OVERLAY)
    with served.writer("X00001") as writer:
        assert writer.write("one")
        served.system.run(f"kill -KILL {former}")
        served.until_attached_by_another(former)
        assert not writer.write("two")
        with served.writer("X00002") as another:
            assert another.write("three")
    assert served.stored("X00001") == "one"
    assert served.stored("X00002") == "three"
    assert served.shown(OVERLAY, "NRestarts") == "1"
    served.until_copied("X00002")
    assert "interrupted" in served.system.out("copyagent explain /VAULT00/BILL/X00001")
    # The agent can be started over a dead layer, too, and the next stop takes all layers off.
    served.system.run(f"systemctl restart {AGENT}")
    served.system.run(f"systemctl stop {OVERLAY}")
    assert served.mounts() == 0


def test_an_agent_starts_beside_a_dead_mount(served: Served) -> None:
    served.drop_in(OVERLAY, "[Service]\nRestart=no\n")
    served.system.run(f"kill -KILL {served.pid(OVERLAY)}")
    served.until_in_state(OVERLAY, "failed")
    served.system.run(f"systemctl restart {AGENT}")
    served.system.until("copyagent status | grep 'VAULT00'")
    assert served.is_active(AGENT)
    served.system.run(f"systemctl start {OVERLAY}")
    served.write("X00001")
    served.until_copied("X00001")


@pytest.mark.parametrize("unit", [OVERLAY, AGENT])
def test_a_service_that_hangs_is_replaced(site: Site, unit: str) -> None:
    with serving(site) as served:
        served.drop_in(unit, "[Service]\nWatchdogSec=2\nTimeoutAbortSec=1\nRestartSec=1\n")
        served.start()
        former = served.pid(unit)
        served.system.run(f"kill -{signal.SIGSTOP.value} {former}")
        served.system.until(
            f"systemctl is-active {unit} "
            f'&& [ "$(systemctl show --property=MainPID --value {unit})" != {former} ]'
        )
        served.write("X00001")
        served.until_copied("X00001")


@pytest.mark.parametrize("unit", [OVERLAY, AGENT])
def test_wrong_settings_end_a_start_at_once_and_say_why(served: Served, unit: str) -> None:
    served.system.run(f"systemctl stop {unit}; echo 'nonsense: 1' >>{SETTINGS}")
    assert served.system.run(f"systemctl start {unit}", check=False).returncode != 0
    shown = served.system.run(f"systemctl status {unit}", check=False).stdout
    assert "nonsense: no such setting" in shown
    assert "status=10" in shown
    assert served.shown(unit, "ActiveState") == "failed"
    assert served.shown(unit, "NRestarts") == "0"


def test_a_vault_whose_storage_comes_late_is_attached_by_itself_without_a_storm(
    served: Served,
) -> None:
    served.system.run(f"systemctl stop {OVERLAY}; mv /var/lib/vts/VAULT00 /var/lib/vts/away")
    assert served.system.run(f"systemctl start {OVERLAY}", check=False).returncode != 0
    served.system.until(f"systemctl status {OVERLAY} | grep 'is not there; create it'")
    served.system.run("sleep 8")
    assert int(served.shown(OVERLAY, "NRestarts")) <= 1
    served.system.run("mv /var/lib/vts/away /var/lib/vts/VAULT00")
    served.system.until("vtsfs status VAULT00")


# ---- reload and stop ------------------------------------------------------------------------------


def test_a_reload_takes_settings_over_or_fails_and_leaves_them(served: Served) -> None:
    pid = served.pid(AGENT)
    served.system.run(f"sed -i s/interval:.1s/interval:\\ 2m/ {SETTINGS}")
    served.system.run(f"systemctl reload {AGENT}")
    assert "retry.interval: 1s -> 2m" in served.system.journal(AGENT)
    served.system.run(f"echo 'nonsense: 1' >>{SETTINGS}")
    assert served.system.run(f"systemctl reload {AGENT}", check=False).returncode != 0
    assert "nonsense: no such setting" in served.system.journal(AGENT)
    assert served.is_active(AGENT)
    assert served.pid(AGENT) == pid


def test_a_stop_waits_for_an_open_tape_and_leaves_nothing(served: Served) -> None:
    with served.writer("X00001") as writer:
        assert writer.write("one")
        served.system.run(f"systemctl stop --no-block {OVERLAY}")
        served.system.until(f"systemctl show --property=StatusText {OVERLAY} | grep waiting")
        assert writer.write("two")
    served.until_in_state(OVERLAY, "inactive")
    assert served.stored("X00001") == "one\ntwo"
    assert served.mounts() == 0
    served.system.run(f"systemctl start {OVERLAY}")
    served.until_copied("X00001")


def test_a_tape_that_nobody_closes_does_not_keep_a_stop_for_ever(served: Served) -> None:
    with served.writer("X00001") as writer:
        assert writer.write("one")
        served.system.run(f"systemctl stop --no-block {OVERLAY}")
        served.system.until(f"systemctl show --property=StatusText {OVERLAY} | grep waiting")
        # A second signal stands for the minute that it would wait.
        served.system.run(f"kill -TERM {served.pid(OVERLAY)}")
        served.until_in_state(OVERLAY, "failed")
        assert not writer.write("two")
    assert served.mounts() == 0
    assert "told to stop while open: /VAULT00/BILL/X00001" in served.system.journal(OVERLAY)
    assert served.stored("X00001") == "one"
    # The bare mount point takes nothing.
    assert served.system.run("touch /VAULT00/X", check=False).returncode != 0


def test_detached_by_hand_it_stays_detached(served: Served) -> None:
    served.system.run("vtsfs detach VAULT00")
    served.until_in_state(OVERLAY, "inactive")
    assert served.mounts() == 0


# ---- boot and shutdown ----------------------------------------------------------------------------

_ENGINE = """\
[Unit]
Description=A tape engine
[Service]
Type=oneshot
RemainAfterExit=yes
User=vts
ExecStart=/bin/sh -c 'stat -f -c %%T /VAULT00 && echo first >>/VAULT00/BILL/X00007'
ExecStop=/bin/sh -c 'echo last >>/VAULT00/BILL/X00007'
[Install]
WantedBy=multi-user.target
"""

#: As the manual has it.
_BEFORE_THE_ENGINE = f"""\
[Unit]
Wants={OVERLAY}
After={OVERLAY}
"""


def test_a_boot_attaches_before_the_tape_engine_and_copies_what_was_owed(site: Site) -> None:
    with serving(site) as served:
        system = served.system
        system.run("cat >/etc/systemd/system/engine.service", text=_ENGINE)
        served.drop_in("engine.service", _BEFORE_THE_ENGINE)
        system.run(f"systemctl enable --quiet engine.service {AGENT}")
        served.start()
        system.run("systemctl start engine.service; systemctl stop ssh.service ssh.socket || true")
        served.write("X00001")
        system.until("copyagent status | grep -E 'retry|waiting|queued'")
        assert system.run(f"test -e {COPIES}/X00001", check=False).returncode != 0
        system.power_off()
    with serving(site) as served:
        assert served.is_active("engine.service")
        assert served.is_active(OVERLAY)
        assert served.is_active(AGENT)
        assert "fuse" in served.system.journal("engine.service")
        # What the engine wrote last was written through the overlay, which was then detached.
        assert served.stored("X00007") == "first\nlast\nfirst"
        served.until_copied("X00001")
        served.until_copied("X00007")
        assert "interrupted" not in served.system.out("copyagent status")
        # The agent was up when the vaults were, both times, and was never alarmed.
        assert "|824140|" not in served.system.out("cat /var/log/vts-autocopy/event.log")


# ---- upgrade --------------------------------------------------------------------------------------


def test_an_upgrade_leaves_the_overlay_and_its_tape_alone(
    served: Served, site: Site, next_package: Built
) -> None:
    system = served.system
    overlay, agent = served.pid(OVERLAY), served.pid(AGENT)
    (site.root / "root" / next_package.deb.name).write_bytes(next_package.deb.read_bytes())
    with served.writer("X00001") as writer:
        assert writer.write("before")
        system.run(f"dpkg -i /root/{next_package.deb.name}")
        assert writer.write("after")
        assert served.pid(OVERLAY) == overlay
        assert served.pid(AGENT) != agent
        assert system.out(f"readlink /proc/{served.pid(AGENT)}/exe").startswith(
            f"/usr/lib/vts-autocopy/{next_package.version}/"
        )
        with served.writer("X00002") as another:
            assert another.write("new")
    served.until_copied("X00001")
    served.until_copied("X00002")
    assert served.stored("X00001") == "before\nafter"
    # The next start is the new version, and the former one's files go.
    system.run(f"systemctl restart {OVERLAY}")
    assert next_package.version in system.out(f"readlink /proc/{served.pid(OVERLAY)}/exe")
    system.until("[ $(ls -d /usr/lib/vts-autocopy/[0-9]* | wc -l) = 1 ]")
