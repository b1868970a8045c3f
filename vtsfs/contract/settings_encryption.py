"""The settings section ``encryption``: how an encrypted tape is recognised and who may open it.

SecureVTS stores the key's ID with the tape it encrypts and asks the key's server for the key when
the tape is mounted; without a key the tape can be neither read nor written (Virtual TapeServer
Configuration Guide, data encryption chapter). Where in the file magic and key ID lie is not
published, so the site says it here. Nothing is decrypted by us.
"""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from vtsfs.contract.setting_values import AbsolutePath, Model

#: Farther than this no file reaches (2^62 bytes); keeps sums of offsets within 64 bits.
_FARTHEST = 1 << 62
_HEX = "0x"


def _magic(value: object) -> object:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("should be a text, or '0x...' in quotes for bytes in hexadecimal digits")
    if not value.startswith(_HEX):
        return value.encode("utf-8")
    try:
        return bytes.fromhex(value.removeprefix(_HEX))
    except ValueError as error:
        raise ValueError(f"should have pairs of hexadecimal digits after 0x, not {value!r}") from (
            error
        )


def _text_of_magic(value: bytes) -> str:
    return f"{_HEX}{value.hex()}"


Magic = Annotated[
    bytes,
    BeforeValidator(_magic),
    Field(min_length=2, max_length=256),
    PlainSerializer(_text_of_magic),
    WithJsonSchema({"type": "string", "minLength": 2, "examples": ["0x53454356"]}),
]
Offset = Annotated[int, Field(strict=True, ge=-_FARTHEST, le=_FARTHEST)]
Length = Annotated[int, Field(strict=True, ge=1, le=256)]
UserNumber = Annotated[int, Field(strict=True, ge=0, lt=(1 << 32) - 1)]
UserName = Annotated[str, Field(strict=True, pattern=r"^[^\s:/]+$")]
ServerKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,30}$")]


class KeyIdField(Model):
    """Where the key's ID lies in an encrypted tape, and how it is written there.

    *offset* counts bytes from the first byte of the magic, or, for ``file``, from the beginning of
    the file and, if negative, from its end.
    """

    offset: Offset
    length: Length
    encoding: Literal["text", "hex", "integer", "integer-le"] = "text"
    relative_to: Literal["magic", "file"] = "magic"


class Signature(Model):
    """The bytes by which an encrypted tape is known; a negative *offset* counts from the end."""

    magic: Magic
    offset: Offset = 0
    key_id: KeyIdField

    @model_validator(mode="after")
    def _fits_into_a_file(self) -> Self:
        magic_end = self.offset + len(self.magic)
        if self.offset < 0 < magic_end:
            raise ValueError(
                f"offset {self.offset} leaves no room for the {len(self.magic)} bytes of the magic"
            )
        field = self.key_id
        start = field.offset + (self.offset if field.relative_to == "magic" else 0)
        from_end = self.offset < 0 if field.relative_to == "magic" else field.offset < 0
        if from_end and start + field.length > 0:
            raise ValueError(f"key_id: its {field.length} bytes reach behind the end of the file")
        if not from_end and start < 0:
            raise ValueError("key_id: it begins before the beginning of the file")
        is_beside = start >= magic_end or start + field.length <= self.offset
        if from_end == (self.offset < 0) and not is_beside:
            raise ValueError("key_id: it overlaps the magic")
        return self


class KeyServerEntry(Model):
    """One key server of this system, asked whether it has a key; so far by a list in a file."""

    file: AbsolutePath


class Encryption(Model):
    """The SecureVTS gate. Without a *signature* it is off.

    *enabled* says whether encryption is enabled on this system, as it must be to use an encrypted
    tape here; *engine_users* are those to whom a tape without its key is refused, and None means
    all but root and the members of ``service.group``.
    """

    signature: Signature | None = None
    enabled: bool = False
    engine_users: Annotated[tuple[UserNumber | UserName, ...], Field(min_length=1)] | None = None
    key_servers: dict[ServerKey, KeyServerEntry] = Field(default_factory=dict)
