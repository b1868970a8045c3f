"""What operators see and may do: with the agent up and down, and under other users."""

import grp
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.nonstop import TREE
from tests.support.site import Site
from tests.support.world import World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

UNREACHABLE, REFUSED, REQUEST_FAILED, BUSY = 40, 41, 42, 43
NOBODY = 65534
#: The service group: root gives the sockets to any group, others only to their own.
GROUP = grp.getgrgid(1 if os.geteuid() == 0 else os.getegid()).gr_name
#: The operators' group, likewise.
OPERATORS = grp.getgrgid(2 if os.geteuid() == 0 else os.getegid()).gr_name
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")

#: Becomes another user, with one group, and then does as the command would. What is imported before
#: that may lie where only its owner can read.
AS_ANOTHER = """
import os, sys
import copyagent.cli.commands, copyagent.cli.display, copyagent.control.client, encodings.idna
from copyagent.__main__ import main
uid, gid = int(sys.argv[1]), int(sys.argv[2])
os.setgroups([]); os.setgid(gid); os.setuid(uid)
sys.argv[:3] = ["copyagent"]
main()
"""


def let_a_group_look(site: Site) -> None:
    site.settings["service"] = {"group": GROUP, "operators": OPERATORS}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=let_a_group_look) as opened:
        opened.root.chmod(0o755)
        opened.site.config.chmod(0o644)
        opened.protect("LOOK01", content())
        yield opened


def as_nobody(
    world: World, *arguments: str, group: int = NOBODY
) -> subprocess.CompletedProcess[str]:
    """Run ``copyagent`` as a user without any right, in *group* alone."""
    command = [sys.executable, "-c", AS_ANOTHER, str(NOBODY), str(group)]
    return subprocess.run(
        [*command, "--config", str(world.site.config), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
        cwd=TREE,
    )


def test_status_and_explain_are_one_document_for_people_and_programs(world: World) -> None:
    document = json.loads(world.site.must("copyagent", "status", "--json"))
    assert document["schema"] == 1
    assert document["pools"][0]["protected"] == 1
    shown = world.site.must("copyagent", "status")
    for word in ("/VAULT00/BILL", "drsite", "VAULT00", "copied", "protected"):
        assert word in shown
    explained = json.loads(world.site.must("copyagent", "explain", world.name("LOOK01"), "--json"))
    assert explained["copies"][0]["state"] == "copied"
    told = world.site.must("copyagent", "explain", world.name("LOOK01"))
    for word in ("Evidence", "Last verdict", "Copies", "History", explained["verdict"]["verdict"]):
        assert word in told


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("explain", "/VAULT00/BILL/NOSUCH"), 2, "nothing is known"),
        (("explain", "/VAULT00/PAY/X00001"), 2, "not under autocopy"),
        (("explain", "X00001"), 2, "not a tape"),
        (("explain", "/VAULT00/BILL/../../etc"), 2, "not a tape"),
        (("explain", "/VAULT00/BILL/X\n1"), 2, "nothing is known"),
        (("retry",), 2, "--failed"),
        (("retry", "/VAULT00/BILL/X00001", "--failed"), 2, "--failed"),
        (("release", "/VAULT00/BILL/LOOK01"), 2, "--because"),
        (("release", "/VAULT00/BILL/LOOK01", "--because", "x"), REQUEST_FAILED, "is not held"),
        (("status", "--watch", "--json"), 2, "choose one"),
        (("nosuch",), 2, "nosuch"),
    ],
)
def test_what_cannot_be_done_is_said_with_an_exit_status_of_its_kind(
    world: World, arguments: tuple[str, ...], status: int, told: str
) -> None:
    done = world.site.run("copyagent", *arguments)
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@needs_root
def test_a_stranger_sees_nothing_and_does_nothing(world: World) -> None:
    for arguments in (("status",), ("explain", world.name("LOOK01")), ("retry", "--failed")):
        done = as_nobody(world, *arguments)
        assert (done.returncode, done.stdout) == (REFUSED, ""), done.stderr


@needs_root
def test_the_service_group_looks_and_does_not_act(world: World) -> None:
    group = grp.getgrnam(GROUP).gr_gid
    seen = as_nobody(world, "status", "--json", group=group)
    assert seen.returncode == 0, seen.stderr
    assert json.loads(seen.stdout)["pools"][0]["protected"] == 1
    assert as_nobody(world, "explain", world.name("LOOK01"), group=group).returncode == 0
    for arguments in (
        ("retry", "--failed"),
        ("retry", world.name("LOOK01")),
        ("sync", "/VAULT00/BILL"),
        ("release", world.name("LOOK01"), "--because", "x"),
    ):
        done = as_nobody(world, *arguments, group=group)
        assert done.returncode == REFUSED, done.stderr
        assert "may not" in done.stderr
    assert world.site.events(224170) == []


@needs_root
def test_the_operators_group_acts_and_its_member_is_named(world: World) -> None:
    group = grp.getgrnam(OPERATORS).gr_gid
    for arguments in (
        ("status",),
        ("pause", "drsite", "--because", "a trial"),
        ("resume", "drsite"),
    ):
        done = as_nobody(world, *arguments, group=group)
        assert done.returncode == 0, done.stderr
    paused, resumed = world.site.events(224170)
    assert "nobody: pause drsite: a trial" in paused
    assert "nobody: resume drsite" in resumed


@needs_root
def test_nobody_but_the_owner_opens_a_database(world: World) -> None:
    state = world.site.root / "state"
    shown = (state / "status.json").stat()
    assert shown.st_mode & 0o777 == 0o640
    assert shown.st_gid == grp.getgrnam(GROUP).gr_gid, "who may not look may not read it either"
    for path in (*(state / "agent").iterdir(), *(state / "outbox").iterdir()):
        assert path.stat().st_mode & 0o077 == 0 or path.parent.stat().st_mode & 0o077 == 0


def test_a_second_agent_is_refused_and_harms_nothing(world: World) -> None:
    done = world.site.run("copyagent", "run")
    assert done.returncode == BUSY
    assert "Traceback" not in done.stderr
    assert world.state("LOOK01") == "copied"


def test_an_agent_that_ends_leaves_how_things_stand_at_its_end(world: World) -> None:
    world.protect("LOOK02", content())
    world.site.stop()
    try:
        left = json.loads((world.site.root / "state" / "status.json").read_text())
        assert [pool["states"] for pool in left["pools"]] == [{"copied": 2}]
    finally:
        world.start_agent()


def test_without_an_agent_the_last_known_state_is_shown_with_its_date(world: World) -> None:
    before = datetime.now(UTC).strftime("%Y-%m-%dT")  # noqa: TID251 - the edge is the test
    world.site.wait(
        lambda: '"copied": 2' in (world.site.root / "state" / "status.json").read_text(), "written"
    )
    world.kill_agent()
    try:
        shown = world.site.run("copyagent", "status")
        assert shown.returncode == UNREACHABLE
        assert f"NOT running. Its last known state, of {before}" in shown.stdout
        assert "/VAULT00/BILL" in shown.stdout
        document = json.loads(world.site.run("copyagent", "status", "--json").stdout)
        assert document["stale"] is True
        assert document["at"].startswith(before)
        for arguments in (("explain", world.name("LOOK01")), ("retry", "--failed")):
            done = world.site.run("copyagent", *arguments)
            assert (done.returncode, done.stdout) == (UNREACHABLE, "")
            assert "systemctl start copyagent" in done.stderr
        (world.site.root / "state" / "status.json").unlink()
        assert world.site.run("copyagent", "status").returncode == UNREACHABLE
        (world.site.root / "state" / "status.json").write_text("not json")
        assert world.site.run("copyagent", "status").returncode == UNREACHABLE
    finally:
        world.start_agent()
