"""Licences for tests, made as an issuer makes them, with a key that nobody else has."""

import base64
from dataclasses import dataclass, field
from datetime import date

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from copyagent.core.licence import Terms
from copyagent.licence.token import encode

TERMS = Terms("TAPESRV1", "Example Bank", "2026-0017", date(2026, 1, 1), date(2026, 12, 31))


@dataclass
class Issuer:
    """Somebody who issues licences; *key* is the private one."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> str:
        """The public key as the build's edition names it."""
        return base64.b64encode(self.key.public_key().public_bytes_raw()).decode("ascii")

    def issue(self, terms: Terms = TERMS) -> str:
        """Write a licence."""
        return encode(terms, self.key.sign)
