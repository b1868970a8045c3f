"""Bulk data over a connection of asyncssh's, with fewer copies and fewer calls.

asyncssh makes some ten copies of every byte it sends, and a system call, a log entry and a look for
padding of every 32 KiB. Here channel data (RFC 4254, section 5.2) is put together, encrypted (AES-GCM
as in RFC 5647) and given to the socket in batches, and what a server answers during a transfer,
channel data and window adjustments, is read likewise. Everything else, from the log-in to key
exchanges, is and remains asyncssh's: keys, counters and windows are its own, looked at anew for every
batch, so that either side can go on where the other stopped.

That uses parts of asyncssh which it does not promise to keep. Where one of them is missing, or the
cipher is another one, nothing here is used, and everything goes asyncssh's own way.
"""

import asyncio
import os
import time
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import asyncssh
import trio
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

#: SSH_MSG_CHANNEL_WINDOW_ADJUST and SSH_MSG_CHANNEL_DATA (RFC 4250, section 4.1.2).
_ADJUST, _DATA = 93, 94
_DATA_KIND = bytes([_DATA])

#: AES-GCM's counter of packets has 64 bits (RFC 5647, section 7.1).
_COUNTS = 0xFFFF_FFFF_FFFF_FFFF

#: AES-GCM's block and tag, in bytes.
_BLOCK, _TAG = 16, 16

#: A packet begins with its length; before its data come as well the padding's length, kind,
#: channel, and the data's length.
_LENGTH, _HEAD = 4, 10

#: RFC 4253, section 6: so much padding at least.
_LEAST_PADDING = 4

#: Most data of one packet. Servers take 32 KiB; more would have to be agreed upon.
_MOST = 32 * 1024

#: How much is encrypted before it is given away: it should still lie in the processor's cache.
_BATCH = 8 * _MOST

#: States of a channel in which its window may be adjusted, in asyncssh's words.
_READABLE = frozenset({"open", "eof_pending", "eof"})

#: How often incoming data puts the keep-alive off, in seconds: a timer for every packet is dear.
_PUT_OFF_S = 0.2

#: What is used of a connection and of a channel, besides what asyncssh documents.
_OF_CONNECTION = (
    "_auth_complete", "_decompressor", "_compressor", "_inpbuf", "_kex_complete", "_packet",
    "_recv_data", "_recv_encryption", "_recv_handler", "_recv_packet", "_recv_pkthdr", "_recv_seq",
    "_rekey_bytes", "_rekey_bytes_sent", "_rekey_seconds", "_rekey_time", "_reset_keepalive_timer",
    "_send_encryption", "_send_seq", "_transport",
)  # fmt: skip
_OF_CHANNEL = (
    "_accept_data", "_recv_chan", "_recv_state", "_recv_window", "_send_chan", "_send_pktsize",
    "_send_state", "_send_window",
)  # fmt: skip
_OF_CIPHER = ("_iv", "_key", "encrypt_and_sign", "verify_and_decrypt")


class Way:
    """What waits to be sent over one channel; made by `Express.way`."""

    def __init__(
        self, express: "Express", channel: asyncssh.SSHClientChannel[bytes], number: bytes
    ) -> None:
        self.channel = channel
        #: What the server calls our end of the channel, as four bytes.
        self.number = number
        #: How many bytes wait.
        self.size = 0
        self._express = express
        self._pieces: deque[memoryview] = deque()

    def send(self, pieces: Iterable[bytes | memoryview]) -> None:
        """Send *pieces* after what waits already; they must not change until they are gone.

        Raises BrokenPipeError if the channel is closed.
        """
        if self.channel._send_state != "open":
            raise BrokenPipeError("the channel is closed")
        for piece in pieces:
            if piece:
                self._pieces.append(memoryview(piece))
                self.size += len(piece)
        self._express.send()

    def leave(self) -> None:
        """Say that the channel is closed: what waits will not be sent."""
        self._express.leave(self)

    def take(self, into: memoryview, size: int) -> None:
        """Fill *into*, which has *size* bytes, with what comes next."""
        self.size -= size
        at = 0
        while True:
            piece = self._pieces[0]
            fits = size - at
            if len(piece) > fits:
                into[at:] = piece[:fits]
                self._pieces[0] = piece[fits:]
                return
            into[at : at + len(piece)] = piece
            at += len(piece)
            self._pieces.popleft()
            if at == size:
                return


class _Cipher(Protocol):
    """AES-GCM as asyncssh has it: a key, and what counts the packets."""

    _key: bytes
    _iv: bytes


class _Keys:
    """One direction's cipher: asyncssh's, which counts the packets, with its key prepared once."""

    def __init__(self) -> None:
        self._encryption: object = None
        self._found: tuple[AESGCM, _Cipher] | None = None

    def of(self, encryption: object) -> tuple[AESGCM, _Cipher] | None:
        """Return the key and the cipher in force; None if they are not AES-GCM's."""
        if encryption is not self._encryption:
            self._encryption, self._found = encryption, None
            cipher: Any = getattr(encryption, "_cipher", None)
            if all(hasattr(cipher, name) for name in _OF_CIPHER):
                self._found = AESGCM(cipher._key), cipher
        return self._found


class _Frame(NamedTuple):
    """What packets with *size* bytes of data have in common: all but the *data*."""

    size: int
    head: bytes
    packet: memoryview
    data: memoryview


class Express:
    """The quick way over one connection; made by `express_of`. All of it runs on asyncio's side.

    Channels take turns, batch by batch, so that a request on one need not wait for the gigabytes of
    another; and nothing is encrypted before the socket has taken what was.
    """

    def __init__(self, connection: asyncssh.SSHClientConnection) -> None:
        self._connection = connection
        self._ways: dict[bytes, Way] = {}
        self._turns: deque[Way] = deque()
        self._sending, self._receiving = _Keys(), _Keys()
        self._plain = memoryview(bytearray(_HEAD + _MOST + 2 * _BLOCK))
        self._put_off_at_s = 0.0
        self._read_as_usual = connection._recv_data
        connection._recv_data = self._received  # type: ignore[method-assign]  # there is no option for it
        connection.resume_writing = self._resume  # type: ignore[method-assign]  # likewise
        if connection._transport is not None:
            connection._transport.set_write_buffer_limits(0)

    def way(self, channel: asyncssh.SSHClientChannel[bytes]) -> Way | None:
        """Return a way for *channel*, which is open; None if it must go asyncssh's."""
        if not all(hasattr(channel, name) for name in _OF_CHANNEL):
            return None
        if channel._recv_chan is None:
            return None
        number = channel._recv_chan.to_bytes(4)
        way = self._ways[number] = Way(self, channel, number)
        self._turns.append(way)
        return way

    def leave(self, way: Way) -> None:
        """Forget a channel that is closed."""
        if self._ways.get(way.number) is way:
            del self._ways[way.number]
            self._turns.remove(way)

    # ----------------------------------------------------------------------------------- sending

    def send(self) -> None:
        """Send what waits, as far as the server's windows and the socket take it."""
        idle = 0
        while idle < len(self._turns):
            way = self._turns[0]
            self._turns.rotate(-1)
            idle = 0 if self._send_some(way) else idle + 1

    def _resume(self) -> None:
        """Send on a little later: the transport that has become empty calls this.

        Were it to find out in this very call that the line is gone, it would say so twice.
        """
        asyncio.get_running_loop().call_soon(self.send)

    def _send_some(self, way: Way) -> bool:
        """Send one batch; False if there is none, or not now."""
        connection, channel = self._connection, way.channel
        if not way.size or not channel._send_window or channel._send_state != "open":
            return False
        transport = connection._transport
        if transport is None or not connection._kex_complete or transport.get_write_buffer_size():
            # Whatever comes next, the new keys at the latest, calls `send` again, and so does the
            # transport when it is empty.
            return False
        found = self._sending.of(connection._send_encryption)
        if found is None or connection._compressor or self._is_time_for_keys():
            self._send_as_usual(way)
        else:
            self._send_batch(way, *found, transport)
        return True

    def _is_time_for_keys(self) -> bool:
        connection = self._connection
        return connection._rekey_bytes_sent >= connection._rekey_bytes or bool(
            connection._rekey_seconds and time.monotonic() >= connection._rekey_time
        )

    def _send_as_usual(self, way: Way) -> None:
        """Let asyncssh send one packet; it exchanges keys before, if it is time."""
        channel = way.channel
        data = bytearray(min(way.size, channel._send_window, channel._send_pktsize))
        way.take(memoryview(data), len(data))
        channel._send_window -= len(data)
        channel.send_packet(_DATA, len(data).to_bytes(4), bytes(data))

    def _send_batch(
        self, way: Way, key: AESGCM, cipher: _Cipher, transport: asyncio.Transport
    ) -> None:
        connection, channel = self._connection, way.channel
        window, most = channel._send_window, min(channel._send_pktsize, _MOST)
        fixed, count = cipher._iv[:4], int.from_bytes(cipher._iv[4:])
        target = _DATA_KIND + (channel._send_chan or 0).to_bytes(4)
        noise = os.urandom(_BLOCK + _LEAST_PADDING)
        frame = self._frame(min(most, window, way.size), target, noise)
        sealed: list[bytes] = []
        full = 0
        while full < _BATCH and (size := min(most, window, way.size)):
            if size != frame.size:
                frame = self._frame(size, target, noise)
            way.take(frame.data, size)
            sealed += frame.head, key.encrypt(fixed + count.to_bytes(8), frame.packet, frame.head)
            count = (count + 1) & _COUNTS
            window -= size
            full += len(frame.packet)
        channel._send_window = window
        cipher._iv = fixed + count.to_bytes(8)
        connection._send_seq = (connection._send_seq + len(sealed) // 2) & 0xFFFFFFFF
        connection._rekey_bytes_sent += full
        _give(transport, memoryview(b"".join(sealed)))

    def _frame(self, size: int, target: bytes, noise: bytes) -> _Frame:
        """Prepare for packets with *size* bytes of data; *noise* is for the padding."""
        end = _HEAD + size
        padding = _BLOCK - end % _BLOCK
        if padding < _LEAST_PADDING:
            padding += _BLOCK
        packet = self._plain[: end + padding]
        packet[:_HEAD] = bytes((padding,)) + target + size.to_bytes(4)
        packet[end:] = noise[:padding]
        return _Frame(size, len(packet).to_bytes(_LENGTH), packet, packet[_HEAD:end])

    # --------------------------------------------------------------------------------- receiving

    def _received(self) -> None:
        """Read what has come, in the place of asyncssh's own method; then send what may be sent."""
        self._read()
        if self._connection._inpbuf:
            self._read_as_usual()
        self.send()

    def _read(self) -> None:
        """Read packets from the front of what has come, as long as they are of the usual kinds.

        One that is odd in any way is left to asyncssh, which also says what is wrong with it.
        """
        connection = self._connection
        if connection._recv_handler == connection._recv_packet:
            # It has looked at a packet's first block, which AES-GCM leaves as it is.
            connection._inpbuf = connection._packet + connection._inpbuf
            connection._recv_handler = connection._recv_pkthdr
        found = self._receiving.of(connection._recv_encryption)
        if found is None or connection._decompressor or not connection._auth_complete:
            return
        if connection._recv_handler != connection._recv_pkthdr:
            return
        self._put_off()
        key, cipher = found
        arrived, at = memoryview(connection._inpbuf), 0
        size = len(arrived)
        while size - at > _LENGTH and connection._transport is not None:
            end = at + _LENGTH + int.from_bytes(arrived[at : at + _LENGTH]) + _TAG
            if end > size:
                break
            try:
                plain = key.decrypt(
                    cipher._iv, arrived[at + _LENGTH : end], arrived[at : at + _LENGTH]
                )
            except (InvalidTag, ValueError):
                break
            if not self._take_in(plain, cipher):
                break
            at = end
        connection._inpbuf = connection._inpbuf[at:]

    def _take_in(self, plain: bytes, cipher: _Cipher) -> bool:
        """Take in one packet; False if it is not for us."""
        way = self._ways.get(plain[2:6])
        if way is None:
            return False
        channel, kind, end = way.channel, plain[1], len(plain) - plain[0]
        number = int.from_bytes(plain[6:_HEAD])
        if kind == _ADJUST:
            usual = end == _HEAD and channel._recv_state in _READABLE
        else:
            usual = kind == _DATA and channel._recv_state == "open"
            usual = usual and 0 < number == end - _HEAD and number <= channel._recv_window
        if not usual:
            return False
        connection, iv = self._connection, cipher._iv
        cipher._iv = iv[:4] + ((int.from_bytes(iv[4:]) + 1) & _COUNTS).to_bytes(8)
        connection._recv_seq = (connection._recv_seq + 1) & 0xFFFFFFFF
        if kind == _ADJUST:
            channel._send_window += number
        else:
            channel._accept_data(plain[_HEAD:end])
        return True

    def _put_off(self) -> None:
        """Let the keep-alive wait again, as whatever comes does."""
        now_s = trio.current_time()
        if now_s >= self._put_off_at_s:
            self._put_off_at_s = now_s + _PUT_OFF_S
            self._connection._reset_keepalive_timer()


def _give(transport: asyncio.Transport, data: memoryview) -> None:
    """Give *data* to the socket at once, as far as it takes them, and to the transport what is left.

    A transport tries once and then waits to be called, which costs more than what was sent; and
    Linux, short of memory, takes no more than two or three segments at a time.
    """
    try:
        while data:
            data = data[os.write(transport.get_extra_info("socket").fileno(), data) :]
    except OSError:
        # The transport finds out for itself, be it that the socket is full or that it is gone.
        transport.write(data)


def express_of(connection: asyncssh.SSHClientConnection) -> Express | None:
    """Return the quick way over *connection*, which is logged in; None if there is none."""
    found: Express | None = connection.get_extra_info("express")
    if found is None and is_suitable(connection):
        found = Express(connection)
        connection.set_extra_info(express=found)
    return found


def is_suitable(connection: asyncssh.SSHClientConnection) -> bool:
    """Tell whether *connection* uses AES-GCM in both directions, and asyncssh is what we know."""
    return (
        all(hasattr(connection, name) for name in _OF_CONNECTION)
        and _Keys().of(connection._send_encryption) is not None
        and _Keys().of(connection._recv_encryption) is not None
        and isinstance(connection._transport, asyncio.Transport)
        and connection._transport.get_extra_info("socket") is not None
    )
