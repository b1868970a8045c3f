"""What removal refuses, what it says, and what it leaves."""

import hashlib
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.maintainer import Appliance, calling, filled
from tests.support.waiting import wait_until

PARTS = ("versions.sh", "removal.sh")
SETTINGS = "vaults: {}\n"

#: Lines of proc_pid_mountinfo(5): ours, alive and dead look alike, kernels before 6.0 write a number
#: sign as it is; neighbours'; disks.
TABLE = r"""
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
96 22 0:52 / /VAULT00 rw,nosuid,nodev shared:40 - fuse.vtsfs vtsfs\043VAULT00 rw,user_id=0
97 22 0:53 / /srv/second\040vault rw - fuse.vtsfs vtsfs\043VAULT01 rw,user_id=0,group_id=0
98 22 0:54 / /mnt/far rw - fuse.sshfs somebody@far:/vtsfs\043VAULT09 rw
95 22 0:55 / /VAULT02 rw,nosuid,nodev shared:40 - fuse.vtsfs vtsfs#VAULT02 rw,user_id=0
94 22 0:56 / /mnt/near rw - fuse.sshfs vtsfs rw
99 22 254:2 / /vtsfs\043VAULT08 rw - ext4 /dev/vdb1 rw
""".lstrip()


@pytest.fixture
def appliance(tmp_path: Path) -> Appliance:
    return Appliance(tmp_path / "root")


def table(appliance: Appliance, text: str) -> Path:
    file = appliance.root / "mountinfo"
    file.write_text(text)
    return file


def of_example(*calls: str) -> str:
    """Return a script that knows `SETTINGS` as what the package installs."""
    digest = hashlib.sha256(SETTINGS.encode()).hexdigest()
    return calling(*calls, parts=PARTS).replace("'none'", f"'{digest}'")


def put(appliance: Appliance, path: str, text: str = "") -> Path:
    place = appliance.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return place


# ---- while a vault is attached -------------------------------------------------------------------


def test_vaults_are_found_by_the_kernels_table(appliance: Appliance) -> None:
    found = appliance.run(
        calling('attached_vaults "$1"', parts=PARTS), str(table(appliance, TABLE))
    )
    assert found.splitlines() == [
        "VAULT00 /VAULT00",
        r"VAULT01 /srv/second\040vault",
        "VAULT02 /VAULT02",
    ]


def test_removal_is_refused_with_the_commands_to_use(appliance: Appliance) -> None:
    refuse = calling('refuse_while_attached removed "$1"', parts=PARTS)
    with pytest.raises(subprocess.CalledProcessError) as failed:
        appliance.run(refuse, str(table(appliance, TABLE)))
    said = failed.value.stderr
    assert "not removed" in said
    assert "VAULT00 at /VAULT00" in said
    assert "    vtsfs detach VAULT00\n" in said
    assert "    vtsfs detach VAULT01\n" in said
    assert "VAULT08" not in said
    assert "VAULT09" not in said


@pytest.mark.parametrize("text", ["", "\n".join(TABLE.splitlines()[-2:]) + "\n", None])
def test_with_no_vault_attached_it_is_not(appliance: Appliance, text: str | None) -> None:
    place = appliance.root / "none" if text is None else table(appliance, text)
    assert (
        appliance.run(calling('refuse_while_attached removed "$1"', parts=PARTS), str(place)) == ""
    )


# ---- how many tapes are not protected ------------------------------------------------------------


def installed(appliance: Appliance, status: str) -> None:
    """Install a program that knows nothing but its status."""
    appliance.unpack("0.2.0-1")
    tree = appliance.home / "0.2.0-1" / "bin"
    (tree / "copyagent").write_text(f"#!/bin/sh\ncat <<'END'\n{status}\nEND\nexit 40\n")
    (tree / "python3.13").symlink_to(sys.executable)
    (appliance.home / "current").symlink_to("0.2.0-1")
    (appliance.root / "etc" / "vts-autocopy").mkdir(parents=True)


def test_the_count_is_recorded_while_the_program_is_there_and_told_when_it_is_not(
    appliance: Appliance,
) -> None:
    pools = [
        {"pool": "/VAULT00/BILL", "unprotected": 3},
        {"pool": "/VAULT00/ARC", "unprotected": 4},
    ]
    installed(appliance, json.dumps({"pools": pools, "at": "2026-11-22T23:00:00Z"}))
    said = appliance.run(
        of_example("record_unprotected", "remove_all_versions", "tell_unprotected")
    )
    assert "UNPROTECTED TAPES: 7 had no copy" in said
    assert "2026-11-22T23:00:00Z" in said


def test_that_all_are_protected_is_told_as_well(appliance: Appliance) -> None:
    installed(appliance, json.dumps({"pools": [{"unprotected": 0}], "at": "2026-11-22T23:00:00Z"}))
    assert "every watched tape had its copy" in appliance.run(
        of_example("record_unprotected", "tell_unprotected")
    )


def test_what_cannot_be_known_is_told_so(appliance: Appliance) -> None:
    installed(appliance, "Error: no agent")
    assert "is not known" in appliance.run(of_example("record_unprotected", "tell_unprotected"))


def test_of_what_was_never_configured_nothing_is_said(appliance: Appliance) -> None:
    installed(appliance, "Error: no agent")
    put(appliance, "etc/vts-autocopy/vts-autocopy.yaml", SETTINGS)
    assert appliance.run(of_example("record_unprotected", "tell_unprotected")) == ""


def test_nothing_is_written_among_what_belongs_to_the_agents_user(appliance: Appliance) -> None:
    """He could lay a link there, for root to write through."""
    installed(appliance, "Error: no agent")
    theirs = put(appliance, "var/lib/vts-autocopy/theirs").parent
    appliance.run(of_example("record_unprotected"))
    assert [path.name for path in theirs.iterdir()] == ["theirs"]


def test_an_agent_that_no_service_runs_is_ended_and_others_are_left_alone(
    appliance: Appliance,
) -> None:
    appliance.unpack("0.2.0-1")
    program = appliance.home / "0.2.0-1" / "bin" / "python3.13"
    # Ends when it is told to and not before, whatever its arguments are.
    ours = [str(program), "-c", "import signal; signal.pause()", "-m", "copyagent", "run"]
    shown = [*ours[:4], "copyagent", "status"]
    program.symlink_to(sys.executable)
    with subprocess.Popen(ours) as agent, subprocess.Popen(shown) as command:
        try:
            for process in (agent, command):
                line = Path(f"/proc/{process.pid}/cmdline")
                wait_until(lambda: b"copyagent" in line.read_bytes(), 5, "it is started")  # noqa: B023  # called here
            waiting = threading.Thread(target=agent.wait)
            waiting.start()
            appliance.run(calling("end_other_agents", parts=PARTS))
            waiting.join(5)
            assert agent.returncode == -signal.SIGTERM
            assert command.poll() is None
        finally:
            agent.kill()
            command.kill()


def test_services_that_were_enabled_are_so_no_more(appliance: Appliance) -> None:
    units = appliance.root / "etc/systemd/system/multi-user.target.wants"
    units.mkdir(parents=True)
    for name in ("copyagent.service", "vtsfs@VAULT00.service", "ssh.service"):
        (units / name).symlink_to(f"/usr/lib/systemd/system/{name}")
    appliance.run(calling("disable_services", parts=("versions.sh", "system.sh")))
    assert [path.name for path in units.iterdir()] == ["ssh.service"]


# ---- what a purge leaves -------------------------------------------------------------------------

KEPT = (
    "etc/vts-autocopy/vts-autocopy.yaml",
    "etc/vts-autocopy/keys/id_ed25519",
    "var/lib/vts-autocopy/agent/agent.sqlite",
    "var/log/vts-autocopy/event.log",
)


def test_a_purge_keeps_what_cannot_be_had_back_and_says_so(appliance: Appliance) -> None:
    places = [put(appliance, path, "mine") for path in KEPT]
    put(appliance, "run/vts-autocopy/copyagent.sock")
    said = appliance.run(of_example("forget_settings_and_state"))
    assert all(place.read_text() == "mine" for place in places)
    assert not (appliance.root / "run" / "vts-autocopy").exists()
    for directory in ("etc/vts-autocopy", "var/lib/vts-autocopy", "var/log/vts-autocopy"):
        assert f"{appliance.root}/{directory}" in said.splitlines()[-1]


def test_a_purge_takes_what_the_package_made_and_nobody_changed(appliance: Appliance) -> None:
    put(appliance, "etc/vts-autocopy/vts-autocopy.yaml", SETTINGS)
    (appliance.root / "etc/vts-autocopy/keys").mkdir()
    for directory in ("var/lib/vts-autocopy", "var/log/vts-autocopy"):
        (appliance.root / directory).mkdir(parents=True)
    assert appliance.run(of_example("forget_settings_and_state")) == ""
    for directory in ("etc/vts-autocopy", "var/lib/vts-autocopy", "var/log/vts-autocopy"):
        assert not (appliance.root / directory).exists(), directory


def test_told_twice_a_purge_takes_everything(appliance: Appliance) -> None:
    places = [put(appliance, path, "mine") for path in KEPT]
    put(appliance, "var/lib/vts-autocopy/remove-state-too")
    said = appliance.run(of_example("forget_settings_and_state"))
    assert "were removed" in said
    assert not any(place.parent.exists() for place in places)


# ---- the settings --------------------------------------------------------------------------------


def making(appliance: Appliance) -> None:
    put(appliance, "usr/share/vts-autocopy/vts-autocopy.yaml", SETTINGS)
    appliance.run(calling("make_settings", parts=("versions.sh", "system.sh")))


def test_settings_are_made_if_there_are_none(appliance: Appliance) -> None:
    making(appliance)
    made = appliance.root / "etc" / "vts-autocopy" / "vts-autocopy.yaml"
    assert made.read_text() == SETTINGS
    assert made.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("is_link", [False, True])
def test_settings_that_are_there_are_left_alone(appliance: Appliance, is_link: bool) -> None:
    place = put(appliance, "etc/vts-autocopy/vts-autocopy.yaml", "mine")
    if is_link:
        # Also one whose file is not there now.
        place.unlink()
        place.symlink_to("/somewhere/else.yaml")
    making(appliance)
    assert place.is_symlink() if is_link else place.read_text() == "mine"


def test_the_next_steps_are_few_lines() -> None:
    text = filled("#include system.sh\n")
    said = text[text.index("<<'END'") : text.index("\nEND\n")].splitlines()[1:]
    assert len(said) <= 6
    assert all(len(line) <= 80 for line in said)
