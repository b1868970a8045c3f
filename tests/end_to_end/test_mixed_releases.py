"""An overlay of this release with an agent of the one before, and the reverse: an upgrade stops neither.

An overlay stays as it was attached while its agent is upgraded; an appliance that is taken back to
the release before has the reverse.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.former_release import VERSION as FORMER
from tests.support.former_release import former_release
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.world import COPIED, World, content, open_world
from vtsfs import __version__ as PRESENT  # noqa: N812  # the release, as FORMER is

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.history]


@pytest.fixture(scope="module")
def former() -> Iterator[Path]:
    """The release before, in a directory of its own."""
    with scratch_directory() as root:
        yield former_release(root / "former")


@pytest.fixture(scope="module", params=["vtsfs", "copyagent"])
def mixed(request: pytest.FixtureRequest, former: Path) -> Iterator[World]:
    """A world with a host in which one program is of the release before."""

    def adjust(site: Site) -> None:
        site.trees = {request.param: former}

    with open_world(with_host=True, adjust=adjust) as world:
        versions = (world.site.overlay_status()["version"], world.site.status()["version"])
        wanted = {"vtsfs": (FORMER, PRESENT), "copyagent": (PRESENT, FORMER)}
        assert versions == wanted[request.param]
        yield world


def copied_how(world: World, label: str) -> str:
    """Return what the tape's explanation says of the way of its last copy."""
    notes: list[dict[str, Any]] = world.explain(label)["history"]
    return str(next(note["what"] for note in reversed(notes) if "copying" not in note["what"]))


def test_what_the_host_had_mounted_with_ring_is_copied(mixed: World) -> None:
    document = mixed.protect("X00001", content(2_000_000))
    assert document["verdict"]["verdict"] == "agreed"


def test_what_the_host_had_mounted_without_ring_is_not(mixed: World) -> None:
    mixed.protect("X00002", content())
    mixed.host.begin_mount("X00002", ring=False)
    assert mixed.tape("X00002").read_bytes() == mixed.copy("X00002").read_bytes()
    mixed.host.end_mount("X00002")
    mixed.site.wait(
        lambda: mixed.explain("X00002")["verdict"]["verdict"] == "agreed, read only",
        "both agree that it was read",
    )
    assert len(mixed.events(COPIED, "X00002")) == 1


def test_the_ranges_that_the_overlay_saw_being_written_are_all_that_is_sent(mixed: World) -> None:
    written = bytearray(content(4_000_000))
    mixed.protect("X00003", bytes(written))
    mixed.host.begin_mount("X00003", ring=True)
    with mixed.tape("X00003").open("r+b") as tape:
        tape.seek(1_000_000)
        tape.write(b"new")
    mixed.host.end_mount("X00003")
    written[1_000_000:1_000_003] = b"new"
    mixed.site.wait(lambda: mixed.copy("X00003").read_bytes() == written, "the change has arrived")
    mixed.wait_for("X00003", "copied")
    assert "what the overlay saw being changed (4.0 KiB of 3.8 MiB)" in copied_how(mixed, "X00003")


def test_an_agent_that_was_away_hears_what_happened(mixed: World) -> None:
    mixed.protect("X00004", content())
    mixed.site.stop()
    written = content()
    mixed.tape("X00004").write_bytes(written)
    mixed.start_agent()
    mixed.site.wait(lambda: mixed.copy("X00004").read_bytes() == written, "it was caught up with")
    document = mixed.wait_for("X00004", "copied")
    # The overlay's own word, not what a sweep finds.
    assert document["verdict"]["verdict"] == "overlay only"
    assert document["verdict"]["sessions"][-1]["bytes"] == len(written)


def test_an_overlay_that_ends_and_is_attached_again_goes_on_where_it_was(mixed: World) -> None:
    mixed.protect("X00005", content())
    mixed.site.detach()
    mixed.site.attach()
    mixed.protect("X00005", content())
