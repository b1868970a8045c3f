"""Reading keeps up with a flood, measured against a loop that any reader of lines needs."""

import re
import time
from collections.abc import Callable

import pytest

from copyagent.ems.lines import EmsLineDecoder
from copyagent.ems.tape_events import read_host_event
from tests.bench.host_floods import MEMORY_MB, growth_mb, read_all
from tests.support.ems_host.flood import KINDS
from tests.support.talkative_host import printed

LINES = 4_000
#: 50,000 lines a second are some 40 times as much as the loop takes where the figures were had.
MOST = 40


def _split(text: str) -> int:
    header = re.compile(r"\d\d-\d\d-\d\d \d\d:")
    lines = [" ".join(line.split()) for line in text.split("\n")]
    return sum(header.match(line) is not None for line in lines)


def _seconds(work: Callable[[str], object], text: str) -> float:
    best = 60.0
    for _ in range(3):
        begun = time.process_time()
        work(text)
        best = min(best, time.process_time() - begun)
    return best


@pytest.mark.parametrize("kind", KINDS)
def test_a_flood_is_read_fast_and_in_bounded_memory(kind: str) -> None:
    text = printed(kind, LINES)
    assert _seconds(read_all, text) < MOST * _seconds(_split, printed("mixed", LINES))
    assert growth_mb(read_all, text) < MEMORY_MB
    assert growth_mb(read_all, text * 4) < growth_mb(read_all, text) + 0.5


def test_the_flood_is_understood() -> None:
    text = printed("tape", LINES)
    decoder = EmsLineDecoder()
    events = decoder.feed(text) + decoder.flush()
    assert all(read_host_event("DEV2", event) is not None for event in events)
    assert read_all(text) == len(events) > LINES // 3
