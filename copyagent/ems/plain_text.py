"""Text as a plain terminal gives and takes it: line ends, and the bytes of a typed line.

Pure. The same for every way in; what a way in adds to it (Telnet's escapes) is its own.
"""

from __future__ import annotations


class LineEnds:
    """Make line ends single line feeds in a byte stream that may be cut anywhere.

    CR LF is a line end and CR NUL a bare CR (RFC 854); other NULs are dropped.
    """

    def __init__(self) -> None:
        self._carriage_return = b""

    def feed(self, data: bytes) -> bytes:
        """Take the next piece; a CR at its end means nothing until the byte after it is here."""
        data = self._carriage_return + data
        self._carriage_return = b"\r" if data.endswith(b"\r") else b""
        if self._carriage_return:
            data = data[:-1]
        if b"\r" not in data and b"\0" not in data:
            return data
        return data.replace(b"\r\n", b"\n").replace(b"\0", b"")


def typed(line: str) -> bytes:
    """Make the bytes of one typed *line*, without its end.

    What has no byte in ISO 8859-1 becomes a question mark, and control characters are left out,
    so that a setting cannot type a second line.
    """
    plain = "".join(c for c in line if c >= " " and c != "\x7f")
    return plain.encode("latin-1", "replace")
