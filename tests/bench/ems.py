"""A flood of printed events: our decoder and parser against reading the same bytes as lines.

Reading lines is the least that any reader of the log-in session must do, so the ratio, well below
1, says what the understanding costs on top. Every fourth event is about a tape, as on a host whose
filter lets other subsystems through.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from copyagent.core.host_events import MountRequested
from copyagent.ems.lines import EmsLineDecoder
from copyagent.ems.tape_events import read_host_event
from tests.bench.frame import Side, Work
from tests.support.ems_host.layout import Layout

EVENTS = 40_000
CHUNK = 4096
"""Bytes that one read of the session gives."""

_TEXTS = (
    (600, "$ZSVR: 0042 MOUNT X{0:05} ON $VTAPE0 WITH RING NIGHTLY BACKUP"),
    (2001, "$DISC3: PATH SWITCH TO CPU 3, REASON OPERATOR REQUEST, ATTEMPT {0}"),
    (2002, "$DISC4: FREE LIST EXTENDED, {0} PAGES, ALL OF THEM ON THE PRIMARY"),
    (2003, "$LINE7: RECEIVED FRAME {0} OUT OF SEQUENCE"),
)


def flood() -> bytes:
    """Lay out the events as a host prints them, some wrapped to several lines."""
    tape = Layout()
    other = Layout(process="$ZDSK", ssid="TANDEM.STORAGE.G06")
    lines: list[str] = []
    for number in range(EVENTS):
        event, text = _TEXTS[number % len(_TEXTS)]
        layout = tape if event == _TEXTS[0][0] else other
        printed_at = f"26-11-22 12:{number // 60 % 60:02}:{number % 60:02}"
        lines.extend(layout.lines(printed_at, event, text.format(number)))
    return "\r\n".join([*lines, ""]).encode("ascii")


@contextmanager
def prepare(_directory: Path) -> Iterator[Sequence[Side]]:
    """Print the flood once; both sides read the same bytes in the same pieces."""
    printed = flood()
    chunks = [printed[start : start + CHUNK] for start in range(0, len(printed), CHUNK)]
    mounts = sum(1 for number in range(EVENTS) if number % len(_TEXTS) == 0)

    def understand() -> float:
        begun = time.perf_counter()
        decoder = EmsLineDecoder()
        events = [event for chunk in chunks for event in decoder.feed(chunk.decode("latin-1"))]
        events.extend(decoder.flush())
        requests = sum(
            isinstance(read_host_event("DEV2", event), MountRequested) for event in events
        )
        took = time.perf_counter() - begun
        if (len(events), requests) != (EVENTS, mounts):
            raise AssertionError(f"{len(events)} events and {requests} mounts were understood")
        return took

    def split() -> float:
        begun = time.perf_counter()
        rest = ""
        count = 0
        for chunk in chunks:
            *lines, rest = (rest + chunk.decode("latin-1")).split("\n")
            count += sum(bool(line.strip()) for line in lines)
        took = time.perf_counter() - begun
        if count < EVENTS:
            raise AssertionError(f"{count} lines were read")
        return took

    yield (Side("copyagent", understand), Side("split lines", split))


PARSE_FLOOD = Work(
    bench="ems",
    name="parse-flood",
    prepare=prepare,
    rounds=9,
    amount=EVENTS,
    unit="events/s",
)
