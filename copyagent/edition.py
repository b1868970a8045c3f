"""What the build fixes, and no settings file, option or environment variable can change.

This is the edition of a build from source: no licence is required, and no issuer is known. A package
that is sold with a licence replaces this one module when it is built, by what
``packaging/licence/issue.py edition`` prints.
"""

from typing import Final

#: Whether copies are made only with a valid licence.
LICENCE_REQUIRED: Final[bool] = False

#: The public Ed25519 keys of those who may issue licences, raw and in Base64 (RFC 8032, RFC 4648).
LICENCE_ISSUERS: Final[tuple[str, ...]] = ()
