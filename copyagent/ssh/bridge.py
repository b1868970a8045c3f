"""The bridge from trio to asyncio, which asyncssh is written for.

Every call crosses it for exactly one request.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncssh
import trio_asyncio

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_bridge() -> AsyncIterator[None]:
    """Make asyncio available to the tasks started inside; entered once, outside every connection.

    An error that asyncio has nobody to hand to is logged; it must not end the program.
    """
    # Its debug messages hold what is sent, passwords among it.
    asyncssh.set_log_level(logging.WARNING)
    # It warns once per request in flight when a link is lost; what happened is raised by the call.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    async with trio_asyncio.open_loop() as loop:
        loop.set_exception_handler(_unclaimed)
        yield


async def in_asyncio(call: Callable[..., Awaitable[_T]], *args: object) -> _T:
    """Run one coroutine on the asyncio side; cancelling us cancels it."""
    result: _T = await trio_asyncio.aio_as_trio(call)(*args)
    return result


def _unclaimed(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    _log.error("unclaimed: %s", context.get("message"), exc_info=context.get("exception"))
