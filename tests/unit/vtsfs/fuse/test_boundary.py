import errno
import logging

import pyfuse3
import pytest
import trio

from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import OutboxError, UsageError, VaultBusy
from vtsfs.fuse.boundary import Background, UnforeseenErrors, fuse_handler, fuse_notice


class Handlers:
    """Two handlers that raise what they are given."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.errors = UnforeseenErrors(self.events.append)
        self.unforeseen = self.errors.unforeseen
        self.scarce = self.errors.scarce

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


class Panic(BaseException):
    """As libraries written in Rust raise it."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RecursionError("too deep"),
        OverflowError("too large"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
        ExceptionGroup("several", [KeyError(1), OSError(2)]),
        Panic("a panic"),
        BaseExceptionGroup("several", [Panic("a panic")]),
        OSError("two texts", "no number"),
    ],
)
async def test_whatever_is_raised_is_eio(error: BaseException, expect_log: ExpectedLogs) -> None:
    handlers = Handlers()
    if not isinstance(error, OSError):
        expect_log("unforeseen error in request", logging.ERROR)
    with pytest.raises(pyfuse3.FUSEError) as caught:
        await handlers.request(error)
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("number", [0, -5, 5000, 1 << 40])
async def test_what_the_kernel_takes_for_no_errno_is_eio(number: int) -> None:
    with pytest.raises(pyfuse3.FUSEError) as caught:
        await Handlers().request(OSError(number, "odd"))
    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
async def test_what_ends_the_program_passes(error: BaseException) -> None:
    with pytest.raises(type(error)):
        await Handlers().request(error)


async def test_a_cancellation_within_a_group_passes() -> None:
    passed = False

    async def cancelled_in_a_nursery() -> None:
        nonlocal passed
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                await trio.sleep_forever()
        except BaseExceptionGroup as group:
            with pytest.raises(BaseExceptionGroup):
                await Handlers().request(group)
            passed = True
            raise
        except trio.Cancelled as error:
            with pytest.raises(trio.Cancelled):
                await Handlers().request(error)
            passed = True
            raise

    with trio.move_on_after(0):
        await cancelled_in_a_nursery()
    assert passed


async def test_scarce_descriptors_are_said_once(expect_log: ExpectedLogs) -> None:
    expect_log("files cannot be opened until others are closed", logging.ERROR)
    handlers = Handlers()
    for number in (errno.EMFILE, errno.ENFILE, errno.EMFILE):
        with pytest.raises(pyfuse3.FUSEError) as caught:
            await handlers.request(OSError(number, "too many"))
        assert caught.value.errno == number
    assert handlers.events == []


async def test_a_task_beside_the_requests_ends_alone(expect_log: ExpectedLogs) -> None:
    expect_log("unforeseen error in fails", logging.ERROR)
    told: list[str] = []
    errors = UnforeseenErrors(told.append)
    done = trio.Event()

    async def fails(text: str) -> None:
        raise RuntimeError(text)

    async def goes_on() -> None:
        await trio.lowlevel.checkpoint()
        done.set()

    async with trio.open_nursery() as nursery:
        background = Background(nursery, errors)
        background.start_soon(fails, "can't start new thread")
        background.start_soon(goes_on)
    assert done.is_set()
    assert sum(errors.counts.values()) == 1
