"""Which algorithms we offer to a target's SSH server, and below which none is accepted.

The floor: no SHA-1 in key exchange, signatures or MACs, no CBC, no RSA key shorter than 2048 bits
(RFC 9142, RFC 8332, NIST SP 800-131A). A target's setting ``algorithms`` replaces a list of ours.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import asyncssh
from asyncssh import encryption, kex, mac, public_key

from vtsfs.contract.settings_algorithms import Algorithms

_KEX = (
    "mlkem768x25519-sha256",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
)
_GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_CHACHA = ("chacha20-poly1305@openssh.com",)
_CTR = ("aes128-ctr", "aes256-ctr", "aes192-ctr")
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "umac-128@openssh.com",
)
_SIGNATURES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)

#: How a server's certificate is called, by what signs it (OpenSSH's PROTOCOL.certkeys).
_CERTIFICATE = "-cert-v01@openssh.com"

_CPU = Path("/proc/cpuinfo")


class AlgorithmUnknown(ValueError):
    """A setting names an algorithm that the SSH library does not have."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What is offered to a server, the most wanted first; *rsa_bits* as in the settings."""

    kex: tuple[str, ...]
    ciphers: tuple[str, ...]
    macs: tuple[str, ...]
    host_keys: tuple[str, ...]
    signatures: tuple[str, ...]
    rsa_bits: int

    @classmethod
    def of(cls, wanted: Algorithms, *, aes: bool) -> Self:
        """Make the offer from a target's settings; raises `AlgorithmUnknown`.

        *aes*: the processor computes AES itself, which makes AES-GCM the fastest there is; without
        it ChaCha20 is.
        """
        ciphers = (*_GCM, *_CHACHA, *_CTR) if aes else (*_CHACHA, *_GCM, *_CTR)
        host_keys = _list("host_keys", wanted.host_keys, _SIGNATURES)
        return cls(
            kex=_list("kex", wanted.kex, _KEX),
            ciphers=_list("ciphers", wanted.ciphers, ciphers),
            macs=_list("macs", wanted.macs, _MACS),
            host_keys=host_keys,
            signatures=tuple(dict.fromkeys((*_SIGNATURES, *host_keys))),
            rsa_bits=wanted.rsa_bits,
        )

    def host_keys_for(self, pinned: Iterable[str], *, certified: bool) -> list[str]:
        """Order the kinds of host keys: those of *pinned* signatures first, then the others.

        A server that has none of the pinned kinds would break off before we could say what is
        wrong. *certified*: an authority is pinned, so certificates come first of all.
        """
        known = set(pinned)
        names = sorted(self.host_keys, key=lambda name: name not in known)
        return [*(name + _CERTIFICATE for name in names if certified), *names]


def _list(key: str, wanted: Sequence[str] | None, ours: Sequence[str]) -> tuple[str, ...]:
    known = known_names(key)
    if wanted is None:
        return tuple(name for name in ours if name in known)
    for name in wanted:
        if name not in known:
            raise AlgorithmUnknown(
                f"targets.*.algorithms.{key}: {name!r} is not known here; "
                f"known are {', '.join(known)}"
            )
    return tuple(wanted)


def known_names(key: str) -> list[str]:
    """Return every algorithm that can be asked for under *key* of a target's ``algorithms``."""
    found = {
        "kex": kex.get_kex_algs,
        "ciphers": encryption.get_encryption_algs,
        "macs": mac.get_mac_algs,
        "host_keys": public_key.get_public_key_algs,
    }[key]()
    # Those of GSS need a Kerberos log-in, which there is not; sk- keys are people's.
    names = (name.decode("ascii") for name in found)
    return [name for name in names if not name.startswith(("gss-", "sk-", "webauthn-"))]


def processor_has_aes(cpu: Path = _CPU) -> bool:
    """Tell whether the processor has instructions for AES; True where it does not say."""
    try:
        text = cpu.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    told = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return not told or all("aes" in line.split() for line in told)


def rsa_bits_of(key: asyncssh.SSHKey | None) -> int | None:
    """Return the length of an RSA key in bits, None for any other key."""
    if key is None or key.get_algorithm() != "ssh-rsa":
        return None
    bits = getattr(key.pyca_key, "key_size", None)
    return bits if isinstance(bits, int) else None
