"""Logging in to a target: what comes of its settings, and what each failure means for copies."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh
import trio

from copyagent.ssh.dialling import Login, SshFailure, SshTrouble, log_in, open_socket, read_keys
from copyagent.transfer.target import (
    HostKeyRejected,
    LoginRefused,
    TargetError,
    TargetRefused,
    TargetUnreachable,
)
from vtsfs.contract import settings

#: SSH_MSG_IGNORE (RFC 4253, section 11.2).
_FILLER = 2


@contextmanager
def in_time(until: float, late: str) -> Iterator[None]:
    """Raise `TargetUnreachable`, saying *late*, when the block lasts beyond *until*."""
    try:
        with trio.fail_at(until):
            yield
    except trio.TooSlowError as error:
        raise TargetUnreachable(late) from error


async def log_in_to(target: settings.Target) -> asyncssh.SSHClientConnection:
    """Connect and log in to *target*; raises `TargetError`. The caller sees to the time."""
    login = Login(
        target.host,
        target.port,
        target.user,
        target.known_hosts,
        target.keepalive,
        key=target.key,
        algorithms=target.algorithms,
    )
    try:
        keys = await read_keys(login)
        connection = await log_in(login, keys, await open_socket(target.host, target.port))
    except SshFailure as failure:
        raise _of_dialling(failure, login) from failure
    _spare_fillers(connection)
    return connection


def _spare_fillers(connection: asyncssh.SSHClientConnection) -> None:
    """Leave out the empty message that asyncssh sends before every packet.

    It is against guesses at the next packet's initialization vector, which only ciphers in CBC mode
    allow (RFC 4251, section 9.3.1), and costs a third of our processor time.
    """
    if "cbc" in str(connection.get_extra_info("send_cipher", "cbc")):
        return
    send = connection.send_packet

    def send_packet(
        kind: int, *parts: bytes, handler: asyncssh.packet.SSHPacketLogger | None = None
    ) -> None:
        if kind != _FILLER:
            send(kind, *parts, handler=handler)

    connection.send_packet = send_packet  # type: ignore[assignment, method-assign]  # there is no option for it


def _of_dialling(failure: SshFailure, login: Login) -> TargetError:
    """Say what a log-in that failed means for the copies to this target."""
    match failure.trouble:
        case SshTrouble.HOST_KEY:
            return HostKeyRejected(str(failure), failure.next_step)
        case SshTrouble.REFUSED:
            return LoginRefused(str(failure), failure.next_step)
        case SshTrouble.NO_AGREEMENT:
            return TargetRefused(
                f"logging in to {login.where}",
                str(failure),
                failure.next_step or "allow a cipher both sides have in its sshd_config",
            )
        case SshTrouble.UNREACHABLE | SshTrouble.LOST:
            return TargetUnreachable(str(failure), failure.next_step)
