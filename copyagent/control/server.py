"""The agent's side of the control socket.

Nothing that a peer sends or fails to send can end or block the agent: lines are bounded, each step
has a time limit, and connections beyond a number are told to come back later. Who has no right here
is refused before a byte of his is read.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import trio

from copyagent.control.admission import Doorkeeper, Places, RefusalLog, Right
from copyagent.control.protocol import (
    MAX_REQUEST,
    RIGHTS,
    Request,
    command_of,
    encode_error,
    encode_result,
    parse_request,
)
from vtsfs.contract.errors import FeedError, Refused, RequestFailed, VtsError
from vtsfs.runtime.peers import Peer, groups_of_peer, peer_of
from vtsfs.runtime.sockets import LineReader, unix_listener

#: Carries a request out for a peer and returns what can be written as JSON; raises `VtsError`.
Handler = Callable[[Request, Peer], Awaitable[object]]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the agent a peer may use: connections at once, and seconds for each step.

    Of all *connections* some are *reserved* for those who may act; one user has *of_one* at most.
    """

    connections: int = 32
    reserved: int = 8
    of_one: int = 16
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

    Its mode and group are `Doorkeeper.socket`'s. Raises `AgentBusy` if another agent answers there.
    """
    mode, group = doorkeeper.socket()
    server = _Server(handle, doorkeeper, limits)
    async with unix_listener(path, mode=mode, group=group) as listener:
        task_status.started()
        await trio.serve_listeners(server.converse, [listener])


class _Server:
    def __init__(self, handle: Handler, doorkeeper: Doorkeeper, limits: Limits) -> None:
        self._handle = handle
        self._doorkeeper = doorkeeper
        self._limits = limits
        self._places = Places(limits.connections, limits.reserved, limits.of_one)
        self._refusals = RefusalLog()

    async def converse(self, stream: trio.SocketStream) -> None:
        """Answer one connection; every way it can break ends only itself."""
        try:
            async with stream:
                await self._serve(stream)
        except (trio.BrokenResourceError, OSError) as error:
            _logger.debug("an operator's connection broke: %s", error)

    async def _serve(self, stream: trio.SocketStream) -> None:
        peer = peer_of(stream)
        rights = await self._rights(peer)
        try:
            self._expect_place(peer, rights)
        except VtsError as error:
            await self._send(stream, encode_error(error))
            return
        self._places.take(peer.uid)
        try:
            await self._send(stream, await self._answer(stream, peer, rights))
        finally:
            self._places.give_back(peer.uid)

    async def _send(self, stream: trio.SocketStream, answer: bytes) -> None:
        with trio.move_on_after(self._limits.send):
            await stream.send_all(answer)

    async def _rights(self, peer: Peer) -> frozenset[Right]:
        groups = frozenset({peer.gid}) | (peer.groups or frozenset())
        if peer.groups is None and not self._doorkeeper.owns(peer.uid):
            with trio.move_on_after(self._limits.receive):
                # The user database may be a server somewhere.
                groups = await trio.to_thread.run_sync(groups_of_peer, peer, abandon_on_cancel=True)
        return self._doorkeeper.rights(peer.uid, groups)

    def _expect_place(self, peer: Peer, rights: frozenset[Right]) -> None:
        """Raise `Refused` for one with no right at all, `RequestFailed` where all places are taken."""
        if not rights:
            self._refuse(peer, "look")
        why = self._places.refusal(peer.uid, rights, owns=self._doorkeeper.owns(peer.uid))
        if why:
            raise RequestFailed(f"{why}; try again in a moment")

    def _refuse(self, peer: Peer, what: str) -> NoReturn:
        if self._refusals.is_news(peer.uid, trio.current_time()):
            _logger.warning("%s (uid %d) was refused: %s", peer.user, peer.uid, what)
        raise Refused(
            f"user {peer.user} may not {what}: the agent's owner, root and the group of "
            "service.operators may do everything, that of service.group may look; a group counts "
            "from the next log-in on"
        )

    async def _answer(
        self, stream: trio.SocketStream, peer: Peer, rights: frozenset[Right]
    ) -> bytes:
        try:
            request = await self._receive(stream)
            if RIGHTS[type(request)] not in rights:
                self._refuse(peer, command_of(request))
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
