"""Requests are read strictly: a scrape, or a refusal with its reason, and nothing else whatever comes."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copyagent.metrics.request import Refusal, Scrape, answer, read_request, refuse


def asked(*lines: str) -> Scrape | Refusal:
    return read_request("\r\n".join(lines).encode("latin-1"))


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /metrics HTTP/1.1", "Host: 127.0.0.1:9469"),
        ("GET /metrics HTTP/1.0",),
        ("GET /metrics?collect=all HTTP/1.1", "Host: a", "X-Anything: b, c"),
        ("GET /metrics HTTP/1.1", "Content-Length: 0"),
        ("GET /metrics HTTP/1.1", "User-Agent: caf\xe9"),
    ],
)
def test_a_scrape(lines: tuple[str, ...]) -> None:
    assert asked(*lines) == Scrape("")


def test_what_formats_are_accepted_is_handed_on() -> None:
    assert asked("GET /metrics HTTP/1.1", "ACCEPT:\ta/b ", "Accept: c/d") == Scrape("a/b, c/d")


def test_the_head_alone_may_be_asked_for() -> None:
    assert asked("HEAD /metrics HTTP/1.1") == Scrape("", body=False)
    refused = asked("HEAD /other HTTP/1.1")
    assert isinstance(refused, Refusal)
    assert not refuse(refused).partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("",), 400),
        (("GET /metrics",), 400),
        (("get /metrics HTTP/1.1",), 400),
        (("GET  /metrics HTTP/1.1",), 400),
        (("GET /metrics HTTP/1.1 ",), 400),
        (("GET /metrics HTTP/1.1", " folded: line"), 400),
        (("GET /metrics HTTP/1.1", "Name : value"), 400),
        (("GET /metrics HTTP/1.1", "no colon"), 400),
        (("GET /metrics HTTP/1.1", "Bad: a\x00b"), 400),
        (("GET /metrics HTTP/1.1", "Bad: a\nb"), 400),
        (("GET /metrics HTTP/1.1", "Content-Length: 5"), 400),
        (("GET /metrics HTTP/1.1", "Content-Length: 0", "Content-Length: 0"), 400),
        (("GET /metrics HTTP/1.1", "Transfer-Encoding: chunked"), 400),
        (("GET / HTTP/1.1",), 404),
        (("GET /metrics/ HTTP/1.1",), 404),
        (("GET /../metrics HTTP/1.1",), 404),
        (("GET http://127.0.0.1/metrics HTTP/1.1",), 404),
        (("POST /metrics HTTP/1.1",), 405),
        (("PRI * HTTP/2.0",), 505),
        (("GET /metrics HTTP/2.0",), 505),
    ],
)
def test_a_refusal(lines: tuple[str, ...], status: int) -> None:
    refused = asked(*lines)
    assert isinstance(refused, Refusal)
    assert refused.status == status
    told = refuse(refused)
    assert told.startswith(f"HTTP/1.1 {status} ".encode())
    assert (b"\r\nAllow: GET, HEAD\r\n" in told) == (status == 405)
    assert told.endswith(refused.why.encode() + b"\n")


@given(st.binary(max_size=300))
@example(b"GET /metrics HTTP/1.1\r\nAccept: \xff\xfe")
@example(b"GET /metrics HTTP/1.1\r\n")
def test_whatever_comes_is_a_scrape_or_refused(head: bytes) -> None:
    found = read_request(head)
    if isinstance(found, Refusal):
        assert refuse(found).isascii()


def test_an_answer_ends_the_connection_and_says_its_length() -> None:
    told = answer(200, "text/plain", b"figures")
    head, _, text = told.partition(b"\r\n\r\n")
    assert b"Content-Length: 7\r\n" in told
    assert head.endswith(b"Connection: close")
    assert text == b"figures"
