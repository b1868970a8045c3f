"""What is asked for by HTTP, and how it is answered; pure. Strict: what is unclear is refused.

Only as much of RFC 9112 as a scrape needs: one request for each connection, no body, no upgrade.
"""

import re
from dataclasses import dataclass
from typing import Final

#: Most bytes of a request, and what ends it.
MAX_HEAD: Final = 8192
END: Final = b"\r\n\r\n"

PATH: Final = "/metrics"
TEXT: Final = "text/plain; charset=utf-8"

_REQUEST_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]{1,4096}) HTTP/(\d)\.(\d)")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}):[ \t]*([\t\x20-\x7e\x80-\xff]*)")

_REASONS: Final = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}


@dataclass(frozen=True, slots=True)
class Scrape:
    """The figures are asked for, in a format that *accept* names; *body*: not their head alone."""

    accept: str
    body: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something else was asked for; *why* is told with the *status*."""

    status: int
    why: str
    body: bool = True


def read_request(head: bytes) -> Scrape | Refusal:
    """Read a request, without the empty line that ends it."""
    first, *lines = head.split(b"\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        return Refusal(400, "this is no request of HTTP/1.1")
    method, target, body = found[1].decode(), found[2].decode(), found[1] != b"HEAD"
    if found[3] != b"1":
        return Refusal(505, "HTTP/1.0 and HTTP/1.1 are spoken here")
    fields: dict[str, str] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return Refusal(400, "a header field cannot be read", body)
        name = field[1].decode().lower()
        value = field[2].decode("latin-1").strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    if method not in {"GET", "HEAD"}:
        return Refusal(405, f"{method} is not answered; ask by GET", body)
    if fields.get("content-length", "0") != "0" or "transfer-encoding" in fields:
        return Refusal(400, "a request with a body is not answered", body)
    if target.partition("?")[0] != PATH:
        return Refusal(404, f"there is nothing here but {PATH}", body)
    return Scrape(fields.get("accept", ""), body)


def answer(status: int, content_type: str, text: bytes, *, body: bool = True) -> bytes:
    """Write an answer after which the connection ends; its *text* only if *body* is wanted."""
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(text)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(["Allow: GET, HEAD"] if status == 405 else []),
    ]
    return "\r\n".join((*lines, "", "")).encode("ascii") + (text if body else b"")


def refuse(refusal: Refusal) -> bytes:
    """Write the answer that *refusal* is."""
    text = f"{refusal.why}\n".encode()
    return answer(refusal.status, TEXT, text, body=refusal.body)
