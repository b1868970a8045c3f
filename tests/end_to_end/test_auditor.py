"""An auditor a year later: what was done is on record, once, and any change of the record shows."""

import io
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from copyagent.core.chain import marks_at_end
from tests.support.world import World, open_world
from vtsfs.contract import messages
from vtsfs.runtime.exits import run_cli

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

BECAUSE = ("--because", "the auditor asked")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world() as opened:
        yield opened


def run(world: World, *arguments: str) -> tuple[int, str]:
    """Run a command of the agent's without a process of its own; return its status and its words."""
    printed = io.StringIO()
    args = ["--config", str(world.site.config), *arguments]
    with redirect_stdout(printed), redirect_stderr(io.StringIO()):
        status = run_cli(copyagent, program="copyagent", args=args)
    return status, printed.getvalue()


def history(world: World) -> list[dict[str, Any]]:
    status, printed = run(world, "history", "--last", "1000", "--json")
    assert status == 0
    return [json.loads(line) for line in printed.splitlines()]


def state_file(world: World) -> Path:
    (path,) = (world.site.root / "state").rglob("agent.sqlite")
    return path


def verify(world: World, *args: str) -> tuple[int, dict[str, Any]]:
    status, printed = run(world, "history", "--verify", "--json", *args)
    document: dict[str, Any] = json.loads(printed)
    return status, document


def test_a_dismount_its_copy_and_an_act_are_on_record(world: World) -> None:
    content = os.urandom(20_000)
    world.protect("AUDIT1", content)
    assert run(world, "hold", world.name("AUDIT1"), *BECAUSE)[0] == 0
    assert run(world, "release", world.name("AUDIT1"), *BECAUSE)[0] == 0
    entries = [e for e in history(world) if e["tape"] in ("", world.name("AUDIT1"))]
    kinds = [e["kind"] for e in entries if e["kind"] != "alarm"]
    start = kinds.index("loaded")
    assert kinds[start:] == ["loaded", "dismounted", "copied", "action", "action"]
    loaded, dismounted, copied, hold, release = [e for e in entries if e["kind"] != "alarm"][start:]
    assert (loaded["how"], len(loaded["settings"])) == ("start", 64)
    assert (dismounted["wrote"], dismounted["size"]) == (True, len(content))
    assert (dismounted["copy_to"], dismounted["generation"]) == ("drsite", copied["generation"])
    assert (copied["size"], copied["settings"]) == (len(content), loaded["settings"])
    assert (hold["action"], hold["user"], hold["because"]) == ("hold", "root", "the auditor asked")
    assert (release["action"], release["new"]) == ("release", "queued")
    acts = world.site.events(messages.OPERATOR_ACTION.id)
    assert len(acts) == 2
    marks = [mark for line in acts for mark in marks_at_end(line)]
    assert [(mark.number, mark.value) for mark in marks] == [
        (act["number"], act["chain"][:16]) for act in (hold, release)
    ]


def test_the_settings_of_then_are_kept(world: World) -> None:
    (loaded, *_) = [e for e in history(world) if e["kind"] == "loaded"]
    _, shown = run(world, "history", "--settings", loaded["settings"][:12])
    assert "name: TAPESRV1" in shown
    assert str(world.site.backing()) in shown


def test_who_detached_and_attached_the_vault_is_on_record_too(world: World) -> None:
    world.site.stop()
    world.site.must("vtsfs", "detach", "VAULT00", *BECAUSE)
    world.site.must("vtsfs", "attach", "VAULT00", "--because", "it is mended")
    (detached,) = world.site.events(messages.DETACHED.id)
    assert detached.endswith(
        "Vault VAULT00 detached by root: the auditor asked [attached -> detached]"
    )
    attached = world.site.events(messages.ATTACHED.id)[-1]
    assert "by root: it is mended [detached -> attached]" in attached
    assert run(world, "fence", "drsite", *BECAUSE)[0] == 0
    assert run(world, "unfence", "drsite", *BECAUSE)[0] == 0
    world.start_agent()

    def acts() -> list[tuple[str, str, str]]:
        found = [e for e in history(world) if e["kind"] == "action"]
        return [(e["user"], e["action"], e["object"]) for e in found]

    wanted = [
        ("root", "detach", "vault VAULT00"),
        ("root", "attach", "vault VAULT00"),
        ("root", "fence", "drsite"),
        ("root", "unfence", "drsite"),
    ]
    world.site.wait(lambda: acts()[-4:] == wanted, "what was done meanwhile is on record")
    assert [line.split("|")[-1].split(": ")[1] for line in world.events(224170)[-2:]] == [
        "fence drsite",
        "unfence drsite",
    ]


def test_the_record_is_intact_and_any_change_of_it_shows(world: World) -> None:
    status, found = verify(world)
    assert (status, found["faults"]) == (0, [])
    assert found["marks"] >= 5, "two acts, two fences, a note at each start"
    noted = found["newest"]
    world.site.stop()
    entries = history(world)
    assert entries[-1]["kind"] == "stopped"
    status, found = verify(world, "--known", noted)
    assert (status, found["faults"]) == (0, [])
    act = next(e["number"] for e in entries if e["kind"] == "action")
    with closing(sqlite3.connect(state_file(world))) as database, database:
        database.execute("UPDATE history SET entry = replace(entry, 'auditor', 'manager') "
                         "WHERE number = ?", (act,))  # fmt: skip
    status, found = verify(world, "--known", noted)
    assert status == 50
    assert found["faults"] == [
        f"entry {act}: was changed, or does not belong behind entry {act - 1}"
    ]
    world.start_agent()
    assert verify(world)[0] == 50, "an agent that goes on mends nothing"
