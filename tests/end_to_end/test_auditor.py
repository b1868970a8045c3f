"""An auditor a year later: what was done is on record, once, and any change of the record shows."""

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from copyagent.core.chain import marks_at_end
from tests.support.world import World, open_world
from vtsfs.contract import messages

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

BECAUSE = ("--because", "the auditor asked")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world() as opened:
        yield opened


def history(world: World, *args: str) -> list[dict[str, Any]]:
    printed = world.site.must("copyagent", "history", "--last", "1000", "--json", *args)
    return [json.loads(line) for line in printed.splitlines()]


def state_file(world: World) -> Path:
    (path,) = (world.site.root / "state").rglob("agent.sqlite")
    return path


def verify(world: World, *args: str) -> tuple[int, dict[str, Any]]:
    done = world.site.run("copyagent", "history", "--verify", "--json", *args)
    document: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, document


def test_a_dismount_its_copy_and_an_act_are_on_record(world: World) -> None:
    content = os.urandom(20_000)
    world.protect("AUDIT1", content)
    world.site.must("copyagent", "hold", world.name("AUDIT1"), *BECAUSE)
    world.site.must("copyagent", "release", world.name("AUDIT1"), *BECAUSE)
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
    shown = world.site.must("copyagent", "history", "--settings", loaded["settings"][:12])
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
    world.site.must("copyagent", "fence", "drsite", *BECAUSE)
    world.site.must("copyagent", "unfence", "drsite", *BECAUSE)
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
    assert [line.split("|")[-1].split(": ")[1] for line in world.events(424170)[-2:]] == [
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
