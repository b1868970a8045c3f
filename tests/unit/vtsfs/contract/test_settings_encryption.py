from typing import Any

import pytest
from pydantic import ValidationError

from vtsfs.contract.settings_encryption import Encryption, Signature

KEY_ID = {"offset": 16, "length": 8}


def signature(**given: Any) -> Signature:
    return Signature.model_validate({"magic": "SVTS", "key_id": KEY_ID, **given})


def test_nothing_configured_is_a_gate_that_is_off() -> None:
    assert Encryption() == Encryption(
        signature=None, enabled=False, engine_users=None, key_servers={}
    )


@pytest.mark.parametrize(
    ("written", "magic"),
    [("SVTS", b"SVTS"), ("0x53565453", b"SVTS"), ("0x00 ff", b"\0\xff"), ("Ü1", b"\xc3\x9c1")],
)
def test_a_magic_is_text_or_hexadecimal(written: str, magic: bytes) -> None:
    assert signature(magic=written).magic == magic


@pytest.mark.parametrize("written", ["", "S", "0x53", "0x5", "0xZZZZ", 0x53565453, None, "x" * 257])
def test_no_magic(written: object) -> None:
    with pytest.raises(ValidationError):
        signature(magic=written)


@pytest.mark.parametrize(
    ("offset", "key_id"),
    [
        (0, {"offset": 4, "length": 1}),
        (100, {"offset": -8, "length": 8}),
        (100, {"offset": 0, "length": 8, "relative_to": "file"}),
        (-4, {"offset": -8, "length": 8}),
        (-12, {"offset": 4, "length": 8}),
        (0, {"offset": -8, "length": 8, "relative_to": "file"}),
        (-12, {"offset": 0, "length": 8, "relative_to": "file"}),
    ],
)
def test_places_that_a_file_can_have(offset: int, key_id: dict[str, object]) -> None:
    assert signature(offset=offset, key_id=key_id).offset == offset


@pytest.mark.parametrize(
    ("offset", "key_id", "complaint"),
    [
        (-3, KEY_ID, "no room for the 4 bytes"),
        (-12, {"offset": 5, "length": 8}, "behind the end"),
        (0, {"offset": -7, "length": 8, "relative_to": "file"}, "behind the end"),
        (4, {"offset": -5, "length": 1}, "before the beginning"),
        (0, {"offset": 3, "length": 8}, "overlaps the magic"),
        (8, {"offset": -7, "length": 8}, "overlaps the magic"),
        (0, {"offset": 0, "length": 1, "relative_to": "file"}, "overlaps the magic"),
        (-8, {"offset": -8, "length": 1, "relative_to": "file"}, "overlaps the magic"),
        (1.5, KEY_ID, "integer"),
        ("0", KEY_ID, "integer"),
        (True, KEY_ID, "integer"),
        (0, {"offset": 4, "length": 0}, "greater than"),
        (0, {"offset": 4, "length": 257}, "less than"),
        (1 << 63, KEY_ID, "less than"),
    ],
)
def test_places_that_none_has(offset: object, key_id: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        signature(offset=offset, key_id=key_id)


def test_a_signature_names_the_key_id() -> None:
    with pytest.raises(ValidationError, match="key_id"):
        Signature.model_validate({"magic": "SVTS"})


@pytest.mark.parametrize("users", [[], [True], [-1], [(1 << 32) - 1], ["a b"], [""], [1.5], "vts"])
def test_no_engine_users(users: object) -> None:
    with pytest.raises(ValidationError):
        Encryption.model_validate({"engine_users": users})


def test_engine_users_are_names_and_numbers() -> None:
    assert Encryption.model_validate({"engine_users": ["vts", 1001]}).engine_users == ("vts", 1001)
