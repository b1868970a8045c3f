"""Who is at the other end of a Unix socket, in the kernel's word (unix(7), SO_PEERCRED).

The credentials are those of the peer when it connected. They cannot be forged and need no
password, which is why the control socket and the feed have none. The groups are those that the
process really has (SO_PEERGROUPS, since Linux 4.13): a user database can be far away, and says what
the next log-in will have.
"""

import os
import socket
import struct
from dataclasses import dataclass
from pwd import getpwuid
from typing import Protocol

_UCRED = struct.Struct("iII")
#: Not in the socket module: include/uapi/asm-generic/socket.h, the same wherever we run.
_SO_PEERGROUPS = 59
#: The most that `getsockopt` of the standard library takes: 256 groups.
_MOST_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Peer:
    """The process, user and groups that connected.

    *groups* are the further ones; None where the kernel did not tell, as for more than 256. *name* is
    the user's, once somebody has looked it up.
    """

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] | None = None
    name: str | None = None

    @property
    def user(self) -> str:
        """The user's name, or the number where the system knows no name.

        Asks the user database, unless *name* is known; that may be far away, and blocks.
        """
        return user_name(self.uid) if self.name is None else self.name


class Connection(Protocol):
    """What can be asked for an option of its socket: a plain one, trio's, or a stream of trio's."""

    def getsockopt(self, level: int, option: int, length: int, /) -> bytes: ...


def peer_of(connection: Connection) -> Peer:
    """Return who is connected; raises OSError for a closed socket.

    Without a peer, or when it is no Unix socket, the pid is 0 and the uid that of no user
    (4294967295).
    """
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, gid = _UCRED.unpack(raw)
    return Peer(pid, uid, gid, _peer_groups(connection))


def _peer_groups(connection: Connection) -> frozenset[int] | None:
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_BYTES)
    except OSError:
        return None  # no peer, an old kernel (ENOPROTOOPT), or more groups than fit (ERANGE)
    return frozenset(gid for (gid,) in struct.iter_unpack("I", raw))


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


def groups_of_peer(peer: Peer) -> frozenset[int]:
    """Return every group of *peer*: those it had when it connected.

    Where the kernel did not tell, the user database is asked, which may block: see `groups_of`.
    """
    further = groups_of(peer.uid) if peer.groups is None else peer.groups
    return further | {peer.gid}
