"""The ladder on real parts, with an interval that nobody has to wait for.

Twelve attempts, five minutes apart, are played on a fake clock elsewhere.
"""

from collections.abc import Iterator

import pytest

from tests.support.world import ATTEMPT_FAILED, COPIED, GAVE_UP, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

ATTEMPTS = 3


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with open_world() as opened:
        yield opened


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The world with its target up before and after the test, and nothing left to do."""
    rules = dict(shared.site.settings["retry"])
    yield shared
    if not shared.sshd.is_running():
        shared.sshd.start()
    if shared.site.settings["retry"] != rules:
        shared.site.settings["retry"] = rules
        shared.restart_agent()
    shared.site.run("copyagent", "retry", "--failed")
    shared.site.wait(lambda: shared.pool_status()["unprotected"] == 0, "all is protected")


def fail(world: World, label: str) -> bytes:
    """Write a tape while the target is down, and see it given up; return its content."""
    if world.sshd.is_running():
        world.sshd.stop()
    written = content()
    world.tape(label).write_bytes(written)
    world.wait_for(label, "failed")
    return written


def never_rearm(world: World) -> None:
    world.site.settings["retry"]["rearm"] = "never"
    world.restart_agent()


def test_attempts_are_seen_with_their_cause_and_then_succeed(world: World) -> None:
    # However slow this machine is, the target must be back before the ladder is at its end.
    world.site.settings["retry"]["attempts"] = 100
    world.restart_agent()
    world.sshd.stop()
    written = content()
    world.tape("RETRY1").write_bytes(written)
    assert "refused" in world.why_when("RETRY1", "retry ").lower()
    [listed] = world.site.status()["attention"]
    assert listed["tape"] == world.name("RETRY1")
    assert "refused" in listed["why"].lower()
    target = world.target_status()
    assert not target["up"]
    assert "refused" in target["trouble"].lower()
    assert not world.copy("RETRY1").exists()
    world.site.wait(lambda: len(world.events(ATTEMPT_FAILED, "RETRY1")) >= 2, "attempt 2 fails")
    shown = world.site.must("copyagent", "explain", world.name("RETRY1"))
    assert "refused" in shown.lower()
    world.sshd.start()
    world.wait_for("RETRY1", "copied")
    assert world.copy("RETRY1").read_bytes() == written
    assert "attempt 1 of 100" in world.events(ATTEMPT_FAILED, "RETRY1")[0]
    assert world.events(GAVE_UP) == []
    assert world.target_status()["up"]


def test_the_ladder_ends_with_one_failure_message_and_begins_anew_by_itself(world: World) -> None:
    written = fail(world, "RETRY2")
    [entry] = world.on_record("RETRY2", "failed")
    assert entry["attempts"] == ATTEMPTS
    [line] = world.events(GAVE_UP, "RETRY2")
    assert f"after {ATTEMPTS} attempts" in line
    world.sshd.start()
    world.wait_for("RETRY2", "copied")
    assert world.copy("RETRY2").read_bytes() == written
    assert len(world.events(GAVE_UP, "RETRY2")) == 1


def test_a_restart_of_the_agent_neither_adds_nor_forgets_attempts(world: World) -> None:
    world.sshd.stop()
    world.site.settings["retry"]["interval"] = "1s"
    world.restart_agent()
    world.tape("RETRY3").write_bytes(content())
    world.wait_for("RETRY3", "retry 1/3")
    world.kill_agent()
    world.site.start()
    world.wait_for("RETRY3", "retry 2/3")
    world.site.settings["retry"]["interval"] = "300ms"
    world.restart_agent()
    world.wait_for("RETRY3", "failed")
    [entry] = world.on_record("RETRY3", "failed")
    assert entry["attempts"] == ATTEMPTS


def test_one_unreachable_target_is_one_connection_for_all_that_are_due(world: World) -> None:
    world.sshd.stop()
    labels = [f"MANY{number:02}" for number in range(10)]
    for label in labels:
        world.tape(label).write_bytes(content(1000))
    for label in labels:
        world.wait_for(label, "failed")
        assert len(world.on_record(label, "failed")) == 1
    # One tape of the pool has spoken in the log for all that are given up for this cause.
    assert len([line for line in world.events(GAVE_UP) if "/MANY" in line]) == 1
    world.sshd.start()
    for label in labels:
        world.wait_for(label, "copied")
    assert len([line for line in world.events(COPIED) if "/MANY" in line]) == len(labels)


def test_without_rearming_only_the_operator_starts_a_new_ladder(world: World) -> None:
    never_rearm(world)
    written = fail(world, "RETRY4")
    world.sshd.start()
    other = content()
    world.tape("RETRY5").write_bytes(other)
    world.wait_for("RETRY5", "copied")
    assert world.state("RETRY4") == "failed"
    world.site.must("copyagent", "retry", world.name("RETRY4"))
    world.wait_for("RETRY4", "copied")
    assert world.copy("RETRY4").read_bytes() == written
    assert any(world.name("RETRY4") in line for line in world.site.events(224170))


def test_retry_starts_all_that_failed(world: World) -> None:
    never_rearm(world)
    first = fail(world, "RETRY6")
    second = fail(world, "RETRY7")
    world.sshd.start()
    answer = world.site.must("copyagent", "retry", "--failed")
    assert world.name("RETRY6") in answer
    assert world.name("RETRY7") in answer
    for label, written in (("RETRY6", first), ("RETRY7", second)):
        world.wait_for(label, "copied")
        assert world.copy(label).read_bytes() == written
    assert "no copy has failed" in world.site.must("copyagent", "retry", "--failed")


def test_the_next_dismount_starts_a_new_ladder(world: World) -> None:
    never_rearm(world)
    fail(world, "RETRY8")
    again = content()
    world.tape("RETRY8").write_bytes(again)
    world.site.wait(lambda: len(world.on_record("RETRY8", "failed")) == 2, "a second ladder failed")
    assert [entry["attempts"] for entry in world.on_record("RETRY8", "failed")] == [ATTEMPTS] * 2
    world.sshd.start()
    last = content()
    world.tape("RETRY8").write_bytes(last)
    world.wait_for("RETRY8", "copied")
    assert world.copy("RETRY8").read_bytes() == last


# ---- mounted again while its copy is pending -----------------------------------------------------


def test_a_mount_for_writing_supersedes_a_pending_copy(world: World) -> None:
    world.sshd.stop()
    world.tape("AGAIN1").write_bytes(content())
    world.wait_for("AGAIN1", "retry 1/3")
    with world.tape("AGAIN1").open("r+b") as engine:
        world.wait_for("AGAIN1", "mounted (read/write)")
        failed = world.failed_attempts("AGAIN1")
        world.sshd.start()
        world.tape("AGAIN2").write_bytes(content())
        world.wait_for("AGAIN2", "copied")
        assert not world.copy("AGAIN1").exists()
        engine.write(b"the second generation")
    world.wait_for("AGAIN1", "copied")
    assert world.copy("AGAIN1").read_bytes() == world.backing("AGAIN1").read_bytes()
    assert len(world.events(COPIED, "AGAIN1")) == 1
    assert world.failed_attempts("AGAIN1") == failed


def test_a_mount_that_changes_nothing_lets_the_old_order_go_on(world: World) -> None:
    world.sshd.stop()
    world.tape("AGAIN3").write_bytes(content())
    world.wait_for("AGAIN3", "retry 1/3")
    with world.tape("AGAIN3").open("r+b"):
        world.wait_for("AGAIN3", "mounted (read/write)")
        world.sshd.start()
    world.wait_for("AGAIN3", "copied")
    assert world.copy("AGAIN3").read_bytes() == world.backing("AGAIN3").read_bytes()


def test_a_mount_for_writing_stops_a_running_copy(world: World) -> None:
    old = content()
    world.protect("AGAIN4", old)
    big = content(96 << 20)
    world.tape("AGAIN4").write_bytes(big)
    world.site.wait(lambda: any(s.stat().st_size > 1 << 20 for s in world.stages()), "it is copied")
    with world.tape("AGAIN4").open("r+b") as engine:
        world.wait_for("AGAIN4", "mounted (read/write)")
        world.site.wait(lambda: not world.site.status()["copies"], "the copy is stopped")
        assert world.copy("AGAIN4").read_bytes() == old
        engine.write(b"newer")
    world.wait_for("AGAIN4", "copied")
    assert world.copy("AGAIN4").read_bytes() == b"newer" + big[5:]
    assert len(world.events(COPIED, "AGAIN4")) == 2
    assert world.stages() == []
