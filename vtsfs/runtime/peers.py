"""Who is at the other end of a Unix socket, in the kernel's word (unix(7), SO_PEERCRED).

The credentials are those of the peer when it connected. They cannot be forged and need no
password, which is why the control socket and the feed have none.
"""

import os
import socket
import struct
from dataclasses import dataclass
from pwd import getpwuid

import trio

_UCRED = struct.Struct("iII")


@dataclass(frozen=True, slots=True)
class Peer:
    """The process, user and group that connected."""

    pid: int
    uid: int
    gid: int

    @property
    def user(self) -> str:
        """The user's name, or the number where the system knows no name."""
        return user_name(self.uid)


def peer_of(connection: trio.SocketStream | trio.socket.SocketType | socket.socket) -> Peer:
    """Return who is connected; raises OSError for a closed socket.

    Without a peer, or when it is no Unix socket, the pid is 0 and the uid that of no user
    (4294967295).
    """
    plain = connection.socket if isinstance(connection, trio.SocketStream) else connection
    raw = plain.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return Peer(*_UCRED.unpack(raw))


def user_name(uid: int) -> str:
    """Return the name of *uid*, or its number in digits."""
    try:
        return getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def groups_of(uid: int) -> frozenset[int]:
    """Return every group of the user *uid*, none for an unknown one.

    Asks the user database, which may be far away: call it from a thread where that matters.
    """
    try:
        entry = getpwuid(uid)
    except KeyError:
        return frozenset()
    return frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))


def is_member(peer: Peer, gid: int) -> bool:
    """Tell whether *peer* is in the group *gid*: by its own group, or by the user database."""
    return gid == peer.gid or gid in groups_of(peer.uid)
