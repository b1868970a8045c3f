"""The TCP connection to a host, whatever is spoken over it."""

from __future__ import annotations

import os
import socket

import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure


async def connect(address: str, port: int) -> trio.SocketStream | LinkFailure:
    """Connect to the first address that answers, or say why it cannot be done."""
    where = f"{address} port {port}"
    try:
        stream = await trio.open_tcp_stream(address, port)
        _prepare(stream)
    except OSError as error:
        return LinkFailure(LinkTrouble.UNREACHABLE, f"{where}: {_cause(error)}")
    except UnicodeError:
        return LinkFailure(LinkTrouble.UNREACHABLE, f"{where}: not the form of a host name")
    return stream


def no_answer(address: str, port: int) -> LinkFailure:
    """Say that connecting took too long."""
    return LinkFailure(LinkTrouble.UNREACHABLE, f"{address} port {port}: no answer")


def _cause(error: OSError) -> str:
    # trio gathers the errors of every address it tried under one that only says so.
    inner: BaseException | None = error.__cause__
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    best = inner if isinstance(inner, OSError) else error
    # The text trio gives repeats address and port; a resolver's errors are numbered below zero.
    if best.errno is not None and best.errno > 0:
        return os.strerror(best.errno)
    return best.strerror or str(best)


def _prepare(stream: trio.SocketStream) -> None:
    """Let the kernel find within a minute or so that the other side is gone (tcp(7)).

    A Telnet host's data mark comes as urgent data (RFC 854, Synch). Out of line it would be missing
    from the stream, and the byte after it be taken for half a command.
    """
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
