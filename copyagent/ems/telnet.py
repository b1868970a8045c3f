"""The Telnet byte codec: bytes from a host in, plain text and the answers it must get out.

Pure. Stays a plain network virtual terminal (RFC 854): it lets the host echo (RFC 857) and
suppress go-ahead (RFC 858), and refuses everything else. Above all it refuses the terminal type
(RFC 1091): a Telserv that is told ``TN6530`` or a relative switches to block mode, in which
printed events no longer arrive as lines.

Nothing a host sends raises or is kept: what is not text is dropped as it goes by. The answer to one
option request is three bytes, what is so already is not answered (RFC 1143), and a host that asks
without end gets no more than `MOST_ANSWERS`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from copyagent.ems.plain_text import LineEnds, typed

IAC: Final = 0xFF
DONT: Final = 0xFE
DO: Final = 0xFD
WONT: Final = 0xFC
WILL: Final = 0xFB
SB: Final = 0xFA
SE: Final = 0xF0
BREAK: Final = bytes((IAC, 0xF3))
"""What a terminal's Break key sends: the host's TACL takes the terminal back."""
NOP: Final = bytes((IAC, 0xF1))
"""No operation: proves the connection to whatever lies between, and shows nothing at the host."""

ECHO: Final = 1
SUPPRESS_GO_AHEAD: Final = 3
MAX_SUBNEGOTIATION: Final = 1024
"""Bytes after which a subnegotiation that does not end is taken for none: a host that loses its
end must not swallow all events after it. The longest one in use has some dozens."""
MOST_ANSWERS: Final = 1000
"""Option requests answered in one connection: there are 256 options, few of them in use."""
MOST_REQUESTS: Final = 4096
"""Option requests looked at in one connection; the rest is passed over as fast as text is, so that
a host that asks without end keeps nobody else waiting."""
_HOST_MAY: Final = frozenset({ECHO, SUPPRESS_GO_AHEAD})
_WE_MAY: Final = frozenset({SUPPRESS_GO_AHEAD})
# Whole runs of what needs no look at each: options, commands of one byte, doubled escapes.
_REQUESTS: Final = re.compile(rb"(?:\xff[\xfb-\xfe][\x00-\xff])+")
_COMMANDS: Final = re.compile(rb"(?:\xff[\xf0-\xf9])+")
_DOUBLED: Final = re.compile(rb"(?:\xff\xff)+")


@dataclass(frozen=True, slots=True)
class Decoded:
    """Hold what one piece of input came to: host *text*, and the *reply* to send at once.

    Line ends in *text* are single line feeds.
    """

    text: bytes
    reply: bytes


class _At(Enum):
    TEXT = auto()
    COMMAND = auto()
    OPTION = auto()
    SUBNEGOTIATION = auto()
    SUBNEGOTIATION_COMMAND = auto()


class TelnetDecoder:
    """Take the Telnet protocol out of a byte stream that may be cut anywhere."""

    def __init__(self) -> None:
        self._at = _At.TEXT
        self._verb = 0
        self._room = 0
        self._line_ends = LineEnds()
        self._answers_left = MOST_ANSWERS
        self._requests_left = MOST_REQUESTS
        self._host_does: set[int] = set()
        self._we_do: set[int] = set()

    def feed(self, data: bytes) -> Decoded:
        """Decode the next piece. Costs time in proportion to its length; never raises."""
        if self._at is _At.TEXT and IAC not in data:
            return Decoded(self._line_ends.feed(data), b"")
        text = bytearray()
        reply = bytearray()
        position = 0
        while position < len(data):
            if self._at is _At.TEXT and data[position] == IAC:
                position = self._pass_over(data, position, text)
                if position == len(data):
                    break
            if self._at is _At.TEXT or self._at is _At.SUBNEGOTIATION:
                position = self._run(data, position, text)
            else:
                self._command_byte(data[position], text, reply)
                position += 1
        return Decoded(self._line_ends.feed(bytes(text)), bytes(reply))

    def _run(self, data: bytes, start: int, text: bytearray) -> int:
        """Take plain bytes up to the next command; return where to go on."""
        end = data.find(IAC, start)
        stop = len(data) if end < 0 else end
        if self._at is _At.TEXT:
            text += data[start:stop]
            next_at = _At.COMMAND
        else:
            stop = min(stop, start + self._room)
            self._room -= stop - start
            next_at = _At.SUBNEGOTIATION_COMMAND
            if self._room == 0:
                self._at = _At.TEXT
                return stop
        if stop == end:
            self._at = next_at
            return end + 1
        return stop

    def _pass_over(self, data: bytes, start: int, text: bytearray) -> int:
        """Take runs of commands that get no answer; return where to go on."""
        doubled = _DOUBLED.match(data, start)
        if doubled:
            text += doubled[0][::2]
            start = doubled.end()
        commands = _COMMANDS.match(data, start)
        if commands:
            start = commands.end()
        requests = None if self._requests_left else _REQUESTS.match(data, start)
        return requests.end() if requests else start

    def _command_byte(self, byte: int, text: bytearray, reply: bytearray) -> None:
        if self._at is _At.OPTION:
            reply += self._negotiate(self._verb, byte)
            self._at = _At.TEXT
        elif self._at is _At.SUBNEGOTIATION_COMMAND:
            # Only IAC SE ends it. IAC IAC is a data byte of it; other commands have no place there.
            self._at = _At.TEXT if byte == SE else _At.SUBNEGOTIATION
        elif byte in {WILL, WONT, DO, DONT}:
            self._verb = byte
            self._at = _At.OPTION
        elif byte == SB:
            self._at = _At.SUBNEGOTIATION
            self._room = MAX_SUBNEGOTIATION
        else:
            if byte == IAC:
                text.append(IAC)
            self._at = _At.TEXT

    def _negotiate(self, verb: int, option: int) -> bytes:
        """Answer one request; a request for what is so already gets none, or both sides loop."""
        if not self._requests_left:
            return b""
        self._requests_left -= 1
        mine = verb in {DO, DONT}
        active, allowed = (self._we_do, _WE_MAY) if mine else (self._host_does, _HOST_MAY)
        agree, refuse = (WILL, WONT) if mine else (DO, DONT)
        wanted = verb in {DO, WILL}
        if wanted == (option in active) or not self._answers_left:
            return b""
        self._answers_left -= 1
        if not wanted:
            active.discard(option)
            return bytes((IAC, refuse, option))
        if option not in allowed:
            return bytes((IAC, refuse, option))
        active.add(option)
        return bytes((IAC, agree, option))


def encode_line(line: str) -> bytes:
    """Make the bytes of one typed *line*, then CR LF (RFC 1123, 3.3.1); see `typed`."""
    return typed(line).replace(bytes((IAC,)), bytes((IAC, IAC))) + b"\r\n"
