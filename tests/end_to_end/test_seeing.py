"""What operators see of the hosts, on a real link: events, links, a trial, a case played again."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from copyagent.control.client import ask
from copyagent.control.protocol import Events
from tests.support.nonstop import TREE
from tests.support.processes import Program, identify, send_signal
from tests.support.world import World, content, open_world
from vtsfs.contract.naming import TapeId

pytestmark = [pytest.mark.mount, pytest.mark.ssh]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(with_host=True) as opened:
        yield opened


def events(world: World, label: str | None = None, *, unknown: bool = False) -> list[Any]:
    """Return what ``copyagent events --json`` prints, without a process for each look."""
    tape = None if label is None else TapeId.parse(world.name(label))
    request = Events(tape=tape, unknown=unknown)
    told: list[Any] = ask(world.root / "src" / "run" / "copyagent.sock", request)["events"]
    return told


@contextmanager
def follow(world: World, output: Path) -> Iterator[Program]:
    """Run ``copyagent events --follow``; what is there already has been shown."""
    command = world.site.command("copyagent", "events", "--follow", "--last", "5000")
    with Program(command, output) as listener:
        listener.wait_for_output("the link is up", 20.0)
        yield listener


def test_a_mount_is_told_from_its_request_to_its_dismount(world: World) -> None:
    world.protect("SEEN01", content(1000))
    told = events(world, "SEEN01")
    assert [event["kind"] for event in told] == [
        "mount requested",
        "volume mounted",
        "tape opened",
        "tape dismounted",
    ]
    request = told[0]
    assert request["fields"]["ring"] == "with ring"
    assert (request["node"], request["process"], request["event"]) == ("\\DEV2", "$ZSVR", 600)
    # The tape was new: nobody had seen it when its mount was asked for.
    assert told[-1]["tapes"] == [world.name("SEEN01")]
    shown = " ".join(world.site.must("copyagent", "events", "--host", "dev2").split())
    number = request["fields"]["request"]
    assert f"mount of SEEN01 asked for on $VTAPE0 WITH RING (request {number})" in shown
    assert f"000600 {request['text']}" in shown


def test_what_nobody_understood_is_found(world: World) -> None:
    text = "SEEN02 DID SOMETHING NEW"
    world.host.say(f"print 699 {text}")
    world.site.wait(lambda: events(world, unknown=True), "the event is kept")
    (line,) = world.site.must(
        "copyagent", "events", "--json", "--unknown", "--since", "10m"
    ).splitlines()
    event = json.loads(line)
    assert event["kind"] == "unrecognised"
    assert text in event["text"]


def test_events_are_followed_as_they_come(world: World, tmp_path: Path) -> None:
    with follow(world, tmp_path / "output") as listener:
        world.host.begin_mount("SEEN03", ring=False)
        listener.wait_for_output("mount of SEEN03 asked for", 10.0)
        listener.wait_for_output("SEEN03 opened on", 10.0)
        world.host.end_mount("SEEN03")
        listener.wait_for_output("SEEN03 dismounted", 10.0)
        process = identify(listener.pid)
        assert process is not None
        send_signal(process, signal.SIGINT)
        assert listener.wait(5.0) == 130
        assert "Traceback" not in listener.output()


def test_a_follower_whose_reader_went_away_ends_quietly(world: World) -> None:
    reader, writer = os.pipe()
    with subprocess.Popen(
        world.site.command("copyagent", "events", "--follow", "--last", "1"),
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=TREE,
    ) as listener:
        os.close(writer)
        assert os.read(reader, 1)
        os.close(reader)
        world.host.say("print 699 NOBODY READS THIS")
        _, told = listener.communicate(timeout=20)
    assert (listener.returncode, told) == (1, b"")


def test_the_link_is_shown_with_its_history(world: World) -> None:
    (host,) = world.site.status()["hosts"]
    assert (host["host"], host["up"], host["access"]) == ("DEV2", True, "telnet")
    assert host["events"] > 0
    assert host["connections"] == 1
    assert host["last_printed_at"]
    shown = world.site.must("copyagent", "ems", "status")
    assert shown.startswith("DEV2 (telnet 127.0.0.1): up since ")
    assert "the host's clock showed" in shown


def test_a_link_is_tried_out_beside_the_agents(world: World) -> None:
    document = json.loads(
        world.site.must("copyagent", "ems", "test", "DEV2", "--wait", "0", "--json")
    )
    steps = [step["step"] for step in document["steps"]]
    assert steps[0] == "connected"
    assert steps[-1] == "distributor runs"
    assert document["ok"] is True
    assert world.site.status()["hosts"][0]["up"] is True


def test_a_case_is_recorded_and_played_again(world: World, tmp_path: Path) -> None:
    label = "SEEN04"
    world.protect(label, content(1000))
    world.mount(label, content(1000), ring=False)
    world.wait_for(label, "held (conflict)")
    case = tmp_path / "case.jsonl"
    case.write_text(world.site.must("copyagent", "events", "--json", "--overlay", "--last", "5000"))
    played = json.loads(world.site.must("copyagent", "ems", "replay", str(case), "--json"))
    verdicts = [
        step["details"]["verdict"]
        for step in played["steps"]
        if step["what"] == "verdict" and step["details"]["tape"] == world.name(label)
    ]
    assert verdicts == ["agreed", "conflict"]


def test_what_was_said_survives_a_crash_and_a_follower_is_told_of_it(
    world: World, tmp_path: Path
) -> None:
    world.protect("SEEN05", content(1000))
    before = events(world, "SEEN05")
    with follow(world, tmp_path / "output") as listener:
        world.kill_agent()
        assert listener.wait(10.0) == 40
        assert "the agent ended while it was being asked" in listener.output()
    ended = world.site.run("copyagent", "ems", "status")
    assert ended.returncode == 40
    assert "The agent is NOT running" in ended.stdout
    world.start_agent()
    assert events(world, "SEEN05")[: len(before)] == before
