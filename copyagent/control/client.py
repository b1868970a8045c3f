"""The command line's side of the control socket: one question, one answer, no loop."""

import socket
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

from copyagent.control.protocol import (
    MAX_RESPONSE,
    Request,
    command_of,
    encode_request,
    parse_response,
)
from vtsfs.contract.errors import AgentUnreachable, FeedError, Refused
from vtsfs.runtime.clock import mono_ns
from vtsfs.runtime.releases import running_release
from vtsfs.runtime.socket_path import check_length

#: Seconds that question and answer may take together; longer than the agent gives itself.
TIMEOUT = 100.0

_ENDED = "the agent ended while it was being asked; see its journal"


def ask(path: Path, request: Request, *, timeout: float = TIMEOUT) -> Any:
    """Ask the agent that listens on *path* and return its result, decoded JSON.

    Raises `AgentUnreachable` when none answers, `Refused` when it is not for this user, and the
    error that the agent sent, by its code (`RequestFailed`, `UsageError`...).
    """
    check_length(path)
    deadline = mono_ns() + int(timeout * 1e9)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        try:
            _connect(connection, path, timeout)
            connection.settimeout(timeout)
            with suppress(BrokenPipeError):
                # An agent with too many connections answers, and closes, without listening.
                connection.sendall(encode_request(request))
            line = _read_line(connection, deadline)
        except PermissionError as error:
            raise Refused(
                f"{path} is not for this user: only the agent's owner, root and the groups of "
                "service.operators and service.group may connect"
            ) from error
        except (TimeoutError, BlockingIOError) as error:
            raise AgentUnreachable(
                f"the agent on {path} did not answer {command_of(request)} within {timeout:g} s; "
                "see its journal"
            ) from error
        except ConnectionResetError as error:
            raise AgentUnreachable(_ENDED) from error
        except OSError as error:
            raise AgentUnreachable(
                f"no agent answers on {path}: {error.strerror}; start it: systemctl start "
                "copyagent (or, where no service manager does: copyagent run)"
            ) from error
    return parse_response(line, running_release())


def _connect(connection: socket.socket, path: Path, timeout: float) -> None:
    """Connect, waiting for an agent whose queue is full; raise BlockingIOError if it stays so.

    Without blocking that would fail at once (connect(2), EAGAIN); so the kernel is told how long it
    may take (socket(7), SO_SNDTIMEO).
    """
    limit = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    connection.connect(str(path))


def _read_line(connection: socket.socket, deadline: int) -> bytes:
    received = bytearray()
    while not received.endswith(b"\n"):
        left = (deadline - mono_ns()) / 1e9
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(1 << 18)
        if not piece:
            raise AgentUnreachable(_ENDED)
        received += piece
        if len(received) > MAX_RESPONSE + 1:
            raise FeedError(f"the answer has more than {MAX_RESPONSE} bytes")
    return bytes(received[:-1])
