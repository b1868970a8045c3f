"""``copyagent doctor`` as operators run it: what it says of a target, and what it leaves there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from copyagent.cli.doctor_run import check_settings, doctor_document, examine, places_of
from copyagent.transfer.findings import Finding, Findings, Result
from tests.support.documents import check_document
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until
from vtsfs.contract.settings_check import check_files
from vtsfs.contract.settings_file import read_settings

TREE = Path(__file__).parents[4]


class Practice:
    """Settings for one target that is in order, and the command."""

    def __init__(self, root: Path, sshd: Sshd) -> None:
        self.root, self.sshd = root, sshd
        self.vault = root / "far" / "VAULT00"
        (self.vault / "BILL").mkdir(parents=True)
        (root / "backing" / "BILL").mkdir(parents=True)
        (root / "VAULT00").mkdir()
        self.config = root / "vts-autocopy.yaml"
        text = EXAMPLE.replace("user: vts", f"user: {sshd.user}\n    port: {sshd.port}")
        text = text.replace("ROOT/key", str(sshd.key)).replace("/far/VAULT00", str(self.vault))
        text = text.replace("ROOT/known_hosts", str(sshd.known_hosts))
        self.config.write_text(text.replace("ROOT", str(root)))

    def change(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.config.write_text(text.replace(old, new))

    def command(self, *arguments: str) -> list[str]:
        start = [sys.executable, "-m", "copyagent", "--config", str(self.config)]
        return [*start, "doctor", *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            cwd=TREE,
            timeout=60,
        )

    async def steps(self) -> dict[str, Finding]:
        """Examine the target in this process; return what was found, by the name of its step."""
        settings, findings = read_settings(self.config), Findings()
        check_settings(findings, check_files(settings, "here"), "drsite", first=True)
        with trio.fail_after(30):
            assert await examine(settings, "drsite", findings, trial=1_000_000)
        return {one.step: one for one in findings.all}

    def left(self) -> list[str]:
        return sorted(path.name for path in self.vault.rglob("*"))


@pytest.fixture
def practice(scratch: Path, sshd: Sshd) -> Practice:
    return Practice(scratch, sshd)


@pytest.mark.ssh
def test_a_target_in_order_passes_and_nothing_is_left(practice: Practice) -> None:
    ended = practice.run("drsite")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "FAIL" not in ended.stdout
    words = ["name:", "port:", "host key:", "key:", "log-in:", "SFTP extensions:", "commands:"]
    words += [
        "round trip:",
        "renaming into",
        "hard links",
        "shared blocks",
        "space in",
        "clock at",
        "owner and mode",
        "speed:",
    ]
    assert [word for word in words if word not in ended.stdout] == []
    assert practice.left() == ["BILL"]


@pytest.mark.ssh
def test_the_findings_as_a_document(practice: Practice) -> None:
    (practice.sshd.directory / "authorized_keys").write_text("")
    ended = practice.run("--json")
    assert ended.returncode == 50
    check_document("doctor", json.loads(ended.stdout))
    (target,) = json.loads(ended.stdout)["targets"]
    assert target["steps"][-1]["step"] == "log-in"
    assert "authorized_keys" in target["steps"][-1]["remedy"]


@pytest.mark.ssh
def test_all_targets_are_examined_and_one_that_is_down_fails(practice: Practice) -> None:
    text = practice.config.read_text()
    begin, end = text.index("  drsite:"), text.index("autocopy:")
    down = text[begin:end].replace("drsite", "down").replace(str(practice.sshd.port), "9")
    practice.config.write_text(text[:end] + down + text[end:])
    ended = practice.run()
    assert ended.returncode == 50
    assert "Connection refused" in ended.stdout
    assert "-> check that sshd runs there" in ended.stdout
    assert "1 at down" in ended.stderr
    assert "speed:" in ended.stdout, "the other one was examined"


@pytest.mark.ssh
async def test_nothing_is_written_on_a_fenced_target(practice: Practice) -> None:
    fence = practice.vault / ".vts-autocopy" / "IN-SERVICE"
    fence.parent.mkdir()
    fence.touch()
    before = {path: path.stat().st_mtime_ns for path in practice.vault.rglob("*")}
    steps = await practice.steps()
    (fenced,) = [one for name, one in steps.items() if name.startswith("fence")]
    assert fenced.result is Result.WARNING, "in service is no fault"
    assert "unfence" in fenced.remedy
    assert not [name for name in steps if name.startswith(("staging", "speed", "renaming"))]
    assert {path: path.stat().st_mtime_ns for path in practice.vault.rglob("*")} == before


def _without_vault(practice: Practice) -> None:
    (practice.vault / "BILL").rmdir()
    practice.vault.rmdir()


def _pool_is_a_file(practice: Practice) -> None:
    (practice.vault / "BILL").rmdir()
    (practice.vault / "BILL").touch()


def _unpinned(practice: Practice) -> None:
    practice.sshd.known_hosts.write_text("")


def _other_key(practice: Practice) -> None:
    practice.change(str(practice.sshd.known_hosts), str(practice.sshd.wrong_known_hosts()))


def _key_for_all(practice: Practice) -> None:
    practice.sshd.key.chmod(0o644)


def _no_key(practice: Practice) -> None:
    practice.sshd.key.unlink()


def _not_let_in(practice: Practice) -> None:
    (practice.sshd.directory / "authorized_keys").write_text("")


def _unknown_algorithm(practice: Practice) -> None:
    practice.change("known_hosts:", "algorithms: {kex: [rot13]}\n    known_hosts:")


def _no_name(practice: Practice) -> None:
    practice.change("host: 127.0.0.1", "host: no-such-host.invalid")


def _no_commands(practice: Practice) -> None:
    config = practice.sshd.directory / "sshd_config"
    config.write_text("ForceCommand internal-sftp\n" + config.read_text())
    practice.sshd.restart()
    practice.change("known_hosts:", "verify: sha256\n    known_hosts:")


def _no_rename(practice: Practice) -> None:
    config = practice.sshd.directory / "sshd_config"
    refused = "Subsystem sftp internal-sftp -P posix-rename"
    config.write_text(config.read_text().replace("Subsystem sftp internal-sftp", refused))
    practice.sshd.restart()


def _staging_is_a_file(practice: Practice) -> None:
    (practice.vault / ".vts-autocopy").touch()


FAULTS = [
    (_without_vault, "directories for", "there is no directory", "targets.*.vaults"),
    (_pool_is_a_file, "directories for", "is file, not a directory", "put a directory there"),
    (_unpinned, "host key", "is not pinned", "copyagent keys init drsite"),
    (_other_key, "host key", "is not the one in", "find out why"),
    (_key_for_all, "settings", "chmod 600", "copyagent check"),
    (_no_key, "key", "cannot be read", "copyagent keys init drsite"),
    (_not_let_in, "log-in", "refuses user", "authorized_keys"),
    (_unknown_algorithm, "algorithms", "rot13", "correct the setting"),
    (_no_name, "name", "no-such-host.invalid", "targets.*.host"),
    (_no_commands, "commands", "verify: sha256 needs it", "verify: auto"),
    (_no_rename, "SFTP extensions", "posix-rename", "OpenSSH"),
    (_staging_is_a_file, "writing below", ".vts-autocopy", ""),
]


@pytest.mark.ssh
@pytest.mark.parametrize(("fault", "step", "detail", "remedy"), FAULTS)
async def test_a_fault_is_found_and_its_remedy_named(
    practice: Practice, fault: Any, step: str, detail: str, remedy: str
) -> None:
    fault(practice)
    before = practice.left()
    steps = await practice.steps()
    failed = {name: one for name, one in steps.items() if one.result is Result.FAILED}
    (found,) = [one for name, one in failed.items() if name.startswith(step)]
    assert detail in found.detail
    assert remedy in found.remedy
    assert found.remedy
    assert practice.left() == before


@pytest.mark.ssh
def test_an_interrupted_examination_tidies_up(practice: Practice) -> None:
    config = practice.sshd.directory / "sshd_config"
    config.write_text("RekeyLimit 64K\n" + config.read_text())
    process = subprocess.Popen(
        practice.command("drsite"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=TREE
    )
    try:
        wait_until(lambda: len(practice.left()) > 2, 20, "it has begun to write")
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in {0, 50}, told
    assert practice.left() == ["BILL"]


@pytest.mark.ssh
async def test_what_a_killed_examination_left_is_removed_by_the_next(practice: Practice) -> None:
    staging = practice.vault / ".vts-autocopy" / "TAPESRV1"
    staging.mkdir(parents=True)
    for directory in (staging, practice.vault / "BILL"):
        (directory / ".vts-autocopy-doctor.00").touch()
    (practice.vault / "BILL" / "X00001").touch()
    steps = await practice.steps()
    assert not [one for one in steps.values() if one.result is Result.FAILED]
    assert practice.left() == [".vts-autocopy", "BILL", "TAPESRV1", "X00001"]


@pytest.mark.ssh
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
async def test_other_owners_and_modes_are_told(practice: Practice) -> None:
    tape = practice.vault / "BILL" / "X00001"
    tape.touch()
    os.chown(tape, 4711, 4711)
    steps = await practice.steps()
    owner = steps[f"owner and mode in {practice.vault}/BILL"]
    assert owner.result is Result.WARNING
    assert "uid 4711" in owner.detail
    os.chown(tape, 0, 0)
    tape.chmod(0o600)
    mine = practice.root / "backing" / "BILL" / "X00002"
    mine.touch()
    mine.chmod(0o640)
    steps = await practice.steps()
    owner = steps[f"owner and mode in {practice.vault}/BILL"]
    assert "mode 0640, as tapes here; there it is 0600" in owner.detail


# ---- without a target ----------------------------------------------------------------------------


def test_the_places_are_the_pools_that_receive_copies(tmp_path: Path) -> None:
    settings = example_settings(tmp_path)
    (tmp_path / "backing" / "BILL").mkdir(parents=True)
    (place,) = places_of(settings, "drsite")
    assert (place.layout.pool, place.mode) == ("/far/VAULT00/BILL", None)
    (tmp_path / "backing" / "BILL" / "X00001").touch(0o640)
    (tmp_path / "backing" / "BILL" / "X00001").chmod(0o640)
    (place,) = places_of(settings, "drsite")
    assert place.mode == 0o640


def test_the_document_counts_what_failed(tmp_path: Path) -> None:
    findings = Findings()
    findings.ok("name", "there")
    findings.fail("port", "closed", "open it")
    document = doctor_document(example_settings(tmp_path), {"drsite": findings})
    assert (document["ok"], document["targets"][0]["failed"]) == (False, 1)
    assert [one["remedy"] for one in document["targets"][0]["steps"]] == [None, "open it"]
