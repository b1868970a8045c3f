"""A server's host key: asked for, and looked for among those that are pinned."""

import asyncio
import socket
from dataclasses import dataclass

import asyncssh

from copyagent.ssh.algorithms import AlgorithmUnknown, Offer, processor_has_aes
from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.dialling import SshFailure, SshTrouble, agreement, open_socket
from copyagent.ssh.key_pairs import PublicKey
from vtsfs.contract.settings import Target

_USUAL_PORT = 22


async def fetch_host_key(target: Target) -> PublicKey:
    """Ask the server of *target* which host key it has; nobody is logged in, nothing is believed.

    Of several kinds it shows the one that we like best. Raises `SshFailure`; the caller bounds the
    time.
    """
    try:
        offer = Offer.of(target.algorithms, aes=processor_has_aes())
    except AlgorithmUnknown as error:
        raise SshFailure(SshTrouble.NO_AGREEMENT, str(error), "correct the setting") from error
    link = await open_socket(target.host, target.port)
    where = f"{target.host}:{target.port}"
    try:
        key = await in_asyncio(_fetch, target.host, offer, link)
    except asyncssh.KeyExchangeFailed as error:
        text = f"{where}: {error}"
        raise SshFailure(SshTrouble.NO_AGREEMENT, text, agreement(text)) from error
    except (asyncssh.Error, OSError, asyncio.CancelledError) as error:
        raise SshFailure(
            SshTrouble.LOST, f"{where} did not show its host key: {str(error) or error!r}"
        ) from error
    finally:
        link.close()
    if key is None:
        raise SshFailure(SshTrouble.LOST, f"{where} did not show its host key")
    return PublicKey.of(key)


async def _fetch(host: str, offer: Offer, link: socket.socket) -> asyncssh.SSHKey | None:
    return await asyncssh.get_server_host_key(
        host,
        sock=link,
        config=None,
        kex_algs=list(offer.kex),
        server_host_key_algs=list(offer.host_keys),
        # What has no argument of its own; nothing of the user's is read.
        options=asyncssh.SSHClientConnectionOptions(
            config=None,
            known_hosts=None,
            client_keys=None,
            agent_path=None,
            encryption_algs=list(offer.ciphers),
            mac_algs=list(offer.macs),
        ),
    )


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a known_hosts file says of a server: its keys, and whether an authority vouches for it."""

    keys: tuple[PublicKey, ...] = ()
    certified: bool = False


def pinned_for(known_hosts: str, target: Target) -> Pinned:
    """Return what the text *known_hosts* pins for *target*; raises ValueError."""
    if not known_hosts.strip():
        return Pinned()
    port = target.port if target.port != _USUAL_PORT else None
    keys, authorities, *_ = asyncssh.import_known_hosts(known_hosts).match(target.host, "", port)
    return Pinned(tuple(PublicKey.of(key) for key in keys), bool(authorities))


def known_hosts_line(target: Target, key: PublicKey) -> str:
    """Write the line that pins *key* for *target*, as ssh-keyscan(1) would."""
    usual = target.port == _USUAL_PORT
    return f"{target.host if usual else f'[{target.host}]:{target.port}'} {key.line()}\n"
