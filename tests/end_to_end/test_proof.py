"""An operator asks for proof: verify, generations, fetch and history over a whole system."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from tests.support.site import Site
from tests.support.sshd import Sshd
from vtsfs.runtime.exits import run_cli

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TAPE = "/VAULT00/BILL/X00001"


@dataclass
class Ended:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


class Both:
    """A source with an overlay and an agent, and its target."""

    def __init__(self, site: Site, far: Path) -> None:
        self.site = site
        self.far = far

    @property
    def copy(self) -> Path:
        return self.far / "BILL" / "X00001"

    def write(self, content: bytes) -> None:
        """Mount the tape, write it anew, dismount it, and wait until it is copied."""
        (self.site.mountpoint() / "BILL" / "X00001").write_bytes(content)
        self.site.wait(lambda: self._is_copied(content), "the tape is copied")

    def _is_copied(self, content: bytes) -> bool:
        return (
            self.site.state_of(TAPE) == "copied"
            and self.copy.exists()
            and self.copy.read_bytes() == content
        )

    def run(self, *arguments: str) -> Ended:
        """Run a command of ``copyagent`` here: most of what a process takes is to be started."""
        output, errors = io.StringIO(), io.StringIO()
        args = ["--config", str(self.site.config), *arguments]
        with redirect_stdout(output), redirect_stderr(errors):
            status = run_cli(copyagent, program="copyagent", args=args)
        return Ended(status, output.getvalue(), errors.getvalue())

    def must(self, *arguments: str) -> str:
        """Run a command that has to succeed; return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done
        return done.stdout

    def lines(self, *arguments: str) -> list[dict[str, Any]]:
        """Run a command; return the documents that it printed."""
        return [json.loads(line) for line in self.run(*arguments).stdout.splitlines()]


@pytest.fixture
def both(scratch: Path, sshd: Sshd) -> Iterator[Both]:
    far = scratch / "far"
    far.mkdir()
    with Site(scratch / "here") as site:
        site.make_pool("BILL")
        site.add_target("drsite", sshd, {"VAULT00": far})
        site.watch("/VAULT00/BILL", "drsite")
        site.attach()
        site.start()
        yield Both(site, far)


def test_an_operator_asks_for_proof(both: Both) -> None:
    site = both.site
    first, second = os.urandom(700_000), os.urandom(700_000)
    both.write(first)
    both.write(second)

    # It is what it should be, by the agent's word and without it.
    assert "1 copy is what was published" in both.must("verify", TAPE)
    listed = json.loads(both.must("generations", "--json", TAPE))["generations"]
    assert [(entry["published"], entry["size"]) for entry in listed] == [
        (True, len(second)),
        (False, len(first)),
    ]
    entries = both.lines("history", TAPE, "--json")
    assert [entry["kind"] for entry in entries] == ["dismounted", "copied"] * 2
    history = [entry for entry in entries if entry["kind"] == "copied"]
    assert history[-1]["settings"] == hashlib.sha256(site.config.read_bytes()).hexdigest()

    # Brought back, beside the tape.
    away = site.root / "away"
    away.mkdir()
    both.must("fetch", TAPE, "--to", str(away))
    assert (away / "X00001").read_bytes() == second

    (site.root / "former").mkdir()
    former = ("--generation", str(listed[1]["generation"]), "--to", str(site.root / "former"))
    both.must("fetch", TAPE, *former)
    assert (site.root / "former" / "X00001").read_bytes() == first

    # Somebody edits the copy: it is found, told, and held.
    damaged = bytearray(second)
    damaged[300_000] ^= 1
    stat = both.copy.stat()
    with both.copy.open("r+b") as file:
        file.write(damaged)
    os.utime(both.copy, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    found = both.run("verify", "--json")
    assert found.returncode == 50
    (document,) = [json.loads(line) for line in found.stdout.splitlines()]
    assert document["result"] == "wrong"
    assert document["wrong"] == [[262_144, 524_288]]
    site.wait_for_state(TAPE, "held (target changed)")
    assert len(site.events(624144)) == 1
    fetched = both.run("fetch", TAPE, "--to", str(site.root))
    assert fetched.returncode == 50
    assert sorted(os.listdir(away)) == ["X00001"]
    assert not (site.root / "X00001").exists()
    kinds = [entry["kind"] for entry in both.lines("history", "--failed", "--json")]
    assert kinds == ["doubted", "held"]


def test_without_an_agent_the_targets_own_records_are_asked(both: Both) -> None:
    site = both.site
    content = os.urandom(100_000)
    both.write(content)
    site.stop()
    done = both.run("verify", "/VAULT00/BILL")
    assert done.returncode == 0, done.stderr
    assert "No agent answers" in done.stderr
    assert "what drsite has is by its own record" in both.must("generations", TAPE)
    both.must("fetch", TAPE, "--to", str(site.root))
    assert (site.root / "X00001").read_bytes() == content
    both.copy.write_bytes(content[:-1])
    done = both.run("verify", "/VAULT00/BILL", "--sample", "5%")
    assert done.returncode == 50
    assert "WRONG: it has 99999 bytes" in done.stdout


def test_a_copy_is_put_back_in_the_tapes_place(both: Both) -> None:
    site = both.site
    content = os.urandom(300_000)
    both.write(content)
    tape = site.mountpoint() / "BILL" / "X00001"
    replace = ("fetch", TAPE, "--replace", "--because", "disk fault")
    with tape.open("r+b") as engine:
        engine.write(b"being written")
        in_use = both.run(*replace)
        assert in_use.returncode == 42, in_use.stdout
        assert "open" in in_use.stderr
    site.wait_for_state(TAPE, "copied")
    assert both.copy.read_bytes().startswith(b"being written")
    with tape.open("rb"):
        reading = both.run(*replace)
        assert reading.returncode == 42, reading.stdout
    site.stop()
    with tape.open("r+b") as engine:
        engine.write(b"a mistake")
    # The overlay closes a tape a moment after its engine, when what was written is durable.
    site.wait(lambda: both.run(*replace).returncode == 0, "the copy is put back")
    assert tape.read_bytes() == b"being written" + content[13:]
    assert sorted(os.listdir(tape.parent)) == ["X00001"]
    assert not any("fetch --replace" in line for line in site.events(224170))
    site.start()
    site.wait(lambda: any("fetch --replace" in line for line in site.events(224170)), "on record")
    site.wait_for_state(TAPE, "copied")
    assert both.copy.read_bytes() == tape.read_bytes()


def test_a_pool_is_audited(both: Both) -> None:
    site = both.site
    both.write(os.urandom(100_000))
    pool = "/VAULT00/BILL"
    clean = both.run("audit", pool)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    assert "well: 1 copy." in clean.stdout

    # Out of sight of overlay and agent: nothing but the audit can know.
    site.stop()
    here, there = site.backing() / "BILL", both.far / "BILL"
    (here / "X00002").write_bytes(b"never copied")
    (here / "notes.txt").write_bytes(b"stray")
    (there / "X00003").write_bytes(b"extra")
    before = {path: path.stat() for path in (*here.iterdir(), *there.iterdir())}
    without = [json.loads(x) for x in both.run("audit", pool, "--json").stdout.splitlines()]
    assert {entry["name"]: entry["flaw"] for entry in without[:-1]} == {
        "X00002": "missing",
        "X00003": "extra",
        "notes.txt": "stray",
    }
    content = bytearray(both.copy.read_bytes())
    content[-1] ^= 1
    stat = both.copy.stat()
    both.copy.write_bytes(content)
    os.utime(both.copy, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    found = both.run("audit", pool, "--content")
    assert found.returncode == 50
    assert "different: X00001: its content is another one there" in found.stdout
    assert f"To mend: copyagent sync {pool} --missing --target drsite" in found.stdout
    del before[both.copy]
    assert {path: path.stat().st_mtime_ns for path in before} == {
        path: seen.st_mtime_ns for path, seen in before.items()
    }

    # With the agent, which has not looked yet or has: by what is on record.
    site.start()
    summary = json.loads(both.run("audit", pool, "--json").stdout.splitlines()[-1])
    assert summary["good"] + summary["flaws"]["missing"] + summary["in_use"] == 2
    assert summary["flaws"]["extra"] == 1
