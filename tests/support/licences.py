"""Licences for tests, made as an issuer makes them, with a key that nobody else has."""

import base64
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from copyagent.core.licence import Terms
from copyagent.licence.token import encode
from tests.support.nonstop import TREE

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


def licensed_tree(root: Path, issuer: Issuer) -> Path:
    """Make a source tree at *root* whose edition requires a licence of *issuer*; return it.

    That is what packaging does: the one module is another, everything else is as it is.
    """
    program = root / "copyagent"
    program.mkdir(parents=True)
    (root / "vtsfs").symlink_to(TREE / "vtsfs")
    for entry in (TREE / "copyagent").iterdir():
        if entry.name not in {"edition.py", "__pycache__"}:
            (program / entry.name).symlink_to(entry)
    (program / "edition.py").write_text(
        f"LICENCE_REQUIRED = True\nLICENCE_ISSUERS = ({issuer.public!r},)\n", encoding="ascii"
    )
    return root
