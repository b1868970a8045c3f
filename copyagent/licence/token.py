"""A licence as text: what it says, signed by its issuer (version 1); pure.

::

    # anything, in lines that begin with a hash
    -----BEGIN VTS-AUTOCOPY LICENCE-----
    Base64, in lines of any length
    -----END VTS-AUTOCOPY LICENCE-----

The bytes are a signature of 64 bytes (Ed25519, RFC 8032) over `CONTEXT` and the rest, and the rest:
one JSON object in its only form (keys sorted, no blanks, ASCII), so that one licence has one text of
bytes. Nothing is taken from a text before its signature was found good. No connection is needed,
and nothing here reads a clock.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from copyagent.core.licence import Terms
from vtsfs.contract.errors import LicenceInvalid
from vtsfs.contract.signals import MALFORMED

VERSION: Final = 1
#: What is signed begins with this, so that no other signature of the same key is a licence.
CONTEXT: Final = b"vts-autocopy licence\0"
#: Longest text of a licence, in characters.
MAX_TEXT: Final = 4096

_BEGIN: Final = "-----BEGIN VTS-AUTOCOPY LICENCE-----"
_END: Final = "-----END VTS-AUTOCOPY LICENCE-----"
_SIGNATURE_BYTES: Final = 64
_KEY_BYTES: Final = 32
_LINE: Final = 64
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")

#: What each text of a licence may be.
_TEXTS: Final = {
    "feature": re.compile(r"[a-z][a-z0-9-]{0,39}"),
    "system": re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,14}"),
    "serial": re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,39}"),
    "customer": re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]{1,80}"),
}
_DATES: Final = ("issued", "expires")


def encode(terms: Terms, sign: Callable[[bytes], bytes]) -> str:
    """Write a licence; *sign* makes the issuer's signature. Raises `LicenceInvalid` for wrong terms."""
    document = {
        "version": VERSION,
        "feature": terms.feature,
        "system": terms.system,
        "customer": terms.customer,
        "serial": terms.serial,
        "issued": terms.issued.isoformat(),
        "expires": terms.expires.isoformat(),
    }
    payload = _canonical(document)
    _terms(payload)
    body = base64.b64encode(sign(CONTEXT + payload) + payload).decode("ascii")
    lines = [body[at : at + _LINE] for at in range(0, len(body), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def decode(text: str, issuers: Iterable[str]) -> Terms:
    """Read a licence that one of *issuers* (public keys, raw in Base64) has signed.

    Raises `LicenceInvalid`, which says why, for everything else. Whether the licence is of any use
    here and now is asked of `copyagent.core.licence.judge`.
    """
    data = _bytes_of(text)
    signature, payload = data[:_SIGNATURE_BYTES], data[_SIGNATURE_BYTES:]
    keys = [_key(issuer) for issuer in issuers]
    if not keys:
        raise LicenceInvalid(
            "this build knows no issuer and can verify no licence; a build from source requires none"
        )
    if not any(_is_signed(key, signature, CONTEXT + payload) for key in keys):
        raise LicenceInvalid(
            "its signature is not its issuer's: it was changed, or is not for this product"
        )
    return _terms(payload)


def _bytes_of(text: str) -> bytes:
    if len(text) > MAX_TEXT:
        raise LicenceInvalid(f"it has more than {MAX_TEXT} characters")
    lines = [line.strip(" \t\r") for line in text.split("\n")]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise LicenceInvalid(f"it is no licence: that stands between {_BEGIN} and {_END}")
    body = "".join(lines[1:-1])
    try:
        data = base64.b64decode(body.encode("ascii"), validate=True)
    except (binascii.Error, ValueError) as error:
        raise LicenceInvalid("it is damaged: not Base64") from error
    if base64.b64encode(data).decode("ascii") != body or len(data) <= _SIGNATURE_BYTES:
        raise LicenceInvalid("it is damaged: cut off, or written in another way")
    return data


def _key(issuer: str) -> Ed25519PublicKey:
    try:
        raw = base64.b64decode(issuer.encode("ascii"), validate=True)
        if len(raw) == _KEY_BYTES:
            return Ed25519PublicKey.from_public_bytes(raw)
    except (binascii.Error, ValueError):
        pass
    raise LicenceInvalid(f"this build names an issuer that is no Ed25519 key: {issuer[:60]!r}")


def _is_signed(key: Ed25519PublicKey, signature: bytes, data: bytes) -> bool:
    try:
        key.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode("ascii")


def _terms(payload: bytes) -> Terms:
    """Read what was signed; an issuer's mistake is told as well as anybody's."""
    try:
        document = json.loads(payload)
        version = document["version"]
        if version != VERSION or isinstance(version, bool):
            raise LicenceInvalid(
                f"it is of version {version!r}, and this release knows {VERSION}; "
                "install a release that knows it"
            )
        if _canonical(document) != payload:
            raise LicenceInvalid("what was signed is not in its only form")
        return _checked(dict(document))
    except MALFORMED as error:
        raise LicenceInvalid(f"what was signed is no licence: {type(error).__name__}") from error


def _checked(document: dict[str, Any]) -> Terms:
    document.pop("version")
    texts = {name: _text(document.pop(name), name) for name in _TEXTS}
    issued, expires = (_date(document.pop(name), name) for name in _DATES)
    if document:
        raise LicenceInvalid(f"it says what this release does not know: {sorted(document)}")
    if expires < issued:
        raise LicenceInvalid(f"it expires on {expires}, before it was issued on {issued}")
    return Terms(**texts, issued=issued, expires=expires)


def _text(value: object, name: str) -> str:
    if not isinstance(value, str) or not _TEXTS[name].fullmatch(value):
        raise LicenceInvalid(f"its {name} is not one: {str(value)[:60]!r}")
    return value


def _date(value: object, name: str) -> date:
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise LicenceInvalid(f"the date {name} is not YYYY-MM-DD: {str(value)[:60]!r}")
    return date.fromisoformat(value)
