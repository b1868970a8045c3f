"""The agent's side of the control socket.

Nothing that a peer sends or fails to send can end or block the agent: lines are bounded, each step
has a time limit, and connections beyond a number are told to come back later.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import trio

from copyagent.control.protocol import (
    MAX_REQUEST,
    RIGHTS,
    Doorkeeper,
    Request,
    command_of,
    encode_error,
    encode_result,
    parse_request,
)
from vtsfs.contract.errors import FeedError, Refused, RequestFailed, VtsError
from vtsfs.runtime.peers import Peer, groups_of, peer_of
from vtsfs.runtime.sockets import LineReader, unix_listener

#: Carries a request out for a peer and returns what can be written as JSON; raises `VtsError`.
Handler = Callable[[Request, Peer], Awaitable[object]]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the agent a peer may use: connections at once, and seconds for each step."""

    connections: int = 32
    receive: float = 10.0
    carry_out: float = 60.0
    send: float = 30.0


async def serve(
    path: Path,
    handle: Handler,
    doorkeeper: Doorkeeper,
    *,
    limits: Limits = Limits(),  # frozen
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer operators on *path* until cancelled; started when they can connect.

    The socket belongs to the service group with mode 0660, or to the owner alone with 0600 where
    there is none. Raises `AgentBusy` if another agent answers there.
    """
    group = doorkeeper.service_group
    server = _Server(handle, doorkeeper, limits)
    mode = 0o600 if group is None else 0o660
    async with unix_listener(path, mode=mode, group=group) as listener:
        task_status.started()
        await trio.serve_listeners(server.converse, [listener])


class _Server:
    def __init__(self, handle: Handler, doorkeeper: Doorkeeper, limits: Limits) -> None:
        self._handle = handle
        self._doorkeeper = doorkeeper
        self._limits = limits
        self._connections = 0

    async def converse(self, stream: trio.SocketStream) -> None:
        """Answer one connection; every way it can break ends only itself."""
        self._connections += 1
        try:
            answer = await self._answer(stream)
            with trio.move_on_after(self._limits.send):
                await stream.send_all(answer)
        except (trio.BrokenResourceError, OSError) as error:
            _logger.debug("an operator's connection broke: %s", error)
        finally:
            self._connections -= 1

    async def _answer(self, stream: trio.SocketStream) -> bytes:
        try:
            if self._connections > self._limits.connections:
                raise RequestFailed("the agent serves too many connections; try again in a moment")
            request = await self._receive(stream)
            peer = peer_of(stream)
            await self._check(request, peer)
            return encode_result(await self._carry_out(request, peer))
        except VtsError as error:
            return encode_error(error)

    async def _receive(self, stream: trio.SocketStream) -> Request:
        line: bytes | None = None
        with trio.move_on_after(self._limits.receive):
            line = await LineReader(stream, MAX_REQUEST).read_line()
        if line is None:
            raise FeedError("no request came")
        return parse_request(line)

    async def _check(self, request: Request, peer: Peer) -> None:
        right = RIGHTS[type(request)]
        groups = frozenset({peer.gid})
        if not self._doorkeeper.allows(right, peer.uid, groups):
            with trio.move_on_after(self._limits.receive):
                # The user database may be a server somewhere.
                groups |= await trio.to_thread.run_sync(groups_of, peer.uid, abandon_on_cancel=True)
        if not self._doorkeeper.allows(right, peer.uid, groups):
            _logger.warning("%s (uid %d) was refused: %s", peer.user, peer.uid, command_of(request))
            raise Refused(
                f"user {peer.user} may not {command_of(request)}: the agent's owner and root "
                "may do everything, the service group (service.group in the settings) may look"
            )

    async def _carry_out(self, request: Request, peer: Peer) -> object:
        with trio.move_on_after(self._limits.carry_out):
            try:
                return await self._handle(request, peer)
            except VtsError:
                raise
            except Exception as error:  # a bug in answering must not end the copying
                _logger.exception("request %s failed", command_of(request))
                raise VtsError(
                    f"the agent failed to {command_of(request)}: {error!r}; its journal has more"
                ) from error
        raise RequestFailed(
            f"{command_of(request)} took longer than {self._limits.carry_out:g} s and was given "
            "up; see the agent's journal"
        )
