"""The package goes: never under an attached vault, and never with the only evidence."""

import pytest

from tests.packages.appliance import LOG, MOUNT_POINT, PROGRAMS, SETTINGS, STATE, Appliance
from tests.packages.built import Built
from tests.packages.machine import told_by
from tests.packages.receiver import Receiver

MIB = 1 << 20
TWICE = f"{STATE}/remove-state-too"


@pytest.mark.parametrize("how", ["--remove", "--purge"])
def test_it_stays_while_a_vault_is_attached(at_work: Appliance, how: str) -> None:
    at_work.write_tape("X00001", MIB)
    overlay = at_work.overlay()
    done = at_work.machine.run("dpkg", how, "vts-autocopy")
    assert done.returncode != 0
    told = done.stdout + done.stderr
    assert "VAULT00" in told
    assert "vtsfs detach VAULT00" in told
    assert at_work.overlay() == overlay
    assert at_work.machine.is_running(at_work.agent)
    at_work.write_tape("X00002", MIB)
    at_work.wait_for_state("X00002", "copied")
    # dpkg remembers what was wanted, and has the package as installed all the same.
    assert at_work.installed().endswith(" ok installed")
    at_work.stop_agent()
    at_work.detach()
    at_work.machine.must("dpkg", how, "vts-autocopy")


@pytest.mark.parametrize("release", ["trixie"])
def test_it_stays_while_a_dead_overlay_covers_a_vault(at_work: Appliance) -> None:
    at_work.machine.end(at_work.overlay(), "KILL")
    done = at_work.machine.run("dpkg", "--remove", "vts-autocopy")
    assert done.returncode != 0, told_by(done)
    assert "vtsfs detach VAULT00" in done.stdout + done.stderr
    at_work.detach()
    at_work.stop_agent()
    at_work.machine.must("dpkg", "--remove", "vts-autocopy")


def test_removed_it_leaves_settings_keys_state_and_log(at_work: Appliance) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    at_work.stop_agent()
    at_work.detach()
    at_work.machine.must("dpkg", "--remove", "vts-autocopy")
    assert not at_work.exists(PROGRAMS)
    assert at_work.machine.run("sh", "-c", "command -v vtsfs copyagent").returncode != 0
    for kept in (SETTINGS, f"{STATE}/agent/agent.sqlite", LOG, "/etc/vts-autocopy/keys"):
        assert at_work.exists(kept), kept
    assert at_work.backing("X00001").exists()


def test_a_purge_tells_how_many_tapes_are_unprotected_and_keeps_state(
    at_work: Appliance, receiver: Receiver
) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    receiver.stop()
    for label in ("X00002", "X00003"):
        at_work.write_tape(label, MIB)
        at_work.wait_for_state(label, "retry")
    at_work.stop_agent()
    at_work.detach()
    told = at_work.machine.must("dpkg", "--purge", "vts-autocopy")
    assert "UNPROTECTED TAPES: 2" in told
    for directory in ("/etc/vts-autocopy", STATE, "/var/log/vts-autocopy"):
        assert directory in told
    for kept in (SETTINGS, f"{STATE}/agent/agent.sqlite", LOG):
        assert at_work.exists(kept)


def test_told_twice_a_purge_takes_everything_but_the_tapes(at_work: Appliance) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    at_work.stop_agent()
    at_work.detach()
    at_work.machine.must("touch", TWICE)
    at_work.machine.must("dpkg", "--purge", "vts-autocopy")
    for gone in (SETTINGS, STATE, LOG, "/etc/vts-autocopy", "/var/log/vts-autocopy"):
        assert not at_work.exists(gone), gone
    assert at_work.backing("X00001").exists()


@pytest.mark.parametrize("release", ["trixie"])
def test_one_that_was_never_used_goes_without_a_trace(appliance: Appliance) -> None:
    appliance.machine.must("dpkg", "--purge", "vts-autocopy")
    found = appliance.machine.shell(
        "find / -xdev '(' -path /proc -o -path /sys -o -path /dev -o -path '/var/lib/dpkg' ')' -prune"
        " -o -name '*vts*' -print -o -name 'copyagent*' -print"
    )
    assert set(found.split()) <= {"/srv/vts", STATE}


@pytest.mark.parametrize("release", ["trixie"])
def test_installed_again_it_takes_up_what_was_kept(
    at_work: Appliance, receiver: Receiver, package: Built
) -> None:
    receiver.stop()
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "retry")
    at_work.stop_agent()
    at_work.detach()
    at_work.machine.must("dpkg", "--purge", "vts-autocopy")
    at_work.machine.must("dpkg", "-i", at_work.machine.put(package.deb, "/tmp"))
    receiver.start()
    at_work.attach()
    at_work.start_agent()
    at_work.wait_for_state("X00001", "copied")
    assert at_work.exists(f"{MOUNT_POINT}/BILL/X00001")
