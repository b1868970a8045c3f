import errno
import logging

import pyfuse3
import pytest
import trio

from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import OutboxError, UsageError, VaultBusy
from vtsfs.fuse.boundary import UnforeseenErrors, fuse_handler, fuse_notice


class Handlers:
    """Two handlers that raise what they are given."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.errors = UnforeseenErrors(self.events.append)
        self.unforeseen = self.errors.unforeseen

    @fuse_handler
    async def request(self, error: BaseException | None) -> str:
        if error is not None:
            raise error
        return "answer"

    @fuse_notice
    async def notice(self, error: BaseException) -> None:
        raise error


async def test_an_answer_passes() -> None:
    assert await Handlers().request(None) == "answer"


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (FileNotFoundError(errno.ENOENT, "no"), errno.ENOENT),
        (OSError(errno.ENOSPC, "full"), errno.ENOSPC),
        (OSError("without a number"), errno.EIO),
        (pyfuse3.FUSEError(errno.ENOTSUP), errno.ENOTSUP),
        (OutboxError("no room"), errno.EIO),
        (VaultBusy("open"), errno.EBUSY),
        (UsageError("nonsense"), errno.EINVAL),
    ],
)
async def test_foreseen_errors_become_their_errno(error: Exception, number: int) -> None:
    handlers = Handlers()
    with pytest.raises(pyfuse3.FUSEError) as caught:
        await handlers.request(error)
    assert caught.value.errno == number
    assert handlers.events == []


async def test_an_unforeseen_error_is_eio_and_logged_once(expect_log: ExpectedLogs) -> None:
    expect_log("unforeseen error in request", logging.ERROR)
    handlers = Handlers()
    for _ in range(3):
        with pytest.raises(pyfuse3.FUSEError) as caught:
            await handlers.request(KeyError("x"))
        assert caught.value.errno == errno.EIO
    assert len(handlers.events) == 1
    assert list(handlers.errors.counts.values()) == [3]


async def test_a_notice_raises_nothing(expect_log: ExpectedLogs) -> None:
    expect_log("unforeseen error in notice", logging.ERROR)
    handlers = Handlers()
    await handlers.notice(OSError(errno.EIO, "x"))
    assert len(handlers.events) == 1


async def test_cancellation_passes() -> None:
    handlers = Handlers()

    @fuse_handler
    async def wait(self: Handlers) -> None:
        await trio.sleep_forever()

    with trio.move_on_after(0.01) as scope:
        await wait(handlers)
    assert scope.cancelled_caught
    assert handlers.events == []
