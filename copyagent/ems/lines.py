r"""Printed EMS lines to whole events.

Pure. A printing distributor writes an event as a header with the beginning of the text, wrapped to
the width of the device, each further line indented::

    06-09-14 22:00:01 \DEV2.$ZSVR           TANDEM.TAPE.G06         000600 $ZSVR: 0042 MOUNT
            X00001 ON $VTAPE0 WITH RING NIGHTLY BACKUP

Width and indent differ per host and filter (EMS manual 426909-005, statement DESTINATION), so
neither is assumed: a header begins at the left edge with a date and a time, and everything after
it up to the next header is its text. Line ends become single blanks.

An event has no end mark. It is complete when the next header begins, or when nothing has come for
a while, which only the caller can tell: `EmsLineDecoder.flush`. Should the rest of an event come
after that, the event is given once more, longer (`EmsEvent.amended`).
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_LINE: Final = 4096
"""Characters kept of one line; EMSTEXT's longest record is far below it."""
MAX_EVENT: Final = 16384
"""Characters kept of one event; the host's own buffers for one hold some 3,000 bytes."""
KEPT_GARBAGE: Final = 32
"""How many of the latest lines that belong to no event are kept to be shown."""

_PROMPT = r"(?:\\\w+\.)?(?:(?:TACL|\$\w+(?:[ .]\$?\w+)*)[ \t]*)?\d{1,6}>[ \t]*"
# The first event after a command can stand on the line of the prompt that came back.
_START = re.compile(rf"(?:{_PROMPT})?(?=\d\d-\d\d-\d\d[ \t]+\d\d:\d\d:\d\d(?:\s|$))", re.IGNORECASE)
_BARE_PROMPT = re.compile(rf"{_PROMPT}\Z", re.IGNORECASE)
_HEADER = re.compile(
    r"(?P<printed_at>\d\d-\d\d-\d\d \d\d:\d\d:\d\d) "
    r"(?:(?P<node>\\\w+)\.)?(?P<process>\d{1,4}, ?\d{1,5}|[^\s*]\S*) "
    r"(?P<critical>\* ?)?"
    r"(?P<ssid>[\w$-]+\.[\w$-]+\.[\w$-]*) "
    r"(?P<number>[+-]?\d{1,6})(?: (?P<text>.*))?\Z"
)


@dataclass(frozen=True, slots=True)
class EmsEvent:
    r"""Hold one printed event, its text on one line with single blanks.

    *printed_at* is the header's date and time as printed. *node* has its backslash and is empty
    where none was printed; *process* is a name (``$ZSVR``) or ``cpu,pin``. *critical* is the mark
    before the subsystem ID. *amended* tells that this is the event given just before, with more
    text; *unfinished* that its last line had not ended yet when nothing more came.
    """

    printed_at: str
    node: str
    process: str
    ssid: str
    number: int
    text: str
    critical: bool = False
    amended: bool = False
    unfinished: bool = False

    @property
    def subsystem(self) -> str:
        """Give the middle part of the subsystem ID in capitals: ``TAPE``."""
        return self.ssid.split(".")[1].upper()


def is_prompt(line: str) -> bool:
    """Tell whether *line* is nothing but a TACL prompt, which means that nobody prints events."""
    return _BARE_PROMPT.match(line) is not None


def parse_event(
    printed: str, *, amended: bool = False, unfinished: bool = False
) -> EmsEvent | None:
    """Read a whole event, header and text, its lines joined in any way; None if it is none."""
    found = _HEADER.match(" ".join(printed.split()))
    if found is None:
        return None
    return EmsEvent(
        printed_at=found["printed_at"],
        node=found["node"] or "",
        process=found["process"],
        ssid=found["ssid"],
        number=int(found["number"]),
        text=found["text"] or "",
        critical=found["critical"] is not None,
        amended=amended,
        unfinished=unfinished,
    )


def _strip_prompt(printed: str) -> str:
    start = _START.match(printed)
    return printed[start.end() :] if start else printed


class EmsLineDecoder:
    """Put events together from text that may be cut anywhere.

    Takes time in proportion to the text and keeps no more than one event of bounded length.
    Lines that belong to no event are counted in `garbage_count`, the latest kept in `garbage`;
    `shortened_count` counts what was cut to the limits above.
    """

    def __init__(self) -> None:
        self.garbage_count = 0
        self.garbage: deque[str] = deque(maxlen=KEPT_GARBAGE)
        self.shortened_count = 0
        self._piece: list[str] = []
        self._piece_length = 0
        self._lines: list[str] = []
        self._length = 0
        self._is_fresh = False
        # Whether a line that lost its indent can still belong to the open event.
        self._joins_unindented = False
        # What was given of the open event already, and whether that was an unfinished form.
        self._given: tuple[str, bool] | None = None

    @property
    def unfinished_line(self) -> str:
        """Give what has come of a line that has not ended."""
        return "".join(self._piece)

    @property
    def is_pending(self) -> bool:
        """Tell whether whole lines have come that neither `feed` nor `flush` has given yet."""
        return self._is_fresh

    def feed(self, text: str) -> list[EmsEvent]:
        """Take more text; return the events that are certainly complete, in order."""
        first, *rest = text.split("\n")
        self._extend_piece(first)
        events: list[EmsEvent] = []
        for following in rest:
            self._take_line("".join(self._piece), events)
            self._piece.clear()
            self._piece_length = 0
            self._extend_piece(following)
        return events

    def flush(self, *, unfinished_too: bool = False) -> list[EmsEvent]:
        """Return the open event: nothing has come for a while, so it is taken to be complete.

        A line without its end is left out, since the rest of it is likely still under way; with
        *unfinished_too* it counts (the host does not end its last line).
        """
        piece = self.unfinished_line if unfinished_too else ""
        events: list[EmsEvent] = []
        self._is_fresh = False
        if _START.match(piece):
            if self._lines:
                events.extend(self._close())
            events.extend(self._give([piece], unfinished=True))
        elif self._belongs(piece):
            # What is still to come of this line must find its way to the event, indented or not.
            events.extend(self._give([*self._lines, piece], unfinished=True))
            return events
        elif self._lines:
            events.extend(self._give(self._lines, unfinished=False))
        self._joins_unindented = False
        return events

    def _give(self, lines: list[str], *, unfinished: bool) -> list[EmsEvent]:
        printed = _strip_prompt(" ".join(lines))
        amended = self._given is not None
        if self._given == (printed, unfinished):
            return []
        event = parse_event(printed, amended=amended, unfinished=unfinished)
        if event is None:
            # Nothing need be wrong: a header can be wrapped as well. The next header settles it.
            return []
        self._given = (printed, unfinished)
        return [event]

    def _belongs(self, line: str) -> bool:
        """Tell whether *line*, no header, continues the open event."""
        if not self._lines or not line.strip():
            return False
        return line[0] in " \t" or (self._joins_unindented and not is_prompt(line))

    def _extend_piece(self, text: str) -> None:
        room = MAX_LINE - self._piece_length
        if len(text) > room:
            self.shortened_count += 1
            text = text[:room]
        if text:
            self._piece.append(text)
            self._piece_length += len(text)

    def _take_line(self, line: str, events: list[EmsEvent]) -> None:
        if _START.match(line):
            if self._lines:
                events.extend(self._close())
            self._length = 0
            self._continue_with(line)
            self._joins_unindented = True
        elif not line.strip():
            # Blank lines end nothing by themselves: some terminals double every line end.
            pass
        elif self._belongs(line):
            self._continue_with(line)
        else:
            events.extend(self._close())
            self._drop(line)

    def _continue_with(self, line: str) -> None:
        if self._length + len(line) > MAX_EVENT:
            self.shortened_count += 1
            return
        self._lines.append(line)
        self._length += len(line)
        self._is_fresh = True

    def _close(self) -> list[EmsEvent]:
        """End the open event: give what of it was not given yet."""
        lines = self._lines
        events = self._give(lines, unfinished=False) if lines else []
        if lines and self._given is None:
            self._drop(" ".join(lines))
        self._lines = []
        self._given = None
        self._is_fresh = False
        self._joins_unindented = False
        return events

    def _drop(self, line: str) -> None:
        self.garbage_count += 1
        self.garbage.append(line[:MAX_LINE])
