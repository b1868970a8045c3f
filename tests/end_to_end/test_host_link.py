"""The host's witness on a real Telnet link: agreed, contradicting, garbled, cut off and silent."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.world import COPIED, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

LINK_UP, LINK_LOST, LOGIN_REFUSED = 220101, 420102, 620104
CONFLICT, OVERLAY_ONLY = 624120, 424130


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(with_host=True) as opened:
        yield opened


def link(world: World) -> dict[str, Any]:
    """Return the host's line of the status."""
    hosts: list[dict[str, Any]] = world.site.status()["hosts"]
    return hosts[0]


def verdict(world: World, label: str) -> str:
    judged = world.explain(label).get("verdict")
    return "" if judged is None else str(judged["verdict"])


def test_several_sessions_of_one_host_mount_are_copied_once_at_its_end(world: World) -> None:
    world.host.begin_mount("MULTI1", ring=True)
    for number in range(3):
        world.tape("MULTI1").write_bytes(b"%d" % number * 100_000)
        world.wait_for("MULTI1", "awaiting host")
    assert not world.copy("MULTI1").exists()
    world.host.end_mount("MULTI1")
    document = world.wait_for("MULTI1", "copied")
    assert len(document["verdict"]["sessions"]) == 3
    assert world.copy("MULTI1").read_bytes() == b"2" * 100_000
    assert len(world.events(COPIED, "MULTI1")) == 1


def test_writing_under_a_no_ring_mount_is_held(world: World) -> None:
    old = content()
    world.protect("RING01", old)
    world.mount("RING01", content(), ring=False)
    world.wait_for("RING01", "held (conflict)")
    assert world.copy("RING01").read_bytes() == old
    assert len(world.events(CONFLICT, "RING01")) == 1
    world.protect("RING01", content())


def test_a_late_no_ring_stops_a_copy_before_it_is_published(world: World) -> None:
    old = content()
    world.protect("LATE01", old)
    world.tape("LATE01").write_bytes(content(64 << 20))
    world.site.wait(lambda: any(s.stat().st_size > 1 << 20 for s in world.stages()), "it is copied")
    world.sshd.freeze()
    try:
        world.host.begin_mount("LATE01", ring=False)
        world.host.end_mount("LATE01")
        world.wait_for("LATE01", "held (conflict)")
    finally:
        world.sshd.thaw()
    world.site.wait(lambda: not world.site.status()["copies"], "the copy is stopped")
    assert world.copy("LATE01").read_bytes() == old
    world.protect("LATE01", content())


def test_garbage_does_no_harm_and_is_counted(world: World) -> None:
    before = link(world)
    lines = [
        "x" * 20_000,
        "%s %n %x \\x00 ÿÿÿÿ",
        "99-99-99 99:99:99 \\\\DEV2.$ZSVR TANDEM.TAPE.D46 000600 ???? MOUNT",
        "06-09-14 22:00:01",
        "    continuation of nothing WITH RING",
        "0600 MOUNT GARB01 WITH RING",
        "- - - - DISMOUNTED FROM DRIVE",
    ]
    for line in lines:
        world.host.say(f'raw "{line}\\r\\n"')
    world.host.say("print 600 $ZSVR: MOUNT MOUNT MOUNT ON ON WITH NO RING RING")
    world.host.say("print 9999 an event that nobody has heard of, in no known words")
    world.host.say("print 659 STATUS 1512 - TAPE DISMOUNTED")
    world.protect("GARB01", content())
    assert verdict(world, "GARB01") == "agreed"
    after = link(world)
    assert after["up"]
    assert after["events"] > before["events"]
    assert after["garbage_lines"] + after["unrecognised"] > 0


@pytest.mark.parametrize(("width", "indent"), [(40, 3), (132, 1), (79, 20)])
def test_events_are_read_however_they_are_laid_out(world: World, width: int, indent: int) -> None:
    world.host.say(f"width {width}")
    world.host.say(f"indent {indent}")
    label = f"WRAP{width:02}"[:6]
    try:
        world.protect(label, content())
    finally:
        world.host.say("width 79")
        world.host.say("indent 6")
    assert verdict(world, label) == "agreed"


def test_an_event_that_is_cut_off_counts_for_nothing(world: World) -> None:
    world.host.say('raw "06-09-14 22:00:01 \\\\DEV2.$ZSVR      TANDEM.TAPE.D46  000601 $ZSVR: 77"')
    ups = len(world.events(LINK_UP))
    world.host.say("drop")
    world.site.wait(lambda: len(world.events(LINK_UP)) > ups, "the link is up again")
    world.host.say("wait 20")
    world.protect("CUTOFF", content())
    assert verdict(world, "CUTOFF") == "agreed"


def test_mounts_of_unknown_volumes_do_no_harm(world: World) -> None:
    world.host.begin_mount("NOSUCH", ring=True)
    world.host.end_mount("NOSUCH")
    world.host.say("takeover")
    world.protect("KNOWN1", content())
    assert world.explain("NOSUCH") == {}


def test_a_silent_host_leaves_it_to_the_overlay(world: World) -> None:
    written = content()
    world.tape("QUIET1").write_bytes(written)
    world.wait_for("QUIET1", "copied")
    assert verdict(world, "QUIET1") == "overlay only"
    assert world.copy("QUIET1").read_bytes() == written
    assert len(world.events(OVERLAY_ONLY)) == 1


def test_copies_go_on_while_the_host_is_away_with_one_warning(world: World) -> None:
    told = len(world.events(LINK_LOST))
    world.host.stop()
    world.site.wait(lambda: not link(world)["up"], "the link is down")
    assert link(world)["trouble"]
    for label in ("AWAY01", "AWAY02"):
        written = content()
        world.tape(label).write_bytes(written)
        world.wait_for(label, "copied")
        assert verdict(world, label) == "overlay only"
        assert world.copy(label).read_bytes() == written
    assert len(world.events(LINK_LOST)) == told + 1
    # Once an hour: the tests before may have had it.
    assert len(world.events(OVERLAY_ONLY)) == 1
    world.host.start()
    world.site.wait(lambda: link(world)["up"], "the link is up again")
    world.host.say("wait 20")
    world.protect("AWAY03", content())
    assert verdict(world, "AWAY03") == "agreed"


def test_a_wrong_password_is_told_and_copies_go_on(world: World) -> None:
    right = world.host.password_file.read_text()
    world.host.password_file.write_text("Wrong.3Pass\n")
    world.restart_agent()
    world.site.wait(lambda: world.events(LOGIN_REFUSED), "the refusal is told")
    shown = link(world)
    assert not shown["up"]
    assert "refused" in shown["trouble"]
    written = content()
    world.tape("REFUSE").write_bytes(written)
    world.wait_for("REFUSE", "copied")
    assert world.copy("REFUSE").read_bytes() == written
    assert len(world.events(LOGIN_REFUSED)) == 1
    told = world.site.agent_log() + "\n".join(world.site.events())
    assert "Wrong.3Pass" not in told
    assert right.strip() not in told
    world.host.password_file.write_text(right)
    world.restart_agent()
    world.site.wait(lambda: link(world)["up"], "the link is up again")
