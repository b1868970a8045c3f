"""What the stored bytes of a tape say: whether it is encrypted, and with which key. Pure.

`Piece` says what is to be read; the reading is for others to do.
"""

from dataclasses import dataclass

from vtsfs.contract.settings_encryption import KeyIdField, Signature

#: What pads a key ID that is shorter than its field.
_PADDING = b"\0 "


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of a file, in bytes from its beginning; it lies within the file."""

    offset: int
    length: int


def magic_in(signature: Signature, size: int) -> Piece | None:
    """Return where the magic lies in a file of *size* bytes, None if that is too short for it."""
    return _piece(signature.offset, len(signature.magic), size)


def key_id_in(signature: Signature, size: int) -> Piece | None:
    """Return where the key ID lies in an encrypted file of *size* bytes, None if it ends before."""
    field = signature.key_id
    if field.relative_to == "file":
        return _piece(field.offset, field.length, size)
    magic = magic_in(signature, size)
    if magic is None or (start := magic.offset + field.offset) < 0:
        return None
    return _piece(start, field.length, size)


def _piece(offset: int, length: int, size: int) -> Piece | None:
    start = offset if offset >= 0 else size + offset
    return Piece(start, length) if 0 <= start <= size - length else None


def decoded_key_id(field: KeyIdField, stored: bytes) -> str | None:
    """Return the key ID as people write it, None if *stored* is none.

    Text loses its padding, NULs and blanks at either end; hexadecimal digits are in lower case and
    as many as the field has; integers are unsigned and decimal.
    """
    match field.encoding:
        case "hex":
            return stored.hex()
        case "integer":
            return str(int.from_bytes(stored, "big"))
        case "integer-le":
            return str(int.from_bytes(stored, "little"))
        case "text":
            try:
                text = stored.strip(_PADDING).decode("utf-8")
            except UnicodeDecodeError:
                return None
            return text if text and text.isprintable() else None


def comparable_key_id(field: KeyIdField, written: str) -> str:
    """Return a key ID that somebody wrote into a list in the form of `decoded_key_id`."""
    match field.encoding:
        case "hex":
            return written.lower().removeprefix("0x")
        case "integer" | "integer-le":
            return written.lstrip("0") or "0"
        case "text":
            return written
