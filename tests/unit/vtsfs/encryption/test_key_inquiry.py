"""Asking several servers: whoever answers first with yes decides, and nobody waits for long."""

import threading
from collections.abc import Iterator

import pytest
import trio

from vtsfs.encryption.key_inquiry import KeyInquiry
from vtsfs.encryption.key_servers import KeyServerFailed


class Keys:
    """A server that has some keys, or a reason not to answer."""

    def __init__(self, *key_ids: str, reason: str = "") -> None:
        self.key_ids = key_ids
        self.reason = reason
        self.asked = 0

    def has_key(self, key_id: str) -> bool:
        self.asked += 1
        if self.reason:
            raise KeyServerFailed(self.reason)
        return key_id in self.key_ids


class Hanging:
    """A server that answers no when it is let go, and not before."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.asked = 0

    def has_key(self, key_id: str) -> bool:
        self.asked += 1
        self.go_on.wait(30)
        return False


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    server = Hanging()
    yield server
    server.go_on.set()


async def test_one_that_has_the_key_is_enough() -> None:
    inquiry = KeyInquiry({"a": Keys(), "b": Keys("K"), "c": Keys(reason="no disk")})
    assert await inquiry.why_not("K") is None


async def test_none_has_it() -> None:
    inquiry = KeyInquiry({"a": Keys(), "b": Keys("K")})
    assert await inquiry.why_not("L") == "which no key server has (a, b)"
    assert inquiry.names == ("a", "b")


async def test_no_server_at_all() -> None:
    assert await KeyInquiry({}).why_not("K") == "no key server is configured"


async def test_who_cannot_answer_is_told_until_it_can() -> None:
    failing = Keys("K", reason="no disk")
    inquiry = KeyInquiry({"a": Keys(), "b": failing})
    assert await inquiry.why_not("K") == "key server b: no disk"
    assert inquiry.failures == {"b": "no disk"}
    failing.reason = ""
    assert await inquiry.why_not("K") is None
    assert inquiry.failures == {}


async def test_a_server_that_hangs_is_not_waited_for_if_another_has_the_key(
    hanging: Hanging,
) -> None:
    inquiry = KeyInquiry({"a": hanging, "b": Keys("K")}, limit_s=30)
    with trio.fail_after(10):
        assert await inquiry.why_not("K") is None
    assert inquiry.failures == {}


async def test_a_server_that_hangs_is_waited_for_once(hanging: Hanging) -> None:
    inquiry = KeyInquiry({"a": hanging}, limit_s=0.05, pause_s=1000)
    with trio.fail_after(10):
        for _ in range(20):
            assert await inquiry.why_not("K") == "key server a: no answer within 0.05 s"
    assert hanging.asked == 1


async def test_it_is_asked_again_after_a_while(hanging: Hanging) -> None:
    inquiry = KeyInquiry({"a": hanging}, limit_s=0.05, pause_s=0)
    with trio.fail_after(10):
        assert await inquiry.why_not("K") == "key server a: no answer within 0.05 s"
        hanging.go_on.set()
        while (why := await inquiry.why_not("K")) != "which no key server has (a)":
            assert why == "key server a: no answer within 0.05 s"


async def test_a_server_that_hangs_has_few_threads(hanging: Hanging) -> None:
    inquiry = KeyInquiry({"a": hanging}, limit_s=0.2, pause_s=0)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(inquiry.why_not, "K")
    assert 1 <= hanging.asked <= 4
