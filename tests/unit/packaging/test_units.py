"""The services' units: what systemd says of them, what each may do, and what must never be in them.

That they do what they should is tried under a systemd of its own, in tests/packages.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vtsfs.contract import credentials
from vtsfs.contract.errors import (
    AttachError,
    OutboxError,
    SettingsError,
    StateError,
    UsageError,
    VaultBusy,
    VtsError,
)
from vtsfs.daemon import STOP_LIMIT_S

PACKAGING = Path(__file__).parents[3] / "packaging"
UNITS = PACKAGING / "systemd"
OVERLAY, AGENT = "vtsfs@.service", "copyagent.service"

#: Each of these gives a service a mount namespace of its own (systemd.exec(5), systemd 252 to 257),
#: in which an overlay would attach its vault for itself alone.
MOUNT_NAMESPACE = re.compile(
    r"""(?mx) ^ (
        Private (?!Users|Network) \w+ | Protect (?!Clock|Hostname) \w+ | ProcSubset | MountFlags
        | MountAPIVFS | Root \w+ | DynamicUser | LogNamespace | \w* Paths | TemporaryFileSystem
        | MountImages | Extension \w+ | (?: Load | Set | Import) Credential \w* | \w+ Directory
        | BindLogSockets | IPCNamespacePath
    ) \s* ="""
)

#: How exposed systemd-analyze finds each service, from 0 to 10; the agent must stay below 2.
SCORES = {OVERLAY: 4.4, AGENT: 1.8}

has_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None and not os.environ.get("CI"),
    reason="there is no systemd-analyze: apt-get install systemd",
)


def settings_of(unit: str) -> list[tuple[str, str]]:
    """Return the settings of a unit in their order."""
    lines = (UNITS / unit).read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line[:1].isalpha()]
    return [(name, value) for name, _, value in pairs]


def values(unit: str, name: str) -> list[str]:
    """Return every value of a setting, word by word."""
    return [word for key, value in settings_of(unit) if key == name for word in value.split()]


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run systemd-analyze, which needs no systemd that runs."""
    return subprocess.run(
        ["systemd-analyze", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SYSTEMD_COLORS": "0"},
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the units, what they start, and the targets that every system has."""
    system = tmp_path / "usr/lib/systemd/system"
    system.mkdir(parents=True)
    for name in (OVERLAY, AGENT):
        shutil.copy(UNITS / name, system)
    for target in ("sysinit", "basic", "shutdown", "multi-user", "network", "local-fs"):
        (system / f"{target}.target").write_text("[Unit]\nDescription=of every system\n")
    for program in (
        *("bin/sh", "usr/bin/vtsfs", "usr/bin/copyagent"),
        "usr/lib/vts-autocopy/remove-unused-versions",
    ):
        path = tmp_path / program
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    return tmp_path


def verify(root: Path) -> str:
    """Return what systemd does not like about the units in *root*."""
    done = analyze("verify", f"--root={root}", "--man=no", "vtsfs@VAULT00.service", AGENT)
    return done.stdout + done.stderr or ("" if done.returncode == 0 else "it failed")


@has_systemd
def test_systemd_finds_nothing_wrong(root: Path) -> None:
    assert verify(root) == ""


@has_systemd
def test_systemd_would_find_a_setting_that_there_is_not(root: Path) -> None:
    unit = root / "usr/lib/systemd/system" / AGENT
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchDogSec="))
    assert "WatchDogSec" in verify(root)


@has_systemd
@pytest.mark.parametrize("unit", [OVERLAY, AGENT])
def test_no_service_is_more_exposed_than_was_recorded(unit: str) -> None:
    said = analyze("security", "--offline=true", str(UNITS / unit)).stdout
    found = re.search(r"exposure level for \S+: ([\d.]+)", said)
    assert found is not None, said
    assert float(found[1]) <= SCORES[unit], said
    assert SCORES[AGENT] <= 2.0


def in_a_mount_namespace(text: str) -> list[str]:
    return [found[1] for found in MOUNT_NAMESPACE.finditer(text)]


def test_nothing_hides_the_overlays_mount_from_the_machine() -> None:
    assert in_a_mount_namespace((UNITS / OVERLAY).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "setting",
    [
        *("PrivateTmp", "PrivateDevices", "PrivateMounts", "PrivateIPC", "ProtectSystem"),
        *("ProtectHome", "ProtectProc", "ProtectKernelTunables", "ProtectKernelModules"),
        *("ProtectKernelLogs", "ProtectControlGroups", "ProcSubset", "ReadOnlyPaths"),
        *("ReadWritePaths", "InaccessiblePaths", "ExecPaths", "NoExecPaths", "BindPaths"),
        *("BindReadOnlyPaths", "TemporaryFileSystem", "MountImages", "ExtensionImages"),
        *("RootDirectory", "RootImage", "MountFlags", "DynamicUser", "LogNamespace"),
        *("LoadCredential", "SetCredential", "ImportCredential", "StateDirectory"),
    ],
)
def test_what_would_hide_it_is_known(setting: str) -> None:
    assert in_a_mount_namespace(f"[Service]\n{setting}=yes\n") == [setting]


def test_the_unit_says_why_it_has_none_of_them() -> None:
    text = (UNITS / OVERLAY).read_text(encoding="utf-8")
    assert "NOTHING MAY GIVE THIS SERVICE A MOUNT NAMESPACE" in text
    assert in_a_mount_namespace((UNITS / AGENT).read_text(encoding="utf-8")) != []


def test_the_overlay_has_the_capabilities_that_it_uses_and_no_others() -> None:
    assert sorted(values(OVERLAY, "CapabilityBoundingSet")) == [
        *("CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_LINUX_IMMUTABLE"),
        *("CAP_MKNOD", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID", "CAP_SYS_ADMIN"),
    ]
    assert "Not CAP_SYS_RESOURCE" in (UNITS / OVERLAY).read_text(encoding="utf-8")


def test_the_agent_may_read_tapes_and_ask_for_leases_and_nothing_else() -> None:
    for name in ("CapabilityBoundingSet", "AmbientCapabilities"):
        assert sorted(values(AGENT, name)) == ["CAP_DAC_READ_SEARCH", "CAP_LEASE"]
    assert values(AGENT, "User") == ["vts-autocopy"]
    assert values(AGENT, "ProtectSystem") == ["strict"]
    writable = values(AGENT, "ReadWritePaths")
    assert writable == [
        *("-/var/lib/vts-autocopy", "-/run/vts-autocopy", "-/var/log/vts-autocopy"),
    ]


def test_the_agent_is_handed_the_directory_that_the_program_looks_for() -> None:
    assert values(AGENT, "LoadCredential") == [f"{credentials.NAME}:{credentials.DIRECTORY}"]


def test_a_boot_does_not_alarm_the_agent_of_vaults_that_are_to_come() -> None:
    assert AGENT in values(OVERLAY, "Before")


def statuses(*kinds: type[VtsError]) -> list[str]:
    return [str(kind.exit_code) for kind in kinds]


@pytest.mark.parametrize("unit", [OVERLAY, AGENT])
def test_wrong_settings_are_not_tried_again(unit: str) -> None:
    assert values(unit, "RestartPreventExitStatus") == statuses(UsageError, SettingsError)
    assert values(unit, "Restart") == ["on-failure"]


def test_what_follows_an_overlays_end_goes_by_its_exit_status() -> None:
    script = next(value for key, value in settings_of(OVERLAY) if key == "ExecStopPost")
    assert f" {VaultBusy.exit_code}) exec vtsfs detach" in script
    rests = re.search(r"in ([\d|]+)\) exec sleep", script)
    assert rests is not None
    assert rests[1].split("|") == statuses(AttachError, OutboxError, StateError, VtsError)


def test_a_stop_leaves_open_tapes_their_time() -> None:
    limit = int(values(OVERLAY, "TimeoutStopSec")[0])
    assert limit >= STOP_LIMIT_S + 15


def test_the_directories_that_the_agent_writes_to_are_made_for_it() -> None:
    lines = (PACKAGING / "tmpfiles.d/vts-autocopy.conf").read_text(encoding="utf-8").splitlines()
    made = {line.split()[1]: line.split()[2:] for line in lines if line.startswith("d ")}
    for path in values(AGENT, "ReadWritePaths"):
        assert made[path.removeprefix("-")][1:] == ["vts-autocopy", "vts-autocopy"]
    assert made[str(credentials.DIRECTORY)] == ["0700", "root", "root"]
    users = (PACKAGING / "sysusers.d/vts-autocopy.conf").read_text(encoding="utf-8")
    assert re.search(r"(?m)^u vts-autocopy ", users)
