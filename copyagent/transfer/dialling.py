"""The TCP connection to a target, made with trio.

asyncio looks up a name in a thread that cannot be cancelled; trio's can be left behind.
"""

import os
import socket

import trio

from copyagent.transfer.target import TargetUnreachable


async def open_socket(host: str, port: int) -> socket.socket:
    """Connect to the first address of *host* that answers; raises `TargetUnreachable`."""
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        reason: BaseException | None = error.__cause__ or error
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        if isinstance(reason, OSError) and not isinstance(reason, socket.gaierror):
            text = os.strerror(reason.errno or 0)
        else:
            text = getattr(reason, "strerror", None) or str(reason)
        raise TargetUnreachable(f"{host}:{port} cannot be reached: {text}") from error
    link = socket.socket(fileno=stream.socket.detach())
    link.setblocking(False)
    return link
