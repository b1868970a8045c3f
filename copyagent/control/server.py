"""The agent's side of the control socket.

Nothing that a peer sends or fails to send can end or block the agent: lines are bounded, each step
has a time limit, and connections beyond a number are told to come back later. Who has no right here
is refused before a byte of his is read.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
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
from vtsfs.runtime.peers import Peer, groups_of_peer, peer_of, user_name
from vtsfs.runtime.releases import running_release
from vtsfs.runtime.sockets import LineReader, unix_listener

#: Carries a request out for a peer and returns what can be written as JSON; raises `VtsError`.
Handler = Callable[[Request, Peer], Awaitable[object]]

#: How many users are looked up at once, and how many more may wait for it.
_LOOKUPS = 4
_MOST_WAITING = 32
#: How long a user's name is waited for, in seconds.
_NAME_S = 3.0

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
    name_of: Callable[[int], str] = user_name,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer operators on *path* until cancelled; started when they can connect.

    Its mode and group are `Doorkeeper.socket`'s. *name_of* names a user by his number, and may block.
    Raises `AgentBusy` if another agent answers there.
    """
    mode, group = doorkeeper.socket()
    server = _Server(handle, doorkeeper, limits, name_of)
    async with unix_listener(path, mode=mode, group=group) as listener:
        task_status.started()
        await trio.serve_listeners(server.converse, [listener])


class _Server:
    def __init__(
        self,
        handle: Handler,
        doorkeeper: Doorkeeper,
        limits: Limits,
        name_of: Callable[[int], str],
    ) -> None:
        self._handle = handle
        self._name_of = name_of
        # Threads of their own: a user database that hangs must not take those of the agent's commits.
        self._lookups = trio.CapacityLimiter(_LOOKUPS)
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
            await self._send(stream, encode_error(error, running_release()))
            return
        self._places.take(peer.uid)
        try:
            answer = await self._answer(stream, await self._named(peer), rights)
            await self._send(stream, answer)
        finally:
            self._places.give_back(peer.uid)

    async def _send(self, stream: trio.SocketStream, answer: bytes) -> None:
        with trio.move_on_after(self._limits.send):
            await stream.send_all(answer)

    async def _rights(self, peer: Peer) -> frozenset[Right]:
        groups = frozenset({peer.gid}) | (peer.groups or frozenset())
        waiting = self._lookups.statistics().tasks_waiting
        if peer.groups is None and not self._doorkeeper.owns(peer.uid) and waiting < _MOST_WAITING:
            with trio.move_on_after(self._limits.receive):
                # The user database may be a server somewhere.
                groups = await trio.to_thread.run_sync(
                    groups_of_peer, peer, abandon_on_cancel=True, limiter=self._lookups
                )
        return self._doorkeeper.rights(peer.uid, groups)

    async def _named(self, peer: Peer) -> Peer:
        """Look the user's name up; a database that takes too long costs the name, and no more."""
        name = str(peer.uid)
        with trio.move_on_after(min(self._limits.receive, _NAME_S)):
            name = await trio.to_thread.run_sync(
                self._name_of, peer.uid, abandon_on_cancel=True, limiter=self._lookups
            )
        return replace(peer, name=name)

    def _expect_place(self, peer: Peer, rights: frozenset[Right]) -> None:
        """Raise `Refused` for one with no right at all, `RequestFailed` where all places are taken."""
        if not rights:
            self._refuse(peer, "look")
        why = self._places.refusal(peer.uid, rights, owns=self._doorkeeper.owns(peer.uid))
        if why:
            raise RequestFailed(f"{why}; try again in a moment")

    def _refuse(self, peer: Peer, what: str) -> NoReturn:
        """Raise `Refused`; a stranger's name is not looked up: he could have it done without end."""
        name = str(peer.uid) if peer.name is None else peer.name
        if self._refusals.is_news(peer.uid, trio.current_time()):
            _logger.warning("%s (uid %d) was refused: %s", name, peer.uid, what)
        raise Refused(
            f"user {name} may not {what}: the agent's owner, root and the group of "
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
            return encode_error(error, running_release())

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
        command, waited = command_of(request), f"{self._limits.carry_out:g} s"
        if RIGHTS[type(request)] is Right.ACT:
            # What was put to the engine is not taken back, as when its disk is full for a while.
            raise RequestFailed(
                f"{command} was not done within {waited} and may still be done: do not take it for "
                "refused. What becomes of it: copyagent history; why it takes long: the agent's journal"
            )
        raise RequestFailed(
            f"{command} took longer than {waited} and was given up; see the agent's journal"
        )
