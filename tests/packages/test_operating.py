"""From the first settings to the removal, on an installed system, with what the manual tells."""

import gzip
import json

import pytest

from tests.packages.appliance import LOG, MOUNT_POINT, PROGRAMS, SETTINGS, STATE, USER, Appliance
from tests.packages.machine import told_by
from tests.packages.receiver import Receiver
from tests.packages.roots import Root

MIB = 1 << 20
COPIED = 224101


def test_a_tape_comes_to_the_target(appliance: Appliance, receiver: Receiver) -> None:
    appliance.configure(receiver)
    appliance.copyagent("check")
    examined = json.loads(appliance.copyagent("doctor", "--json"))
    assert examined["ok"], examined
    appliance.attach()
    agent = appliance.start_agent()
    appliance.write_tape("X00001", 5 * MIB)
    appliance.wait_for_state("X00001", "copied")
    assert receiver.copy("X00001").read_bytes() == appliance.backing("X00001").read_bytes()
    assert len(appliance.events(COPIED)) == 1
    for program in (agent, appliance.overlay()):
        command = appliance.machine.shell(f"tr '\\0' ' ' </proc/{program}/cmdline")
        assert command.startswith(f"{PROGRAMS}/{appliance.current()}/bin/python3.13 -I -B -m ")
    told = appliance.copyagent("status") + appliance.vtsfs("status")
    assert appliance.current().split("-")[0] in told
    appliance.stop_agent()
    appliance.detach()
    assert "fuse" not in appliance.machine.shell("cut -d' ' -f3 /proc/self/mounts")


def test_the_agent_has_no_more_rights_than_it_needs(at_work: Appliance) -> None:
    status = at_work.machine.shell(f"cat /proc/{at_work.agent}/status")
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    uid = at_work.machine.shell(f"id -u {USER}").strip()
    assert set(fields["Uid"].split()) == {uid}
    dac_read_search, lease = 1 << 2, 1 << 28  # capabilities(7)
    assert int(fields["CapEff"], 16) == dac_read_search | lease
    assert int(fields["CapBnd"], 16) == dac_read_search | lease
    # It reads tapes of whatever owner and mode.
    at_work.write_tape("SECRET", MIB, mode="600")
    at_work.wait_for_state("SECRET", "copied")


def test_the_rights_of_state_and_log_stay_right(at_work: Appliance) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    shown = at_work.machine.shell(f"stat -c '%U:%G %n' {STATE}/agent {LOG} /run/vts-autocopy")
    assert {line.split()[0] for line in shown.splitlines()} == {f"{USER}:{USER}"}
    assert "cannot be written" not in at_work.agent_output()
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    places = (STATE, LOG.rsplit("/", 1)[0])
    read = at_work.machine.run(*nobody, "find", *places, "-type", "f", "-readable")
    assert read.stdout == ""


def test_nothing_of_the_package_changes_while_it_runs(at_work: Appliance) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    at_work.stop_agent()
    at_work.detach()
    assert at_work.machine.must("dpkg", "--verify", "vts-autocopy") == ""
    listed = set(at_work.machine.must("dpkg", "-L", "vts-autocopy").splitlines())
    there = set(at_work.machine.shell(f"find {PROGRAMS}").splitlines())
    assert there - listed == {f"{PROGRAMS}/current"}


@pytest.mark.parametrize("release", ["trixie"])
def test_init_replaces_the_example_and_nothing_else(
    appliance: Appliance, receiver: Receiver
) -> None:
    appliance.configure(receiver)
    before = appliance.machine.inside(SETTINGS).read_bytes()
    done = appliance.machine.run("copyagent", "init", "--system", "OTHER", "--no-ems")
    assert done.returncode != 0, told_by(done)
    assert appliance.machine.inside(SETTINGS).read_bytes() == before


@pytest.mark.parametrize("system", [Root("bookworm", ("fuse3", "logrotate"))])
def test_the_event_log_is_rotated(at_work: Appliance) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    before = at_work.machine.inside(LOG).read_bytes()
    rotate = ("logrotate", "--force", "--state", "/tmp/rotated", "/etc/logrotate.d/vts-autocopy")
    assert at_work.machine.must(*rotate) == ""
    assert at_work.machine.inside(f"{LOG}.1").read_bytes() == before
    at_work.write_tape("X00002", MIB)
    at_work.wait_for_state("X00002", "copied")
    assert len(at_work.events(COPIED)) == 1
    owner = at_work.machine.shell(f"stat -c '%U:%G %a' {LOG} {LOG}.1")
    assert set(owner.splitlines()) == {f"{USER}:{USER} 640"}
    assert at_work.machine.must(*rotate) == ""
    assert gzip.decompress(at_work.machine.inside(f"{LOG}.2.gz").read_bytes()) == before


@pytest.mark.parametrize("release", ["bookworm"])
def test_after_a_boot_it_goes_on_where_it_was(at_work: Appliance, receiver: Receiver) -> None:
    receiver.stop()
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "retry")
    # As a power cut leaves it.
    at_work.machine.end(at_work.agent, "KILL")
    at_work.machine.end(at_work.overlay(), "KILL")
    at_work.machine.must("umount", "-l", MOUNT_POINT)
    at_work.machine.shell("rm -rf /run/vts-autocopy")
    receiver.start()
    at_work.attach()
    at_work.start_agent()
    at_work.wait_for_state("X00001", "copied")
    assert receiver.copy("X00001").read_bytes() == at_work.backing("X00001").read_bytes()
