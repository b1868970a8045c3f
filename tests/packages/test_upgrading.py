"""A new version comes while tapes are open, and does not disturb them; when it fails, the old works."""

import json

import pytest

from tests.packages.appliance import MOUNT_POINT, PROGRAMS, STATE, Appliance
from tests.packages.built import Built
from tests.packages.machine import told_by
from tests.packages.receiver import Receiver
from tests.support.waiting import wait_until

MIB = 1 << 20
NOT_COVERED, COPIED = 824140, 224101
#: A script that keeps a tape open for writing and appends to it when told, until told the end.
HOLDER = f"""
exec 3>>{MOUNT_POINT}/BILL/OPEN01
echo ready >/tmp/held
while read -r line; do
    case $line in end) exit ;; esac
    head -c 100000 /dev/urandom | tee -a /tmp/written >&3
    echo "$line" >/tmp/held
done </tmp/words
"""


class OpenTape:
    """A tape engine that has a tape open the whole time."""

    def __init__(self, appliance: Appliance) -> None:
        self._appliance = appliance
        machine = appliance.machine
        machine.shell("mkfifo /tmp/words; : >/tmp/written")
        self._keeper = machine.start("sh", "-c", "exec sleep 600 >/tmp/words", log="/dev/null")
        self.process = machine.start("sh", "-ec", HOLDER, log="/tmp/holder.log")
        self._wait_for("ready")

    def append(self, word: str) -> None:
        """Write another 100,000 bytes, and see that they are written."""
        self._appliance.machine.shell(f"echo {word} >/tmp/words")
        self._wait_for(word)

    def close(self) -> None:
        """Close it."""
        self._appliance.machine.shell("echo end >/tmp/words")
        machine = self._appliance.machine
        wait_until(lambda: not machine.is_running(self.process), 10.0, "the tape is closed")
        machine.end(self._keeper)

    def written(self) -> bytes:
        """All that was written."""
        return self._appliance.machine.inside("/tmp/written").read_bytes()

    def _wait_for(self, word: str) -> None:
        held = self._appliance.machine.inside("/tmp/held")
        wait_until(
            lambda: held.exists() and held.read_text(encoding="ascii").strip() == word,
            20.0,
            f"the tape is held: {word}",
        )


def install(appliance: Appliance, package: Built) -> str:
    """Install a version over the one that is there; return what was said."""
    path = appliance.machine.put(package.deb, "/tmp")
    told = appliance.machine.must("dpkg", "-i", path)
    appliance.machine.must("rm", path)
    return told


def remove_unused(appliance: Appliance) -> None:
    appliance.machine.must(f"{PROGRAMS}/remove-unused-versions")


def test_a_tape_stays_open_over_an_upgrade(
    at_work: Appliance, receiver: Receiver, package: Built, next_package: Built
) -> None:
    overlay, tape = at_work.overlay(), OpenTape(at_work)
    tape.append("before")
    install(at_work, next_package)
    tape.append("after")
    assert at_work.overlay() == overlay
    assert at_work.current() == next_package.version
    # The overlay and the agent, which no service manager has started anew, go on with the old one.
    assert at_work.versions() == {package.version, next_package.version}
    at_work.stop_agent()
    at_work.start_agent()
    tape.append("with-the-new-agent")
    tape.close()
    at_work.wait_for_state("OPEN01", "copied")
    assert receiver.copy("OPEN01").read_bytes() == tape.written()
    assert len(tape.written()) == 300_000
    assert at_work.events(NOT_COVERED) == []
    # It stays as long as the overlay is there, and goes with it.
    remove_unused(at_work)
    assert at_work.versions() == {package.version, next_package.version}
    at_work.detach()
    remove_unused(at_work)
    assert at_work.versions() == {next_package.version}
    at_work.attach()
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    assert at_work.machine.must("dpkg", "--verify", "vts-autocopy") == ""


def test_running_and_installed_version_are_shown(
    at_work: Appliance, package: Built, next_package: Built
) -> None:
    before = at_work.overlay_status()
    assert before["version"] == package.version
    install(at_work, next_package)
    for told in (at_work.vtsfs("status"), at_work.copyagent("status")):
        assert package.version in told
        assert next_package.version in told
    assert at_work.overlay_status()["installed"] == next_package.version
    status = at_work.status()
    assert (status["version"], status["installed"]) == (package.version, next_package.version)
    at_work.stop_agent()
    at_work.start_agent()
    status = at_work.status()
    assert status["version"] == status["installed"] == next_package.version


@pytest.mark.parametrize("release", ["bookworm"])
def test_queue_and_maps_survive(
    at_work: Appliance, receiver: Receiver, next_package: Built
) -> None:
    at_work.write_tape("LARGE1", 64 * MIB)
    at_work.wait_for_state("LARGE1", "copied")
    receiver.stop()
    at_work.change_tape("LARGE1", 10 * MIB, 4096)
    at_work.write_tape("X00001", MIB)
    for label in ("LARGE1", "X00001"):
        at_work.wait_for_state(label, "retry")
    install(at_work, next_package)
    at_work.stop_agent()
    # What is dismounted while no agent runs waits in the overlay's outbox.
    at_work.write_tape("X00002", MIB)
    receiver.start()
    at_work.start_agent()
    for label in ("LARGE1", "X00001", "X00002"):
        at_work.wait_for_state(label, "copied")
        assert receiver.copy(label).read_bytes() == at_work.backing(label).read_bytes()
    told = at_work.copyagent("history", "/VAULT00/BILL/LARGE1", "--json")
    copies = [entry for entry in map(json.loads, told.splitlines()) if entry["kind"] == "copied"]
    assert len(copies) == 2
    sent = sorted(copy["sent"] for copy in copies)
    assert sent[0] <= MIB, sent


@pytest.mark.parametrize("release", ["trixie"])
def test_an_older_version_is_refused(
    at_work: Appliance, package: Built, next_package: Built
) -> None:
    install(at_work, next_package)
    path = at_work.machine.put(package.deb, "/tmp")
    done = at_work.machine.run("dpkg", "-i", path)
    assert done.returncode != 0, told_by(done)
    told = done.stdout + done.stderr
    assert "older" in told
    word = f"{STATE}/go-back-to-{package.version}"
    assert f"touch {word}" in told
    assert at_work.current() == next_package.version
    assert at_work.installed() == "install ok installed"
    at_work.copyagent("check")
    at_work.machine.must("touch", word)
    at_work.machine.must("dpkg", "-i", path)
    assert at_work.current() == package.version
    at_work.copyagent("check")


@pytest.mark.parametrize("release", ["trixie"])
def test_the_same_version_again_changes_nothing(at_work: Appliance, package: Built) -> None:
    overlay, tape = at_work.overlay(), OpenTape(at_work)
    install(at_work, package)
    assert at_work.overlay() == overlay
    tape.append("after")
    tape.close()
    at_work.wait_for_state("OPEN01", "copied")
    assert (at_work.versions(), at_work.current()) == ({package.version}, package.version)


# ---- upgrades that fail --------------------------------------------------------------------------


def assert_works(appliance: Appliance, label: str) -> None:
    """Commands, the running daemons and newly started ones work."""
    appliance.copyagent("check")
    appliance.write_tape(label, MIB)
    appliance.wait_for_state(label, "copied")
    appliance.stop_agent()
    appliance.start_agent()
    appliance.detach()
    appliance.attach()
    appliance.write_tape(f"{label}B", MIB)
    appliance.wait_for_state(f"{label}B", "copied")


@pytest.fixture
def little_room(appliance: Appliance) -> None:
    """Put the programs on a disk of their own, on which one version has room and two have not."""
    appliance.machine.shell(
        f"mv {PROGRAMS} /tmp/programs; mkdir {PROGRAMS}\n"
        f"mount -t tmpfs -o mode=755,size=160m programs {PROGRAMS}\n"
        f"cp -a /tmp/programs/. {PROGRAMS}; rm -r /tmp/programs"
    )


@pytest.mark.parametrize("release", ["trixie"])
def test_a_full_disk_while_it_is_unpacked_leaves_the_old_one(
    little_room: None, at_work: Appliance, package: Built, next_package: Built
) -> None:
    overlay, tape = at_work.overlay(), OpenTape(at_work)
    path = at_work.machine.put(next_package.deb, "/tmp")
    done = at_work.machine.run("dpkg", "-i", path)
    assert done.returncode != 0, told_by(done)
    assert "No space left" in done.stderr
    assert (at_work.versions(), at_work.current()) == ({package.version}, package.version)
    assert at_work.overlay() == overlay
    tape.append("after")
    tape.close()
    at_work.wait_for_state("OPEN01", "copied")
    assert_works(at_work, "AFTER1")
    at_work.machine.shell(f"mount -o remount,size=400m {PROGRAMS}")
    at_work.machine.must("dpkg", "-i", path)
    assert at_work.current() == next_package.version
    assert_works(at_work, "AFTER2")
    remove_unused(at_work)
    assert at_work.versions() == {next_package.version}


@pytest.mark.parametrize("release", ["trixie"])
@pytest.mark.parametrize("moment", ["unpack", "configure"])
def test_dpkg_killed_in_the_middle_is_healed_by_the_next(
    at_work: Appliance, next_package: Built, moment: str
) -> None:
    overlay, tape = at_work.overlay(), OpenTape(at_work)
    path = at_work.machine.put(next_package.deb, "/tmp")
    dpkg = at_work.machine.start("dpkg", "-i", path, log="/tmp/dpkg.log")
    new = at_work.machine.inside(f"{PROGRAMS}/{next_package.version}")
    log = at_work.machine.inside("/tmp/dpkg.log")

    def reached() -> bool:
        if moment == "unpack":
            return any(new.parent.glob("*~kept")) and new.exists()
        return "Setting up" in log.read_text(encoding="utf-8")

    wait_until(reached, 60.0, f"dpkg is about to {moment}")
    at_work.machine.shell(f"kill -KILL {dpkg}")
    wait_until(lambda: not at_work.machine.is_running(dpkg), 10.0, "dpkg is dead")
    # What is there works, whichever it is.
    assert at_work.overlay() == overlay
    tape.append("between")
    at_work.copyagent("check")
    at_work.machine.run("dpkg", "--configure", "-a")
    at_work.machine.must("dpkg", "-i", path)
    tape.append("after")
    tape.close()
    at_work.wait_for_state("OPEN01", "copied")
    assert at_work.current() == next_package.version
    assert_works(at_work, "AFTER1")
    remove_unused(at_work)
    assert at_work.versions() == {next_package.version}
    assert at_work.machine.must("dpkg", "--verify", "vts-autocopy") == ""


@pytest.mark.parametrize("release", ["trixie"])
def test_a_script_that_fails_leaves_a_version_that_works(
    at_work: Appliance, next_package: Built
) -> None:
    # No user can be made: postinst fails before it has done anything.
    path = at_work.machine.put(next_package.deb, "/tmp")
    at_work.machine.shell("mkdir /tmp/kept; cp -a /usr/bin/getent /tmp/kept/")
    at_work.machine.shell("printf '#!/bin/sh\\nexit 99\\n' >/usr/bin/getent")
    at_work.machine.shell("for p in groupadd useradd; do mv /usr/sbin/$p /tmp/kept/; done")
    done = at_work.machine.run("dpkg", "-i", path)
    assert done.returncode != 0, told_by(done)
    assert_works(at_work, "AFTER1")
    at_work.machine.shell("cp -a /tmp/kept/getent /usr/bin/; mv /tmp/kept/*add /usr/sbin/")
    at_work.machine.must("dpkg", "--configure", "-a")
    assert at_work.current() == next_package.version
    assert_works(at_work, "AFTER2")
