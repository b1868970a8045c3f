"""Our own key pairs: made without a passphrase, and their public halves in OpenSSH's words."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import asyncssh

Kind = Literal["ed25519", "ecdsa", "rsa"]

_ALGORITHMS = {"ed25519": "ssh-ed25519", "ecdsa": "ecdsa-sha2-nistp256"}
_RSA_BITS = 3072


class KeyUnusable(Exception):
    """A file does not hold a private key that could be used without anybody there."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a key: *kind* and *text* as they stand in files of OpenSSH.

    *fingerprint* is what ``ssh-keygen -l`` shows, ``SHA256:`` and so on.
    """

    kind: str
    text: str
    fingerprint: str

    @classmethod
    def of(cls, key: asyncssh.SSHKey) -> Self:
        """Take the public half of *key*."""
        kind, text = key.export_public_key().decode("ascii").split()[:2]
        return cls(kind, text, key.get_fingerprint())

    def line(self, comment: str = "") -> str:
        """Write it as one line of authorized_keys or of a file ``.pub``."""
        return f"{self.kind} {self.text} {comment}".rstrip()


def make_key(kind: Kind) -> tuple[bytes, PublicKey]:
    """Make a key pair; return the private half as it goes into a file, and the public one."""
    if kind == "rsa":
        key = asyncssh.generate_private_key("ssh-rsa", key_size=_RSA_BITS)
    else:
        key = asyncssh.generate_private_key(_ALGORITHMS[kind])
    return key.export_private_key("openssh"), PublicKey.of(key)


def public_half(path: Path) -> PublicKey:
    """Return the public half of the private key in *path*; raises `KeyUnusable`."""
    try:
        return PublicKey.of(asyncssh.read_private_key(str(path)))
    except OSError as error:
        raise KeyUnusable(f"{path} cannot be read: {error.strerror}") from error
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
        raise KeyUnusable(f"{path} is of no use as a key: {error}") from error
