"""What an operator decides about a target: fenced, taken over, adopted, moved, rolled back."""

from collections.abc import Iterator
from typing import Any

import pytest

from copyagent.transfer.agent_mark import AgentMark
from tests.support.world import World, content, open_world
from vtsfs.contract import messages

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

ACTION = messages.OPERATOR_ACTION.id
BECAUSE = ("--because", "the tests say so")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world() as opened:
        yield opened


def test_a_target_is_fenced_and_unfenced_by_command(world: World) -> None:
    world.protect("FENCE1", content())
    [made] = world.site.must("copyagent", "fence", "drsite", *BECAUSE).splitlines()
    fence = world.far / ".vts-autocopy" / "IN-SERVICE"
    assert made.startswith(str(fence))
    assert "the tests say so" in fence.read_text()
    new = content()
    world.tape("FENCE1").write_bytes(new)
    world.wait_for("FENCE1", "waiting (fenced)")
    said = world.site.must("copyagent", "unfence", "drsite", *BECAUSE).splitlines()
    # The agent may have looked again by itself before it was told.
    assert said[0] == f"{fence}: removed"
    world.wait_for("FENCE1", "copied")
    assert world.copy("FENCE1").read_bytes() == new
    assert [line.split("|")[-1].split(": ")[1] for line in world.site.events(ACTION)] == [
        "fence drsite",
        "unfence drsite",
    ]


def test_a_target_is_fenced_also_when_no_agent_runs(world: World) -> None:
    world.site.stop()
    fenced = world.site.run("copyagent", "fence", "drsite", *BECAUSE)
    assert fenced.returncode == 0
    assert "goes on record when an agent runs" in fenced.stderr
    assert (world.far / ".vts-autocopy" / "IN-SERVICE").exists()
    assert world.site.run("copyagent", "unfence", "drsite", *BECAUSE).returncode == 0
    assert (
        "nothing was to be done"
        in world.site.run("copyagent", "unfence", "drsite", *BECAUSE).stdout
    )
    world.start_agent()


def test_a_tape_that_was_moved_here_is_moved_there(world: World) -> None:
    """Its copy lies in the pool where the tape was; moved, it needs nothing to be sent."""
    written = content()
    other = world.far / "PAY" / "MOVED1"
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(written)
    inode = other.stat().st_ino
    world.tape("MOVED1").write_bytes(written)
    world.wait_for("MOVED1", "held (label elsewhere)")
    assert str(other) in world.why("MOVED1")
    [event] = world.events(messages.LABEL_ELSEWHERE.id, "MOVED1")
    assert "label in another place" in event
    refused = world.site.run("copyagent", "release", world.name("MOVED1"), *BECAUSE)
    assert refused.returncode == 42
    assert f"copyagent relocate {world.name('MOVED1')}" in refused.stderr
    world.site.must("copyagent", "relocate", world.name("MOVED1"), *BECAUSE)
    world.wait_for("MOVED1", "copied")
    assert world.copy("MOVED1").stat().st_ino == inode
    assert not other.exists()


def test_what_came_on_a_disk_is_adopted(world: World) -> None:
    """Tapes that were there before AutoCopy, of which the target has got the content otherwise."""
    same = {f"SEED{number:02}": content() for number in range(3)}
    world.site.stop()
    for label, written in same.items():
        world.backing(label).write_bytes(written)
        world.copy(label).parent.mkdir(exist_ok=True)
        world.copy(label).write_bytes(written if label != "SEED01" else b"another")
    world.start_agent()
    # Found by the sweep in a pool that is known already, they are compared at once.
    for label in same:
        if label != "SEED01":
            world.wait_for(label, "copied")
    world.wait_for("SEED01", "held (unknown at target)")
    said = world.site.must("copyagent", "adopt", world.name("SEED01"))
    assert "is compared with what is there" in said
    world.wait_for("SEED01", "held (not equal)")
    assert world.copy("SEED01").read_bytes() == b"another"
    assert "nothing to adopt" in world.site.must("copyagent", "adopt", world.name("SEED00"))
    world.copy("SEED01").write_bytes(same["SEED01"])
    world.site.must("copyagent", "adopt", "/VAULT00/BILL", "--target", "drsite")
    document = world.wait_for("SEED01", "copied")
    assert document["copies"][0]["published"]["verified"] == "adopted"


def test_a_copy_is_rolled_back_and_held_until_it_is_released(world: World) -> None:
    first, second = content(), content()
    generation = world.protect("ROLL01", first)["generation"]
    world.protect("ROLL01", second)
    name = world.name("ROLL01")
    wanted = ("rollback", name, "--generation", str(generation), *BECAUSE)
    world.site.must("copyagent", *wanted)
    world.wait_for("ROLL01", "held (rolled back)")
    assert world.copy("ROLL01").read_bytes() == first
    [event] = world.events(messages.ROLLED_BACK.id, "ROLL01")
    assert f"generation {generation}" in event
    # A restart changes nothing.
    world.restart_agent()
    assert world.state("ROLL01") == "held (rolled back)"
    none = world.site.run("copyagent", "rollback", name, "--generation", "77", *BECAUSE)
    assert none.returncode == 42
    assert "copyagent generations" in none.stderr
    world.site.must("copyagent", "release", name, "--because", "it was good")
    world.wait_for("ROLL01", "copied")
    assert world.copy("ROLL01").read_bytes() == second
    world.site.must("copyagent", *wanted)
    world.wait_for("ROLL01", "held (rolled back)")
    third = content()
    world.tape("ROLL01").write_bytes(third)
    world.site.wait(lambda: world.copy("ROLL01").read_bytes() == third, "a newer one replaces it")


def test_another_machine_of_that_name_waits_until_it_takes_over(world: World) -> None:
    world.protect("AGENT1", content())
    mark = world.staging() / "AGENT"
    mine = mark.read_bytes()
    world.site.stop()
    mark.write_bytes(AgentMark("b" * 32, world.site.name, "elsewhere").encode())
    world.start_agent()
    new = content()
    world.tape("AGENT1").write_bytes(new)
    world.wait_for("AGENT1", "waiting (another agent)")
    world.site.wait(lambda: waits_for_another(world), "it is said what to do about it")
    said = world.site.must("copyagent", "take-over", "drsite", *BECAUSE)
    assert "elsewhere" in said
    world.wait_for("AGENT1", "copied")
    assert mark.read_bytes() == mine
    assert world.copy("AGENT1").read_bytes() == new


def waits_for_another(world: World) -> bool:
    """Tell whether the tape is listed so; now and then it is looked at again, and is copying."""
    attention: list[dict[str, Any]] = world.site.status()["attention"]
    [entry] = [entry for entry in attention if entry["tape"] == world.name("AGENT1")]
    return (
        entry["trouble"] == "permanent"
        and f"the agent of {world.site.name} on elsewhere" in entry["why"]
        and "copyagent take-over drsite" in entry["next"]
    )


def test_a_target_that_is_not_there_is_told_apart(world: World) -> None:
    unknown = world.site.run("copyagent", "fence", "drsit", *BECAUSE)
    assert unknown.returncode == 2
    assert "did you mean drsite?" in unknown.stderr
    world.sshd.stop()
    failed = world.site.run("copyagent", "fence", "drsite", *BECAUSE)
    assert failed.returncode == 60
    assert "cannot be reached" in failed.stderr
    world.sshd.start()
