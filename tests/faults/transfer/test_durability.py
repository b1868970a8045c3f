"""What the target's own log says about the order of writing, making durable and publishing.

A power cut can undo whatever was not made durable, so each rename comes after the fsync of what it
names, and "copied" after the fsync of the directories.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd

PROGRAMS = ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server")
PROGRAM = next((path for path in PROGRAMS if Path(path).exists()), None)

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(PROGRAM is None, reason="there is no sftp-server program that can log"),
]

#: What changes something, as sftp-server logs it at level VERBOSE.
EVENT = re.compile(
    r'^(?P<verb>open|set|fsync|close|mkdir|remove|posix-rename|hardlink)(?: name| old)? "(?P<path>[^"]*)"'
    r'(?: new "(?P<new>[^"]*)")?(?: flags (?P<flags>\S+))?(?: (?P<what>mode|modtime))?'
)


@pytest.fixture
def sshd(scratch: Path) -> Iterator[Sshd]:
    command = f"{PROGRAM} -e -l VERBOSE 2>>{scratch}/sftp.log"
    with Sshd(scratch / "sshd", options=[f"ForceCommand {command}"]) as server:
        yield server


def events(rig: CopyRig) -> list[str]:
    """Read what changed since the last look, with short names for the paths."""
    log = rig.vault.parent.parent / "sftp.log"
    text = log.read_text()
    log.write_text("")
    found = []
    for line in text.splitlines():
        match = EVENT.match(line)
        if match is None or (match["verb"] == "open" and "WRITE" not in (match["flags"] or "")):
            continue
        names = [short(rig, path) for path in (match["path"], match["new"]) if path]
        what = f" {match['what']}" if match["verb"] == "set" else ""
        verb = match["verb"].replace("hardlink", "link")
        found.append(f"{verb} {' '.join(names)}{what}")
    return found


def short(rig: CopyRig, path: str) -> str:
    layout = rig.layout()
    plain = {
        layout.vault: "vault",
        layout.pool: "pool",
        layout.destination: "TAPE",
        layout.staging_root: "staging",
        layout.directory: "own",
        layout.records: "records",
        layout.manifest: "manifest",
        layout.intent: "intent",
        layout.kept_directory: "keeping",
    }
    if path in plain:
        return plain[path]
    name = path.rpartition("/")[2]
    if layout.is_stage(name):
        return "stage"
    if layout.is_kept(name):
        return "kept"
    if layout.is_map(name):
        return "map"
    kinds = {"intent": "intent.new", "manifest": "manifest.new", "map": "map.new"}
    return next((new for kind, new in kinds.items() if f".{kind}." in name), "nothing")


DIRECTORIES: list[str | set[str]] = [
    *("mkdir staging", "mkdir own", {"fsync vault", "fsync staging"}),
    *("mkdir records", "fsync own"),
]
STAGE: list[str | set[str]] = ["open stage", "set stage modtime", "fsync stage", "close stage"]
INTENT: list[str | set[str]] = [
    *("open intent.new", "fsync intent.new", "close intent.new", "posix-rename intent.new intent"),
    "fsync records",
]
PUBLISH: list[str | set[str]] = ["posix-rename stage TAPE", {"fsync pool", "fsync own"}]
RECORD: list[str | set[str]] = [
    {"fsync manifest.new", "fsync map.new"},
    {"posix-rename manifest.new manifest", "posix-rename map.new map"},
    *("fsync records", "remove intent"),
]


def assert_in_order(happened: list[str], *steps: str | set[str]) -> None:
    """Each of *steps* comes after those before it; those of one set in any order."""
    at = 0
    for step in steps:
        places = []
        for wanted in {step} if isinstance(step, str) else step:
            assert wanted in happened[at:], f"no {wanted!r} after {happened[:at]}: {happened[at:]}"
            places.append(happened.index(wanted, at))
        at = max(places) + 1


async def test_everything_is_durable_before_it_is_published_or_told(rig: CopyRig) -> None:
    rig.write(b"first")
    done = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(done, CopyDone)
    happened = events(rig)
    assert_in_order(happened, *DIRECTORIES, "mkdir pool", *STAGE, *INTENT, *PUBLISH, *RECORD)
    assert_in_order(happened, *DIRECTORIES, "mkdir pool", "fsync vault", PUBLISH[0])
    recorded = happened[happened.index("posix-rename stage TAPE") :]
    assert recorded.count("fsync records") == 1, "one for manifest and map"
    assert not [event for event in happened if event.startswith("link")]
    rig.write(b"second")
    job = replace(rig.job(generation=2), base=done.copy, keep=1)
    assert isinstance(await rig.copy(job), CopyDone)
    publish = ["link TAPE kept", PUBLISH[0], {"fsync pool", "fsync own", "fsync keeping"}]
    assert_in_order(events(rig), *STAGE, *INTENT, *publish, *RECORD)


async def test_a_pool_nobody_vouches_for_is_made_durable(rig: CopyRig) -> None:
    """It may be left of an attempt that ended between its mkdir and the fsync."""
    rig.write(b"first")
    rig.published().parent.mkdir()
    assert isinstance(await rig.copy(), CopyDone)
    happened = events(rig)
    assert_in_order(happened, *DIRECTORIES, *STAGE, *INTENT, *PUBLISH, *RECORD)
    assert_in_order(happened, *DIRECTORIES, "fsync vault", PUBLISH[0])


async def test_adopted_content_is_durable_before_it_is_told(rig: CopyRig) -> None:
    rig.write(b"same")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"same")
    assert isinstance(await rig.copy(), CopyDone)
    happened = events(rig)
    assert_in_order(happened, *DIRECTORIES, {"fsync TAPE", "fsync pool", "fsync vault"}, *RECORD)
    assert "open stage" not in happened
