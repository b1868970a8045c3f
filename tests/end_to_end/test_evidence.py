"""What is given to those who were not there: a drill's files at the target, reports, the bundle."""

import csv
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout

import pytest

from copyagent.cli.commands import copyagent
from copyagent.core.drill_list import CHECK, LIST
from copyagent.transfer.agent_mark import AgentMark
from tests.support.site import Site
from tests.support.world import World, open_world
from vtsfs.runtime.exits import run_cli

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

Run = Callable[..., tuple[int, str, str]]


def adjust(site: Site) -> None:
    """Read copies back instead of having the target digest them: then no SHA-256 is on record."""
    site.settings["targets"]["drsite"]["verify"] = "readback"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=adjust) as world:
        yield world


@pytest.fixture
def run(world: World) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        output, errors = io.StringIO(), io.StringIO()
        args = ["--config", str(world.site.config), *arguments]
        with redirect_stdout(output), redirect_stderr(errors):
            status = run_cli(copyagent, program="copyagent", args=args)
        return status, output.getvalue(), errors.getvalue()

    return run


def check_there(world: World) -> subprocess.CompletedProcess[str]:
    """Do what the list says, as somebody at the target does: with coreutils alone."""
    return subprocess.run(
        ["sha256sum", "-c", CHECK],
        cwd=world.staging(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_drill(world: World, run: Run) -> None:
    world.protect("X00001", os.urandom(300_000))
    world.protect("X00002", os.urandom(500))
    world.protect("@ODD#$-1", b"odd")
    status, out, err = run("drill", "drsite", "--because", "yearly drill", "--json")
    assert (status, err) == (0, "")
    document = json.loads(out)
    (vault,) = document["vaults"]
    assert vault["tapes"] == 3
    assert vault["digests"] == {"on record": 0, "read here": 3, "read back": 0, "read before": 0}
    assert document["unprotected"] == []
    checked = check_there(world)
    assert checked.returncode == 0, checked.stderr
    assert sorted(checked.stdout.splitlines()) == [
        "../../BILL/@ODD#$-1: OK",
        "../../BILL/X00001: OK",
        "../../BILL/X00002: OK",
    ]
    shown = (world.staging() / LIST).read_text()
    assert vault["check_sha256"] in shown
    assert f"sha256sum -c {CHECK}" in shown
    assert "Every tape of the source's watched pools was here as it is there." in shown
    # It is on record, with the digest of what was written.
    assert any("drill drsite: yearly drill" in line for line in world.events(224170))
    entries = [json.loads(line) for line in run("history", "--json")[1].splitlines()]
    (action,) = [entry for entry in entries if entry["kind"] == "action"]
    assert (action["action"], action["object"]) == ("drill", "drsite")
    assert vault["check_sha256"] in action["new"]

    # One byte there is another, of the same size and date: coreutils see it, and say which.
    copy = world.copy("X00001")
    before = copy.stat()
    damaged = bytearray(copy.read_bytes())
    damaged[123_456] ^= 1
    copy.write_bytes(damaged)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    checked = check_there(world)
    assert checked.returncode == 1
    assert "../../BILL/X00001: FAILED" in checked.stdout
    assert "../../BILL/X00002: OK" in checked.stdout


def test_what_is_not_protected_is_named_and_a_newer_tape_is_read_back(
    world: World, run: Run
) -> None:
    world.protect("X00010", b"the former content")
    run("pause", "drsite", "--because", "test")
    world.tape("X00010").write_bytes(b"the latter content")
    world.tape("X00011").write_bytes(b"never copied")
    world.site.wait(lambda: world.state("X00011").startswith("waiting"), "it waits")
    world.site.wait(lambda: world.state("X00010").startswith("waiting"), "it waits")
    aside = world.far / "aside"
    world.copy("X00002").rename(aside)
    left = world.staging() / f"{LIST}.0123456789abcdef.new"
    left.write_bytes(b"of a drill that was broken off")
    os.utime(left, (1, 1))
    status, out, err = run("drill", "drsite")
    assert status == 50
    assert "NOT PROTECTED at this moment: 2 tapes" in out
    assert "/VAULT00/BILL/X00010, for " in out
    assert "/VAULT00/BILL/X00011, for " in out
    assert "waiting (paused): paused by" in out
    assert "1 read back" in out
    assert "NOT IN ORDER: /VAULT00/BILL/X00002: not there" in out
    assert "1 tape at drsite not in order" in err
    checked = check_there(world)
    aside.rename(world.copy("X00002"))
    assert "../../BILL/X00010: OK" in checked.stdout
    assert "../../BILL/X00002: FAILED open or read" in checked.stdout
    shown = (world.staging() / LIST).read_text()
    assert "the tape at the source is newer" in shown
    assert "NOT PROTECTED when this was written: 2 tapes" in shown
    # Those of the drill before are replaced, and nothing else is left.
    names = [path.name for path in world.staging().iterdir() if path.name.startswith("DRILL")]
    assert sorted(names) == sorted([CHECK, LIST])
    run("resume", "drsite")
    world.wait_for("X00010", "copied")
    world.wait_for("X00011", "copied")


def test_a_day_is_reported_and_proven(world: World, run: Run) -> None:
    world.protect("X00020", b"proven")
    status, out, _ = run("report", "--since", "1h", "--json", world.name("X00020"))
    assert status == 0
    document = json.loads(out)
    assert document["total"]["within"] == document["total"]["due"] == 1
    assert document["verdicts"]
    out = run("report", "--since", "1h", "--csv")[1]
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    (row,) = [r for r in rows if r["tape"] == world.name("X00020") and r["kind"] == "dismounted"]
    assert (row["outcome"], row["verified"], row["size"]) == ("copied", "readback", "6")
    assert len(row["root"]) == 64


def test_fenced_and_without_an_agent(world: World, run: Run) -> None:
    """A target in service can prove what it has as well; and so can it when the source is dying."""
    world.protect("X00030", b"before the end")
    run("fence", "drsite", "--because", "test")
    (world.staging() / CHECK).unlink(missing_ok=True)
    world.site.stop()
    status, out, err = run("drill", "drsite", "--pool", "/VAULT00/BILL")
    assert "No agent answers: its state file is read." in err
    assert "done; it goes on record when an agent runs" in err
    assert status == 0, err
    assert "sha256 of the digests" in out
    assert "../../BILL/X00030: OK" in check_there(world).stdout
    world.start_agent()
    run("unfence", "drsite", "--because", "test")
    entries = [json.loads(line) for line in run("history", "--json")[1].splitlines()]
    drills = [entry["new"] for entry in entries if entry.get("action") == "drill"]
    assert "DRILL.sha256 of VAULT00: " in drills[-1]


def test_another_agents_directory_is_left_alone(world: World, run: Run) -> None:
    mark = world.staging() / "AGENT"
    ours = mark.read_bytes()
    (world.staging() / CHECK).unlink(missing_ok=True)
    mark.write_bytes(AgentMark("f" * 32, "TAPESRV1", "elsewhere").encode())
    try:
        status, _, err = run("drill", "drsite")
    finally:
        mark.write_bytes(ours)
    assert status == 42
    assert "is that of another agent, of TAPESRV1 on elsewhere" in err
    assert not (world.staging() / CHECK).exists()


def test_what_cannot_be_drilled_is_a_wrong_command_line(run: Run) -> None:
    assert run("drill", "drsit")[0] == 2
    assert run("drill", "drsite", "--pool", "/VAULT00/NONE")[0] == 2


def test_the_bundle_holds_no_secret_of_this_world(world: World, run: Run) -> None:
    world.protect("X00040", b"for the bundle")
    output = world.root / "bundle.tar.gz"
    status, _, err = run("support-bundle", "--output", str(output))
    assert status == 0, err
    with tarfile.open(output) as tar:
        found = {
            entry.name.partition("/")[2]: content.read()
            for entry in tar.getmembers()
            if (content := tar.extractfile(entry)) is not None
        }
    assert json.loads(found["status.json"])["pools"]
    assert b"VAULT00" in found["overlays.json"]
    assert b"X00040" in found["history.jsonl"]
    assert str(world.site.mountpoint()).encode() in found["mountinfo.txt"]
    for line in world.sshd.key.read_text().splitlines():
        assert line.encode() not in b"".join(found.values())
    assert b"for the bundle" not in b"".join(found.values())
