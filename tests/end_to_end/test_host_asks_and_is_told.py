"""A host that asks for copies and is told of alarms, both over real connections to a real agent."""

import json
from collections.abc import Iterator

import pytest

from tests.support.site import Site
from tests.support.world import COPIED, GAVE_UP, POOL, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

CONFLICT, ASKED, REFUSED, NOT_TOLD, TOLD_AGAIN = 624120, 220110, 420111, 420114, 220115
OPERATOR_ACTION = 224170


def prepare(site: Site) -> None:
    """Have a tape that was there before the agent, and a host that may ask and wants to know all."""
    (site.backing() / "BILL" / "OLD001").write_bytes(b"from before" * 1000)
    site.settings["ems"]["hosts"]["DEV2"] |= {
        "keep_alive": "2s",
        "policy": {"enabled": True},
        "notify": {
            "events": ["failed", "held", "behind", "copied"],
            "command": ['RUN $SYSTEM.VTS.VTSNOTE "%text%"'],
            "wait_timeout": "1s",
            "logout_timeout": "500ms",
        },
    }


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(with_host=True, adjust=prepare) as opened:
        yield opened


def posted(world: World) -> list[str]:
    texts: list[str] = json.loads(world.host.say("posted"))
    return [text for text in texts if "HEARTBEAT" not in text]


def ask(world: World, argument: str) -> None:
    """Let a program at the host write the command to the collector."""
    world.host.say(f"""post 'VTSPolicy IDR "{argument}"'""")


def test_a_host_asks_for_a_tape_that_was_never_copied(world: World) -> None:
    assert world.state("OLD001") == "unsynced"
    ask(world, f"{POOL}/OLD001 s=SOMEBODY")
    ask(world, f"{POOL}/OLD001 s={world.site.name}")
    world.wait_for("OLD001", "copied")
    assert world.copy("OLD001").read_bytes() == world.backing("OLD001").read_bytes()
    assert len(world.events(ASKED)) == 1
    (action,) = world.site.events(OPERATOR_ACTION)
    assert action.split("|")[6] == "host DEV2"
    history = world.explain("OLD001")["history"]
    assert any("host DEV2 asked for a copy to drsite" in line["what"] for line in history)


def test_what_a_host_asks_for_wrongly_is_told_and_does_nothing(world: World) -> None:
    ask(world, f"{POOL}/OLD001 S={world.site.name}")
    world.site.wait(lambda: world.events(REFUSED), "the refusal is told")
    assert "S is no known keyword" in world.events(REFUSED)[0]


def test_a_host_is_told_of_copies_and_of_what_is_held(world: World) -> None:
    world.protect("TOLD01", content())
    copied = f"VTS-AUTOCOPY {world.site.name} {COPIED} {POOL}/TOLD01 copied to drsite"
    world.site.wait(lambda: any(copied in text for text in posted(world)), "the copy is told")
    world.mount("HELD01", content(), ring=False)
    world.wait_for("HELD01", "held (conflict)")
    world.site.wait(
        lambda: any(f"{CONFLICT} {POOL}/HELD01 held" in text for text in posted(world)),
        "the hold is told",
    )
    ask(world, f"{POOL}/HELD01")
    world.site.wait(
        lambda: len(world.events(REFUSED)) + len(world.events(ASKED)) > 1, "it is heard"
    )
    assert world.state("HELD01") == "held (conflict)"
    assert not world.copy("HELD01").exists()


def test_a_second_session_that_hangs_delays_neither_copies_nor_the_first(world: World) -> None:
    world.host.say("set silent_at command")
    try:
        world.protect("HANG01", content())
        world.site.wait(lambda: world.events(NOT_TOLD), "it is told that the host is not")
        world.protect("HANG02", content())
        assert world.site.status()["hosts"][0]["up"]
    finally:
        world.host.say("set silent_at none")
    world.site.wait(lambda: world.events(TOLD_AGAIN), "the host is told again")


def test_an_open_tape_is_not_copied_whatever_is_asked(world: World) -> None:
    world.protect("OPEN01", content())
    before = world.copy("OPEN01").read_bytes()
    heard = len(world.events(ASKED))
    request = world.host.begin_mount("OPEN01", ring=True)
    with world.tape("OPEN01").open("r+b", buffering=0) as tape:
        tape.write(b"half a block")
        world.wait_for("OPEN01", "mounted (read/write)")
        world.host.say(f"mounted {request} OPEN01")
        world.host.end_mount("OPEN01")  # forged: the engine has it still
        ask(world, f"{POOL}/OPEN01 s={world.site.name}")
        ask(world, f"{POOL}")
        world.site.wait(lambda: len(world.events(ASKED)) == heard + 2, "both are heard")
        assert world.copy("OPEN01").read_bytes() == before
        assert world.state("OPEN01") == "mounted (read/write)"
        tape.write(b"the other half")
    world.wait_for("OPEN01", "copied")
    assert world.copy("OPEN01").read_bytes() == world.backing("OPEN01").read_bytes()


def test_a_copy_that_was_given_up_is_told_at_the_host(world: World) -> None:
    world.sshd.stop()
    try:
        world.mount("GONE01", content())
        world.wait_for("GONE01", "failed")
        told = f"{GAVE_UP} Copy of {POOL}/GONE01 to drsite FAILED after 3 attempts"
        world.site.wait(lambda: any(told in text for text in posted(world)), "the host is told")
    finally:
        world.sshd.start()
    world.wait_for("GONE01", "copied")


def test_heartbeats_come_back_and_are_in_nobodys_way(world: World) -> None:
    world.site.wait(lambda: world.site.status()["hosts"][0]["heartbeats"] > 0, "one comes back")
    link = world.site.status()["hosts"][0]
    assert link["up"]
    assert (link["unrecognised"], link["garbage_lines"]) == (0, 0)
    assert "HEARTBEAT" not in world.site.must("copyagent", "events")


def test_what_was_asked_and_told_is_shown(world: World) -> None:
    link = world.site.status()["hosts"][0]
    assert link["asked"]["obeyed"] >= 1
    assert link["asked"]["elsewhere"] == 1
    assert link["notify"]["told"] >= 3
    shown = world.site.must("copyagent", "ems", "status")
    assert "asked by VTSPolicy: " in shown
    assert "told to the host: " in shown
