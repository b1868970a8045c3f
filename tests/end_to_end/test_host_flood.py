"""A dismount in the middle of a flood is acted upon while the flood goes on."""

from pathlib import Path

import pytest

from tests.support.talkative_host import flood_with_dismount, flooded_world, printed

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

LINES = 40_000


def test_a_verdict_does_not_wait_for_the_end_of_a_flood(tmp_path: Path) -> None:
    text = printed("mixed", LINES)
    with flooded_world(tmp_path) as (world, host):
        flooded = flood_with_dismount(world, host, "FLOOD1", text)
    # Half of it came before the dismount: the verdict came before most of the rest was read.
    assert flooded.heard < 0.9 * flooded.events
