"""The settings of a running agent are changed: what can be is in force at once, and a wrong file never."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copyagent.control.client import ask
from copyagent.control.reloads import Reload
from tests.support.processes import identify, send_signal
from tests.support.world import ATTEMPT_FAILED, POOL, World, content, open_world
from vtsfs.contract.errors import SettingsError

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

ACTION, REFUSED, LEFT = 224170, 624182, 424183


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world() as opened:
        yield opened


def reload(world: World, because: str = "a test", *, dry_run: bool = False) -> dict[str, Any]:
    """Write the settings and have them read again; return the answer."""
    world.site.write_settings()
    socket = world.site.root / "run" / "copyagent.sock"
    document: dict[str, Any] = ask(socket, Reload(because, dry_run))
    return document


def file_status(world: World) -> dict[str, Any]:
    status: dict[str, Any] = world.site.status()["settings"]
    return status


def target(world: World) -> dict[str, Any]:
    settings: dict[str, Any] = world.site.settings["targets"]["drsite"]
    return settings


def catches_sighup(pid: int) -> bool:
    """Look at which signals a process has asked for (proc_pid_status(5))."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    (caught,) = [line.split()[1] for line in text.splitlines() if line.startswith("SigCgt:")]
    return bool(int(caught, 16) & 1 << (signal.SIGHUP - 1))


def test_a_running_copy_is_stopped_for_other_settings_of_its_target_and_goes_on(
    world: World,
) -> None:
    target(world)["bandwidth"] = "20 KiB/s"
    world.site.write_settings()
    command = ("copyagent", "reload", "--json", "--because", "a narrow line")
    said = json.loads(world.site.must(*command))
    assert said["result"] == "applied"
    assert [change["key"] for change in said["changes"]] == ["targets.drsite.bandwidth"]
    (line,) = world.site.events(ACTION)
    assert "a narrow line" in line
    tape = content(400_000)
    world.tape("X00001").write_bytes(tape)
    world.wait_for("X00001", "copying")
    del target(world)["bandwidth"]
    said = reload(world)
    assert (
        "target drsite changes bandwidth: 1 running copy is stopped, to begin again"
        in (said["consequences"])
    )
    world.wait_for("X00001", "copied")
    assert world.copy("X00001").read_bytes() == tape
    assert not world.events(ATTEMPT_FAILED, "X00001")


def test_a_wrong_file_is_told_whole_and_changes_nothing(world: World) -> None:
    before = file_status(world)["sha256"]
    target(world)["parallel"] = "many"
    world.site.settings["tragets"] = {}
    world.site.write_settings()
    done = world.site.run("copyagent", "reload")
    assert done.returncode == 10
    assert "targets.drsite.parallel: " in done.stderr
    assert "tragets: no such setting" in done.stderr
    assert "the former settings stay in force" in done.stderr
    assert len(world.site.events(REFUSED)) == 1
    status = file_status(world)
    assert status["sha256"] == before
    assert "(and 1 more)" in status["not_in_force"]
    # Whoever looks for the cause is told of it, and not kept out by it.
    shown = world.site.run("copyagent", "status")
    assert "The settings file on disk is not in force: targets.drsite.parallel" in shown.stdout
    assert shown.returncode == 0
    del target(world)["parallel"], world.site.settings["tragets"]
    assert reload(world)["result"] == "unchanged"
    assert file_status(world)["not_in_force"] is None
    world.protect("X00002", content())


def test_a_pool_that_leaves_with_what_it_owes_is_owed_it_when_it_is_back(world: World) -> None:
    entry = world.site.settings["autocopy"].pop()
    said = reload(world, dry_run=True)
    assert said["result"] == "dry run"
    assert said["consequences"] == [f"pool {POOL} leaves AutoCopy with no unprotected tape"]
    assert world.pool_status()["pool"] == POOL
    world.site.must("copyagent", "pause", "drsite", "--because", "nothing is to be copied yet")
    world.tape("X00003").write_bytes(content())
    world.wait_for("X00003", "waiting")
    said = reload(world, "the pool moves out")
    assert said["left_unprotected"] == [f"{POOL} to drsite: 1"]
    assert len(world.site.events(LEFT)) == 1
    assert world.site.status()["pools"] == []
    later = content()
    world.tape("X00003").write_bytes(later)  # nobody listens
    world.site.must("copyagent", "resume", "drsite")
    world.site.settings["autocopy"].append(entry)
    reload(world)
    world.site.wait(
        lambda: world.copy("X00003").exists() and world.copy("X00003").read_bytes() == later,
        "what was owed, and has changed since, is copied",
    )


def test_sighup_does_what_reload_does(world: World) -> None:
    assert world.site.agent is not None
    agent = identify(world.site.agent.pid)
    assert agent is not None
    before = file_status(world)["sha256"]
    world.site.settings["traffic"] = {"parallel": 7}
    world.site.settings["system"]["model"] = "OTHER"
    world.site.write_settings()
    send_signal(agent, signal.SIGHUP)
    world.site.wait(lambda: file_status(world)["sha256"] != before, "the settings are in force")
    status = file_status(world)
    assert status["by"] == "SIGHUP"
    assert status["waiting_for_restart"] == ["system.model"]
    world.site.settings["traffic"] = {"parallel": 0}
    world.site.write_settings()
    send_signal(agent, signal.SIGHUP)
    world.site.wait(lambda: file_status(world)["not_in_force"], "the file is refused")
    del world.site.settings["traffic"]
    reload(world)


def test_sighup_while_it_starts_ends_nobody(world: World) -> None:
    world.site.stop()
    assert world.site.agent is not None
    world.site.agent.start()
    agent = identify(world.site.agent.pid)
    assert agent is not None

    def answers() -> bool:
        if catches_sighup(agent.pid):  # from the first lines of the program on
            send_signal(agent, signal.SIGHUP)
        return world.site._answers()

    world.site.wait(answers, "the agent answers")
    # A busy agent may still have the last signals before it, and would take the next test's file by them.
    world.site.stop()
    world.site.start()


def test_hosts_come_change_and_go(world: World) -> None:
    printed = world.root / "events"
    printed.write_text("")
    host: dict[str, Any] = {"access": "file", "file": str(printed)}
    without = world.site.settings["ems"]
    world.site.settings["ems"] = {"hosts": {"DEV2": host}}
    said = reload(world)
    assert "host DEV2 is listened to from now on" in said["consequences"]
    assert said["begun_anew"] == ["link to DEV2"]
    world.site.wait(lambda: world.site.status()["hosts"][0]["up"], "the link is up")
    host["remind_every"] = "2h"
    assert reload(world)["begun_anew"] == []
    host["silence"] = "1h"
    said = reload(world)
    assert said["begun_anew"] == ["link to DEV2"]
    assert "the link to host DEV2 is begun anew, from where it had come" in said["consequences"]
    world.site.wait(lambda: world.site.status()["hosts"][0]["up"], "the link is up again")
    # Settings that forbid what they ask for elsewhere are refused as a whole.
    host["file"] = str(world.root / "other")
    host["vaults"] = ["VAULT07"]
    with pytest.raises(SettingsError, match="VAULT07"):
        reload(world)
    assert world.site.status()["hosts"][0]["up"]
    world.site.settings["ems"] = without
    reload(world)
    assert world.site.status()["hosts"] == []


def test_an_agent_does_not_start_with_a_wrong_file_and_tells_all_of_it(world: World) -> None:
    world.site.stop()
    target(world)["parallel"] = 0
    os.chmod(target(world)["key"], 0o644)
    world.site.write_settings()
    try:
        done = world.site.run("copyagent", "run")
    finally:
        os.chmod(target(world)["key"], 0o600)
        target(world)["parallel"] = 2
    assert done.returncode == 10
    assert "targets.drsite.parallel" in done.stderr
    assert "can be read by others" in done.stderr
    world.start_agent()
    assert file_status(world)["waiting_for_restart"] == []
