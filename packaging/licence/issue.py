#!/usr/bin/env python3
"""Makes issuers' keys, licences signed with them, and the edition that a package is built with.

For who sells licences, and for tests. No part of the product; it needs the source tree around it.
The manual of it is ``packaging/licence/README.md``.
"""

import argparse
import base64
import getpass
import os
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from copyagent.core.licence import FEATURE, Terms
from copyagent.licence.token import decode, encode
from vtsfs.contract.errors import VtsError

EDITION = '''"""What the build fixes: this edition copies with a licence alone."""

from typing import Final

LICENCE_REQUIRED: Final[bool] = True
LICENCE_ISSUERS: Final[tuple[str, ...]] = ({keys},)
'''


def main(arguments: list[str] | None = None) -> int:
    """Carry out one command; return the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        asked.carry_out(asked)
    except (OSError, ValueError, VtsError, UnsupportedAlgorithm) as error:
        sys.stderr.write(f"issue.py: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(required=True)
    keygen = commands.add_parser("keygen", help="make an issuer's key: FILE, and FILE.pub")
    keygen.add_argument("file", type=Path)
    keygen.add_argument("--passphrase", action="store_true", help="ask for one, and encrypt FILE")
    keygen.set_defaults(carry_out=_keygen)
    sign = commands.add_parser("sign", help="print a licence")
    sign.add_argument("--key", type=Path, required=True, help="the issuer's private key")
    sign.add_argument("--system", required=True, help="system.name of the licensed system")
    sign.add_argument("--customer", required=True, help="who it is for, at most 80 characters")
    sign.add_argument("--serial", required=True, help="a number that is never given twice")
    sign.add_argument("--issued", type=date.fromisoformat, help="default: today, in UTC")
    sign.add_argument("--feature", default=FEATURE)
    last = sign.add_mutually_exclusive_group(required=True)
    last.add_argument("--expires", type=date.fromisoformat, help="the last day, YYYY-MM-DD")
    last.add_argument("--days", type=int, help="the last day is so many after that of issue")
    sign.set_defaults(carry_out=_sign)
    edition = commands.add_parser("edition", help="print the module copyagent/edition.py")
    edition.add_argument("public", type=Path, nargs="+", help="an issuer's FILE.pub")
    edition.set_defaults(carry_out=_edition)
    return parser


def _keygen(asked: argparse.Namespace) -> None:
    key = Ed25519PrivateKey.generate()
    secret = getpass.getpass("Passphrase: ").encode() if asked.passphrase else b""
    encryption = (
        serialization.BestAvailableEncryption(secret) if secret else serialization.NoEncryption()
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    _write_new(asked.file, private, 0o600)
    public = base64.b64encode(key.public_key().public_bytes_raw())
    _write_new(asked.file.with_name(asked.file.name + ".pub"), public + b"\n", 0o644)
    sys.stdout.write(f"{asked.file}: keep it secret; {asked.file}.pub: {public.decode()}\n")


def _sign(asked: argparse.Namespace) -> None:
    key = _private_key(asked.key)
    issued = asked.issued or datetime.now(UTC).date()  # noqa: TID251  # a command's own edge
    expires = asked.expires or issued + timedelta(days=asked.days)
    terms = Terms(asked.system, asked.customer, asked.serial, issued, expires, asked.feature)
    text = encode(terms, key.sign)
    public = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    if decode(text, [public]) != terms:
        raise ValueError("what was written cannot be read: nothing is issued")
    about = f"# {asked.feature} for system {asked.system} until {expires}, serial {asked.serial}"
    sys.stdout.write(f"{about}\n{text}")


def _edition(asked: argparse.Namespace) -> None:
    keys = [path.read_text(encoding="ascii").strip() for path in asked.public]
    for path, key in zip(asked.public, keys, strict=True):
        if len(base64.b64decode(key, validate=True)) != 32:
            raise ValueError(f"{path} holds no public Ed25519 key as keygen writes it")
    sys.stdout.write(EDITION.format(keys=", ".join(map(repr, keys))))


def _private_key(path: Path) -> Ed25519PrivateKey:
    data = path.read_bytes()
    encrypted = b"ENCRYPTED" in data
    secret = getpass.getpass(f"Passphrase of {path}: ").encode() if encrypted else None
    key = serialization.load_pem_private_key(data, secret)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is no Ed25519 key")
    return key


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """A key that is there is never overwritten: all licences of that issuer would be lost with it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(fd)


if __name__ == "__main__":
    sys.exit(main())
