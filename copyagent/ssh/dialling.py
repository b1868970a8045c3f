"""Connecting and logging in over SSH: one way of it, for targets and for hosts.

Only a pinned host key is accepted, and only our own key or password is offered: no agent, no
configuration or known hosts of the user.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import asyncssh
import trio

from copyagent.ssh.algorithms import AlgorithmUnknown, Offer, processor_has_aes, rsa_bits_of
from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.brief_log_in import ask_nothing
from vtsfs.contract.credentials import place_of
from vtsfs.contract.settings_algorithms import Algorithms

_log = logging.getLogger(__name__)

#: With the interval from the settings: a link that is silent for longer than about 3 intervals ends.
_KEEPALIVES = 2

_HANG_UP_S = 1.0

_USUAL_PORT = 22

#: To hosts: AES first, then asyncssh's own list; and after the kinds of the pinned keys the others,
#: or a host that has none of those would break off before we could say what is wrong.
_ANY_HOSTS_CIPHERS = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
_ANY_HOSTS_KEYS = (
    "+ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521,"
    "rsa-sha2-512,rsa-sha2-256"
)

_SHORT_RSA = "targets.*.algorithms.rsa_bits says how short an RSA key may be"

_BROKE_OFF = (
    "see the sshd log at the target; if it found no matching host key type, bring that sshd up to "
    "date, or name what it has under targets.*.algorithms.host_keys"
)

#: In asyncssh's words, and which of our settings is about it.
_SETTING_OF = {
    "key exchange": "kex",
    "encryption": "ciphers",
    "MAC": "macs",
}


class SshTrouble(Enum):
    """Name why there is no connection, as far as somebody has to do something else about it."""

    UNREACHABLE = auto()
    HOST_KEY = auto()
    REFUSED = auto()
    NO_AGREEMENT = auto()
    LOST = auto()


class SshFailure(Exception):
    """No connection came about. *next_step* is empty where the trouble itself says what to do."""

    def __init__(self, trouble: SshTrouble, text: str, next_step: str = "") -> None:
        super().__init__(text)
        self.trouble = trouble
        self.next_step = next_step


@dataclass(frozen=True, slots=True)
class Login:
    """Say where to log in and as whom: with *key* or, where that is None, with a password.

    *known_hosts* holds the pinned host keys. *password* gives the password when it is needed and
    is asked once at most, so that one log-in can never count as several wrong ones. *keepalive* is
    the seconds between messages that prove the connection, 0 for none. *algorithms* of None are the
    SSH library's own, which suit hosts of any age; else our floor holds, as far as they leave it.
    """

    host: str
    port: int
    user: str
    known_hosts: Path
    keepalive: float
    key: Path | None = None
    password: Callable[[], str] | None = None
    algorithms: Algorithms | None = None

    @property
    def where(self) -> str:
        """Name the server in a message."""
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Keys:
    """Hold the pinned host keys, our own key, if that is how we log in, and what we offer."""

    pinned: asyncssh.SSHKnownHosts
    own: asyncssh.SSHKey | None
    offer: Offer | None = None


async def open_socket(host: str, port: int) -> socket.socket:
    """Connect to the first address of *host* that answers; raises `SshFailure`.

    Made with trio: asyncio looks up a name in a thread that cannot be cancelled, trio's can be
    left behind.
    """
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        reason: BaseException | None = error.__cause__ or error
        while isinstance(reason, BaseExceptionGroup):
            reason = reason.exceptions[0]
        if isinstance(reason, OSError) and not isinstance(reason, socket.gaierror):
            text = os.strerror(reason.errno or 0)
        else:
            text = getattr(reason, "strerror", None) or str(reason)
        raise SshFailure(
            SshTrouble.UNREACHABLE, f"{host}:{port} cannot be reached: {text}"
        ) from error
    return detached(stream)


def detached(stream: trio.SocketStream) -> socket.socket:
    """Take the socket out of trio's hands, for asyncio to use."""
    link = socket.socket(fileno=stream.socket.detach())
    link.setblocking(False)
    return link


async def read_keys(login: Login) -> Keys:
    """Read the files *login* names; raises `SshFailure` for one that is of no use.

    Both are given to asyncssh as objects: an empty known_hosts given as a path or as bytes would
    make it look in the user's own file.
    """
    return await trio.to_thread.run_sync(_read_keys, login)


def _read_keys(login: Login) -> Keys:
    try:
        pinned = asyncssh.import_known_hosts(login.known_hosts.read_text(encoding="utf-8"))
    except OSError as error:
        raise SshFailure(
            SshTrouble.HOST_KEY,
            f"{login.known_hosts} with the pinned host keys cannot be read: {error.strerror}",
        ) from error
    except ValueError as error:
        raise SshFailure(
            SshTrouble.HOST_KEY, f"{login.known_hosts} holds no host keys: {error}"
        ) from error
    offer = _offer(login)
    return Keys(pinned, _own_key(login, offer), offer)


def _offer(login: Login) -> Offer | None:
    if login.algorithms is None:
        return None
    try:
        return Offer.of(login.algorithms, aes=processor_has_aes())
    except AlgorithmUnknown as error:
        raise SshFailure(
            SshTrouble.NO_AGREEMENT, str(error), "correct the setting, or leave it out"
        ) from error


def _own_key(login: Login, offer: Offer | None) -> asyncssh.SSHKey | None:
    if login.key is None:
        return None
    try:
        key = asyncssh.read_private_key(str(place_of(login.key, os.environ)))
    except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise SshFailure(
            SshTrouble.REFUSED,
            f"the key {login.key} cannot be used: {error}",
            "it must be an SSH private key without a passphrase, readable by the agent",
        ) from error
    if offer is not None and (rsa_bits_of(key) or offer.rsa_bits) < offer.rsa_bits:
        raise SshFailure(
            SshTrouble.REFUSED,
            f"the key {login.key} is an RSA key of {rsa_bits_of(key)} bits",
            f"make a longer one, or a key of another kind; {_SHORT_RSA}",
        )
    return key


async def log_in(login: Login, keys: Keys, link: socket.socket) -> asyncssh.SSHClientConnection:
    """Log in over *link*, which is closed if that fails; raises `SshFailure`."""
    # Hosts of any age are asked all that is usual; targets run OpenSSH.
    brief = keys.own is not None and login.algorithms is not None
    client = _Client(None if keys.own is not None else login.password, brief=brief)
    try:
        connection = await in_asyncio(_handshake, login, keys, link, client)
    except BaseException as error:
        link.close()
        if isinstance(error, asyncssh.Error | OSError | asyncio.CancelledError):
            raise _of_login(error, login, broke_off=client.broke_off) from error
        raise
    bits = rsa_bits_of(connection.get_server_host_key())
    if bits is not None and keys.offer is not None and bits < keys.offer.rsa_bits:
        await hang_up(connection, politely=False)
        raise SshFailure(
            SshTrouble.NO_AGREEMENT,
            f"{login.where} has an RSA host key of {bits} bits, which is too short",
            f"give it a longer one, or one of another kind; {_SHORT_RSA}",
        )
    return connection


class _Client(asyncssh.SSHClient):
    """Answers the server's question for a password, in whichever form it comes first.

    *brief*: the key is all that we have, and nothing is asked before it is used.
    """

    def __init__(self, password: Callable[[], str] | None, *, brief: bool = False) -> None:
        self._password = password
        self._brief = brief
        self._begun = False
        self._connection: asyncssh.SSHClientConnection | None = None

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self._connection = conn
        if self._brief:
            ask_nothing(conn)

    @property
    def broke_off(self) -> bool:
        """Whether the server spoke SSH and ended it before its host key was accepted."""
        conn = self._connection
        spoke = conn is not None and conn.get_extra_info("server_version") is not None
        return spoke and conn is not None and conn.get_server_host_key() is None

    def password_auth_requested(self) -> str | None:
        reveal, self._password = self._password, None
        return reveal() if reveal is not None else None

    def kbdint_auth_requested(self) -> str | None:
        # A server that begins anew again and again must not be followed.
        begun, self._begun = self._begun, True
        return "" if self._password is not None and not begun else None

    def kbdint_challenge_received(
        self,
        name: str,  # noqa: ARG002 - asyncssh's signature
        instructions: str,  # noqa: ARG002 - likewise
        lang: str,  # noqa: ARG002 - likewise
        prompts: Sequence[tuple[str, bool]],
    ) -> list[str] | None:
        """Answer one secret question, which is for the password; others end the log-in.

        A NonStop host maps the Guardian dialogue to this method (SSH reference manual 544701-014,
        ALLOWED-AUTHENTICATIONS): a changed password is asked for in the same way, so a second
        question is not answered. A round without a question only shows a text (RFC 4256, 3.2).
        """
        if not prompts:
            return []
        question, echoes = prompts[0]
        if len(prompts) > 1 or echoes or "password" not in question.lower():
            return None
        password = self.password_auth_requested()
        return [password] if password is not None else None


async def _handshake(
    login: Login, keys: Keys, link: socket.socket, client: _Client
) -> asyncssh.SSHClientConnection:
    by_key = keys.own is not None
    return await asyncssh.connect(
        login.host,
        login.port,
        sock=link,
        config=None,
        client_factory=lambda: client,
        username=login.user,
        known_hosts=keys.pinned,
        client_keys=[keys.own] if by_key else None,
        x509_trusted_certs=None,
        agent_path=None,
        preferred_auth="publickey" if by_key else "password,keyboard-interactive",
        public_key_auth=by_key,
        password_auth=not by_key,
        kbdint_auth=not by_key,
        host_based_auth=False,
        gss_auth=False,
        gss_kex=False,
        compression_algs=None,
        **_algorithms(login, keys, link),
        login_timeout=0,
        keepalive_interval=login.keepalive,
        keepalive_count_max=_KEEPALIVES,
    )


def _algorithms(login: Login, keys: Keys, link: socket.socket) -> dict[str, str | list[str]]:
    offer = keys.offer
    if offer is None:
        return {
            "encryption_algs": _ANY_HOSTS_CIPHERS,
            "server_host_key_algs": _ANY_HOSTS_KEYS,
        }
    port = login.port if login.port != _USUAL_PORT else None
    match = keys.pinned.match(login.host, link.getpeername()[0], port)
    pinned = {name.decode("ascii") for key in match[0] for name in key.sig_algorithms}
    return {
        "kex_algs": list(offer.kex),
        "encryption_algs": list(offer.ciphers),
        "mac_algs": list(offer.macs),
        "server_host_key_algs": offer.host_keys_for(pinned, certified=bool(match[1])),
        "signature_algs": list(offer.signatures),
    }


def _of_login(error: BaseException, login: Login, *, broke_off: bool) -> SshFailure:
    """Say what went wrong between the TCP connection and the end of the log-in."""
    text = str(error) or type(error).__name__
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return SshFailure(
                SshTrouble.HOST_KEY, f"the host key of {login.where} is not the pinned one ({text})"
            )
        case asyncssh.PermissionDenied():
            means = str(login.key) if login.key is not None else "the password"
            return SshFailure(
                SshTrouble.REFUSED, f"{login.where} refuses user {login.user} with {means} ({text})"
            )
        case asyncssh.KeyExchangeFailed():
            return SshFailure(
                SshTrouble.NO_AGREEMENT,
                text,
                agreement(text) if login.algorithms is not None else "",
            )
        case _:
            lost = f"the connection to {login.where} was lost during log-in: {text}"
            # A server with no kind of host key that we offer says so in its own log alone.
            means = _BROKE_OFF if broke_off and login.algorithms is not None else ""
            return SshFailure(SshTrouble.LOST, lost, means)


def agreement(text: str) -> str:
    """Say which setting of a target could make us agree, '' if none; *text* is what failed."""
    for words, setting in _SETTING_OF.items():
        if f"matching {words} algorithm" in text:
            return (
                "bring the server's sshd up to date; if that cannot be, name what it has under "
                f"targets.*.algorithms.{setting}"
            )
    return ""


async def hang_up(connection: asyncssh.SSHClientConnection, *, politely: bool) -> None:
    """End the connection, *politely* if that is quick; buffered data of a dead link are dropped."""

    async def close() -> None:
        connection.close()
        await connection.wait_closed()

    async def abort() -> None:
        connection.abort()
        await connection.wait_closed()

    for way in (close, abort) if politely else (abort,):
        with trio.move_on_after(_HANG_UP_S, shield=True) as scope:
            try:
                await in_asyncio(way)
            except (asyncssh.Error, OSError, asyncio.CancelledError):
                _log.debug("while hanging up", exc_info=True)
        if not scope.cancelled_caught:
            return
