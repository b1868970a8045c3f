"""The event log of a real run: the documented line, whatever happened, and the next step beside it."""

import os
import re
from collections.abc import Iterator

import pytest

from tests.support.site import Site
from tests.support.world import COPIED, GAVE_UP, World, content, open_world
from vtsfs.contract.messages import CATALOGUE, next_step
from vtsfs.runtime.peers import user_name

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

#: The names of the fields and their limits (Configuration Guide, event log chapter).
LINE = re.compile(
    r"(?P<stamp>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\|(?P<severity>INFO|WARNING|ERROR|CRITICAL)"
    r"\|(?P<id>\d{6})\|(?P<system>[^|]{0,7})\|(?P<ip>[^|]{0,15})\|(?P<server>[^|]{0,15})"
    r"\|(?P<user>[^|]{0,15})\|(?P<program>[^|]{0,15})\|(?P<text>[^|]{1,177})"
)
LONG_POOL = "P" * 60
LONG_LABEL = "L" * 63


def watch_a_long_name(site: Site) -> None:
    site.make_pool(LONG_POOL)
    site.watch(f"/VAULT00/{LONG_POOL}", "drsite")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A world in which much has gone wrong already."""
    with open_world(adjust=watch_a_long_name) as opened:
        opened.protect("LINE01", content())
        opened.copy("LINE01").write_bytes(b"edited")
        opened.tape("LINE01").write_bytes(content())
        opened.wait_for("LINE01", "held")
        opened.site.must(
            "copyagent",
            "release",
            opened.name("LINE01"),
            "--overwrite-target",
            "--because",
            "a|b\nc \x1b[31m" + "x" * 300,
        )
        opened.wait_for("LINE01", "copied")
        opened.sshd.stop()
        long = f"/VAULT00/{LONG_POOL}/{LONG_LABEL}"
        (opened.site.mountpoint() / LONG_POOL / LONG_LABEL).write_bytes(content())
        opened.site.wait_for_state(long, "failed")
        opened.sshd.start()
        opened.site.wait_for_state(long, "copied")
        opened.site.kill_overlay()
        opened.site.attach()
        opened.restart_agent()
        yield opened


def parsed(world: World) -> list[dict[str, str]]:
    lines = world.site.events()
    assert lines
    found = [LINE.fullmatch(line) for line in lines]
    assert [line for line, match in zip(lines, found, strict=True) if match is None] == []
    return [match.groupdict() for match in found if match is not None]


def test_every_line_has_the_nine_fields_within_their_limits(world: World) -> None:
    assert all(len(line) <= 255 for line in world.site.events())
    for fields in parsed(world):
        message = CATALOGUE[int(fields["id"])]
        assert fields["severity"] == message.severity.name
        assert fields["system"] == "5900-E"
        assert fields["server"] == "TAPESRV1"
        assert fields["program"] in {"copyagent", "vtsfs"}


def test_lines_come_in_order_of_time(world: World) -> None:
    stamps = [fields["stamp"] for fields in parsed(world)]
    assert stamps == sorted(stamps)


def test_a_long_tape_name_can_still_be_told_by_its_beginning_and_end(world: World) -> None:
    [line] = [fields["text"] for fields in parsed(world) if int(fields["id"]) == GAVE_UP]
    assert "/VAULT00/PPPP" in line
    assert "FAILED after 3 attempts" in line


def test_what_an_operator_typed_cannot_forge_a_line(world: World) -> None:
    [line] = [fields for fields in parsed(world) if "release" in fields["text"]]
    assert line["text"].startswith(f"{user_name(os.geteuid())}: release")
    assert line["text"].isprintable()


def test_each_message_is_told_with_its_next_step_on_standard_error(world: World) -> None:
    told = world.site.agent_log()
    for fields in parsed(world):
        if fields["program"] != "copyagent":
            continue
        assert f"{fields['id']} " in told
        step = CATALOGUE[int(fields["id"])].next_step.split("{")[0].split("TAPE")[0]
        assert f"[next step: {step}" in told
    assert next_step(CATALOGUE[COPIED], {}) == "Nothing to do."


def test_a_stop_doubles_no_message(world: World) -> None:
    for label in ("ONCE01", "ONCE02"):
        world.protect(label, content())
        world.restart_agent()
    for label in ("ONCE01", "ONCE02"):
        assert len(world.events(COPIED, label)) == 1


def test_the_log_may_be_rotated_away_at_any_time(world: World) -> None:
    log = world.site.root / "event.log"
    old = log.rename(log.with_name("event.log.1"))
    world.protect("ROTATE", content())
    world.site.wait(lambda: world.events(COPIED, "ROTATE"), "the new log has the message")
    assert world.name("ROTATE") not in old.read_text()
    assert len(parsed(world)) == 1
