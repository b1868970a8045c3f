"""One SFTP server process to talk to: requests in flight over one channel of an SSH connection.

asyncssh's own SFTP client makes a task of every request, which costs more than the bytes in it do;
here a request is some bytes and whoever waits for its answer.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

import asyncssh
import outcome
import trio

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.express import Way, express_of
from copyagent.ssh.sftp_packets import Answer, BadAnswer, Refusal, Request

#: The longest packet a server may send: its answer to the longest READ, or many names.
_LONGEST = 1024 * 1024

#: How much may come before we take it, in bytes: a line of 1 Gbit/s at a round trip of 130 ms.
_RECEIVE_WINDOW = 16 * 1024 * 1024

#: Stands for the number that the first packet does not have.
_HELLO = -1


class ChannelLost(Exception):
    """The channel, and mostly the whole connection, has ended."""


#: Why a request was not carried out, as far as the line knows.
Trouble = Refusal | ChannelLost | BadAnswer

#: Takes the packet that answers a request, or what became of the channel instead.
Answered = Callable[[bytes | None, ChannelLost | None], None]


#: The bytes of a request, in parts: those of a file are not copied.
Pieces = Sequence[bytes | memoryview]


def _dropped(_packet: bytes | None, _lost: ChannelLost | None) -> None:
    """Nobody waits for this answer any more."""


class SftpChannel(asyncssh.SSHClientSession[bytes]):
    """Requests and answers over one channel; made by `open`, used from trio.

    Answers arrive in asyncio's callbacks, which run in the same thread as our tasks.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._arrived = bytearray()
        self._waiting: dict[int, Answered] = {}
        self._idle: set[int] = set()
        self._settled = trio.Event()
        self._number = 0
        self._outgoing: list[bytes | memoryview] = []
        self._way: Way | None = None
        self._lost: str | None = None
        self._closed = trio.Event()
        self.offers: dict[bytes, bytes] = {}

    @classmethod
    async def open(cls, connection: asyncssh.SSHClientConnection) -> Self:
        """Start an SFTP server at the other end.

        Raises `ChannelLost`, `BadAnswer`, or what asyncssh raises when a channel cannot be opened.
        """
        opened = await in_asyncio(cls._start, connection)
        try:
            hello = await opened._exchange([packets.hello()], _HELLO)
            opened.offers = packets.extensions(hello)
        except BaseException:
            opened.close()
            raise
        return opened

    @classmethod
    async def _start(cls, connection: asyncssh.SSHClientConnection) -> Self:
        opened = cls()
        channel, _ = await connection.create_session(
            lambda: opened, subsystem="sftp", encoding=None, window=_RECEIVE_WINDOW
        )
        express = express_of(connection)
        if express is not None:
            opened._way = express.way(channel)
        return opened

    @property
    def quiet(self) -> bool:
        """Whether everything was answered and the channel lives."""
        return not self._waiting and self._lost is None

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for its answer; raises `ChannelLost`.

        Whoever is cancelled leaves the request behind: it may be carried out, and its answer is
        dropped.
        """
        number = self._take_number()
        return packets.answer(await self._exchange(request.pieces(number), number))

    def post(self, request: Request, answered: Answered) -> None:
        """Send a request; *answered* is called, mostly by asyncio, once."""
        number = self._take_number()
        self._put(request.pieces(number), number, answered)

    async def ask_all(self, requests: Sequence[Request]) -> list[Answer | ChannelLost]:
        """Send *requests*, one directly after the other, and wait for all answers.

        A server must make of them what it would make of one at a time
        (draft-ietf-secsh-filexfer-02, section 6.1).
        """
        found: dict[int, Answer | ChannelLost] = {}
        done = trio.Event()

        def taker(place: int) -> Answered:
            def answered(packet: bytes | None, lost: ChannelLost | None) -> None:
                found[place] = lost or packets.answer(packet or b"")
                if len(found) == len(requests):
                    done.set()

            return answered

        for place, request in enumerate(requests):
            self.post(request, taker(place))
        await done.wait()
        return [found[place] for place in range(len(requests))]

    def post_idly(self, request: Request, told: Answered = _dropped) -> None:
        """Send a request for whose answer nobody waits before `settle`; *told* is called with it."""
        number = self._take_number()
        self._idle.add(number)

        def answered(packet: bytes | None, lost: ChannelLost | None) -> None:
            self._idle.discard(number)
            told(packet, lost)

        self._put(request.pieces(number), number, answered)

    async def settle(self) -> None:
        """Return when nothing is outstanding of what was posted idly, or more than that is."""
        while self._idle and self._lost is None and self._waiting.keys() <= self._idle:
            self._settled = trio.Event()
            await self._settled.wait()

    def _take_number(self) -> int:
        number = self._number
        self._number = (number + 1) & 0xFFFFFFFF
        return number

    def _put(self, pieces: Pieces, number: int, answered: Answered) -> None:
        if self._lost is not None:
            answered(None, ChannelLost(self._lost))
            return
        self._waiting[number] = answered
        if not self._outgoing:
            self._loop.call_soon(self._send)
        self._outgoing += pieces

    async def _exchange(self, pieces: Pieces, number: int) -> bytes:
        if self._lost is not None:
            raise ChannelLost(self._lost)
        task = trio.lowlevel.current_task()

        def answered(packet: bytes | None, lost: ChannelLost | None) -> None:
            trio.lowlevel.reschedule(task, outcome.Error(lost) if lost else outcome.Value(packet))

        def abandon(_: object) -> trio.lowlevel.Abort:
            self._waiting[number] = _dropped
            return trio.lowlevel.Abort.SUCCEEDED

        self._put(pieces, number, answered)
        found: bytes = await trio.lowlevel.wait_task_rescheduled(abandon)
        return found

    def close(self) -> None:
        """Let the server process end; unanswered requests fail."""
        self._loop.call_soon(self._close)

    async def wait_closed(self) -> None:
        """Return when the other end has confirmed that its server process is gone."""
        await self._closed.wait()

    # ------------------------------------------------------- called by asyncio, never from trio

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: asyncssh.DataType) -> None:
        if datatype is not None:
            return
        arrived = self._arrived
        arrived += data
        at = 0
        try:
            while len(arrived) - at >= 4:
                size = int.from_bytes(arrived[at : at + 4])
                if not 0 < size <= _LONGEST:
                    raise BadAnswer("what the server says is no SFTP")
                if len(arrived) - at < 4 + size:
                    break
                self._take(bytes(memoryview(arrived)[at + 4 : at + 4 + size]))
                at += 4 + size
        except BadAnswer as error:
            self._end(str(error))
            self._close()
        del arrived[:at]

    def eof_received(self) -> bool:
        self._end("the server ended SFTP")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(str(exc) or type(exc).__name__ if exc else "the server ended SFTP")
        if self._way is not None:
            self._way.leave()
        self._closed.set()

    def _send(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if self._channel is None or self._lost is not None:
            return
        try:
            if self._way is not None:
                self._way.send(outgoing)
            else:
                self._channel.write(b"".join(outgoing))
        except OSError as error:
            self._end(str(error))

    def _close(self) -> None:
        self._end("the conversation was ended here")
        if self._channel is not None:
            self._channel.close()

    def _take(self, packet: bytes) -> None:
        key = _HELLO if _HELLO in self._waiting else packets.number_of(packet)
        if key not in self._waiting:
            raise BadAnswer("the server answers what it was not asked")
        self._waiting.pop(key)(packet, None)
        if not self._waiting:
            self._settled.set()

    def _end(self, why: str) -> None:
        """Fail whoever waits, and whoever asks from now on."""
        if self._lost is not None:
            return
        self._lost = why
        waiting, self._waiting = self._waiting, {}
        for answered in waiting.values():
            answered(None, ChannelLost(why))
        self._settled.set()
