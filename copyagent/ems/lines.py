r"""Printed EMS lines to whole events.

Pure. A printing distributor writes an event as a header with the beginning of the text, wrapped to
the width of the device, each further line indented::

    06-09-14 22:00:01 \DEV2.$ZSVR           TANDEM.TAPE.G06         000600 $ZSVR: 0042 MOUNT
            X00001 ON $VTAPE0 WITH RING NIGHTLY BACKUP

Width and indent differ per host and filter (EMS manual 426909-005: statement DESTINATION, and
EMSDIST's INDENT, by default 36 and at least 0), so neither is assumed. A header begins at the left
edge, or after a TACL prompt, with a date and a time, and nothing that is not of a header; all after
it up to the next header is its text. Line ends become single blanks, since EMSTEXT breaks lines
between words. A device that is narrower than the record cuts words as well; what an event is then,
`EmsEvent.uncut` holds.

An event has no end mark. It is complete when the next header begins, or when nothing has come for
a while, which only the caller can tell: `EmsLineDecoder.flush`. Should the rest of an event come
after that, the event is given once more, longer (`EmsEvent.amended`).

A header in the middle of a line is one only where the line belongs to no event, as after a prompt
of unknown form, or where the line had stopped just there for so long that it was given up: in a
job's comment it is text. So an event that a host prints on the unfinished line of another is lost.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Final

MAX_LINE: Final = 4096
"""Characters kept of one line; EMSTEXT's longest record is far below it."""
MAX_EVENT: Final = 16384
"""Characters kept of one event; the host's own buffers for one hold some 3,000 bytes."""
KEPT_GARBAGE: Final = 32
"""How many of the latest lines that belong to no event are kept to be shown."""

_PROMPT = r"(?:\\\w+\.)?(?:(?:TACL|\$\w+(?:[ .]\$?\w+)?)[ \t]*)?\d{1,6}>[ \t]*"
_TIME = r"(?:\d\d)?\d\d-\d\d-\d\d[ \t]+\d\d:\d\d:\d\d"
_SENDER = r"(?:\\\w+\.)?(?:\d{1,4}, ?\d{1,5}|[^\s*]+)"
_MARK = r"(?:[ \t]+|(?=\*))(?:\*[ \t]*)?"
_SSID = r"[\w$-]+\.[\w$-]+\.[\w$-]*"
_NUMBER = r"[+-]?\d{1,6}(?=[ \t]|\Z)"
# A header, or as much of one as fits a narrow line: what stands last may be cut.
_HEADER_BEGINS = rf"{_TIME}(?:[ \t]*\Z|[ \t]+{_SENDER}(?:{_MARK}(?:[^\s]*\Z|{_SSID}(?:[ \t]*\Z|[ \t]+{_NUMBER}))|\Z))"
# The first event after a command can stand on the line of the prompt that came back.
_START = re.compile(rf"(?:{_PROMPT})?(?={_HEADER_BEGINS})", re.IGNORECASE)
_WHOLE_HEADER = re.compile(rf"(?<!\d){_TIME}[ \t]+{_SENDER}{_MARK}{_SSID}[ \t]+{_NUMBER}")
# At the left edge of a line that has not ended: most likely the next event.
_DATE_BEGINS = re.compile(r"\d[\d: \t-]{0,20}\Z")
_WHOLE_NUMBER = re.compile(r"(?:^|[ \t])[+-]?\d{6}\Z")
_BARE_PROMPT = re.compile(rf"{_PROMPT}\Z", re.IGNORECASE)
_TYPED = re.compile(r"(?:\\\w+\.)?TACL[ \t]*\d{1,6}>", re.IGNORECASE)
_HEADER = re.compile(
    r"(?:\d\d)?(?P<printed_at>\d\d-\d\d-\d\d \d\d:\d\d:\d\d) "
    r"(?:(?P<node>\\\w+)\.)?(?P<process>\d{1,4}, ?\d{1,5}|[^\s*]+)(?: |(?=\*))"
    r"(?P<critical>\* ?)?"
    r"(?P<ssid>[\w$-]+\.[\w$-]+\.[\w$-]*) "
    r"(?P<number>[+-]?\d{1,6})(?: (?P<text>.*))?\Z"
)
# Form feeds and bare carriage returns move the paper, and so end a line as well.
_LINE_ENDS = re.compile(r"[\r\f\v]+")
# What a terminal is told to do (ECMA-48), and control characters that are not blanks.
_UNPRINTED = re.compile(
    r"\x1b\[[0-?]{0,16}[@-~]|\x1b[()][0-~]|\x1b[@-Z=>]|[\x00-\x08\x0e-\x1f\x7f]"
)


_BLANKS: Final = frozenset(" \t")


@dataclass(frozen=True, slots=True)
class EmsEvent:
    r"""Hold one printed event, its text on one line with single blanks.

    *printed_at* is the header's date and time as printed, the year in two digits. *node* has its
    backslash and is empty where none was printed; *process* is a name (``$ZSVR``) or ``cpu,pin``.
    *critical* is the mark before the subsystem ID. *amended* tells that this is the event given just before, with more
    text; *unfinished* that its last line had not ended yet when nothing more came. *uncut* is
    what the event is if the device cut its lines within words, where they look as if it had.
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
    uncut: EmsEvent | None = field(default=None, compare=False, repr=False)

    @property
    def subsystem(self) -> str:
        """Give the middle part of the subsystem ID in capitals: ``TAPE``; empty if it has none.

        Every printed ID has one; a recording may have something else in its place.
        """
        return self.ssid.partition(".")[2].partition(".")[0].upper()


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


def _joined_uncut(lines: Sequence[str]) -> str | None:
    """Join *lines* without a blank where one may have been cut within a word; None if nowhere.

    A line that was cut is as wide as any. What follows it stands where all others begin: further
    right, it began with a blank. Nothing is cut behind an event number, which has six digits.
    """
    width = max(map(len, lines))
    indent = min(map(_indent, lines[1:]))
    pieces, is_cut = [lines[0]], False
    for line, following in pairwise(lines):
        at_edge = len(line) == width and _indent(following) == indent
        if at_edge and _WHOLE_NUMBER.search(line) is None:
            is_cut = True
            pieces.append(following.lstrip())
        else:
            pieces += (" ", following)
    return "".join(pieces) if is_cut else None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


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
        # Whether a line that lost its indent can still belong to the open event.
        self._joins_unindented = False
        # What was given of the open event already, and whether that was an unfinished form.
        self._given: tuple[str, bool] | None = None
        # How much had come of the unfinished line when it was given up.
        self._given_up_at = 0

    @property
    def unfinished_line(self) -> str:
        """Give what has come of a line that has not ended."""
        return "".join(self._piece)

    def feed(self, text: str) -> list[EmsEvent]:
        """Take more text; return the events that are certainly complete, in order."""
        first, *rest = text.split("\n")
        self._extend_piece(first)
        events: list[EmsEvent] = []
        for following in rest:
            self._end_line(events)
            self._extend_piece(following)
        return events

    def flush(self, *, unfinished_too: bool = False) -> list[EmsEvent]:
        """Return the open event: nothing has come for a while, so it is taken to be complete.

        A line without its end is left out, since the rest of it is likely still under way; with
        *unfinished_too* it counts (the host does not end its last line).
        """
        under_way = _plain(self.unfinished_line)[-1]
        piece = under_way if unfinished_too else ""
        if unfinished_too:
            self._given_up_at = self._piece_length
        events: list[EmsEvent] = []
        if start := _START.match(piece):
            if self._lines:
                events.extend(self._close())
            events.extend(self._give([piece[start.end() :]], unfinished=True))
        elif self._belongs(piece) and _DATE_BEGINS.match(piece) is None:
            # What is still to come of this line must find its way to the event, indented or not.
            events.extend(self._give([*self._lines, piece], unfinished=True))
            return events
        elif self._lines:
            events.extend(self._give(self._lines, unfinished=False))
        if not under_way.strip():
            # What has begun before the pause may still be of the event, indented or not.
            self._joins_unindented = False
        return events

    def _give(self, lines: list[str], *, unfinished: bool) -> list[EmsEvent]:
        printed = " ".join(lines)
        amended = self._given is not None
        if self._given == (printed, unfinished):
            return []
        event = parse_event(printed, amended=amended, unfinished=unfinished)
        if len(lines) > 1 and (uncut := _joined_uncut(lines)) is not None:
            other = parse_event(uncut, amended=amended, unfinished=unfinished)
            event = replace(event, uncut=other) if event is not None else other
        if event is None:
            # Nothing need be wrong: a header can be wrapped as well. The next header settles it.
            return []
        self._given = (printed, unfinished)
        return [event]

    def _belongs(self, line: str) -> bool:
        """Tell whether *line*, no header, continues the open event."""
        if not self._lines or not line.strip():
            return False
        if line[0] in " \t":
            return True
        return self._joins_unindented and not (is_prompt(line) or _TYPED.match(line))

    def _extend_piece(self, text: str) -> None:
        room = MAX_LINE - self._piece_length
        if len(text) > room:
            self.shortened_count += 1
            text = text[:room]
        if text:
            self._piece.append(text)
            self._piece_length += len(text)

    def _end_line(self, events: list[EmsEvent]) -> None:
        raw = "".join(self._piece)
        given_up, self._given_up_at = self._given_up_at, 0
        self._piece.clear()
        self._piece_length = 0
        if given_up and _WHOLE_HEADER.match(raw, given_up):
            self._take_lines(raw[:given_up], events)
            raw = raw[given_up:]
        self._take_lines(raw, events)

    def _take_lines(self, raw: str, events: list[EmsEvent]) -> None:
        line = raw.rstrip()
        if line.isprintable():
            self._take_line(line, events)
        else:
            for part in _plain(line):
                self._take_line(part.rstrip(), events)

    def _take_line(self, line: str, events: list[EmsEvent]) -> None:
        if self._lines and line[:1] in _BLANKS:
            self._continue_with(line)
        elif start := _START.match(line):
            self._open(line[start.end() :], events)
        elif not line:
            # Blank lines end nothing by themselves: some terminals double every line end.
            pass
        elif self._belongs(line):
            self._continue_with(line)
        else:
            events.extend(self._close())
            found = _WHOLE_HEADER.search(line) if line[0] not in " \t" else None
            self._drop(line[: found.start()] if found else line)
            if found:
                self._open(line[found.start() :], events)

    def _open(self, line: str, events: list[EmsEvent]) -> None:
        if self._lines:
            events.extend(self._close())
        self._length = 0
        self._continue_with(line)
        self._joins_unindented = True

    def _continue_with(self, line: str) -> None:
        if self._length + len(line) > MAX_EVENT:
            self.shortened_count += 1
            return
        self._lines.append(line)
        self._length += len(line)

    def _close(self) -> list[EmsEvent]:
        """End the open event: give what of it was not given yet."""
        lines = self._lines
        events = self._give(lines, unfinished=False) if lines else []
        if lines and self._given is None:
            self._drop(" ".join(lines))
        self._lines = []
        self._given = None
        self._joins_unindented = False
        return events

    def _drop(self, line: str) -> None:
        self.garbage_count += 1
        self.garbage.append(line[:MAX_LINE])


def _plain(raw: str) -> list[str]:
    """Split *raw* where the paper moved, and leave out what is not printed."""
    return [_UNPRINTED.sub("", part) for part in _LINE_ENDS.split(raw)]
