import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.ems.secret import NOT_SHOWN, PIECE, Secret

PASSWORD = "s3cret-Pass"

ECHOES = {
    "as it is": PASSWORD,
    "in capitals": PASSWORD.upper(),
    "cut off": PASSWORD[:PIECE],
    "the end of it": PASSWORD[-PIECE:],
    "wrapped": "s3cre\r\nt-Pass",
    "wrapped narrowly": "\r\n".join(PASSWORD),
    "wrapped with an indent": "s3cret\n        -Pass",
    "with NULs": "\0".join(PASSWORD),
    "with backspaces": "".join(f"{c}\b*\b" for c in PASSWORD),
    "overprinted": "".join(f"{c}\bX" for c in PASSWORD),
    "with colours": "".join(f"\x1b[1;31m{c}\x1b[0m" for c in PASSWORD),
    "with 8-bit control sequences": "".join(f"\x9b7m{c}" for c in PASSWORD),
    "in a window's title": f"\x1b]0;{PASSWORD}\x07",
    "behind a window's title": "".join(f"\x1b]0;title\x1b\\{c}" for c in PASSWORD),
    "spaced out": " ".join(PASSWORD),
    "with dots": ".".join(PASSWORD),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
def test_an_echo_is_not_shown_and_what_stands_around_is(echo: str) -> None:
    text = f"*ERROR* one\n{echo}\nTACL 2> "
    shown = Secret(PASSWORD).redact(text)
    assert shown.split("\n")[0] == "*ERROR* one"
    assert shown.split("\n")[-1] == "TACL 2> "
    middle = shown.split("\n")[1:-1]
    assert set(middle) == {NOT_SHOWN}
    assert shown.count("\n") == text.count("\n")


@pytest.mark.parametrize(
    "password", [".*", "a+b(c", "[", "\\", "^$|?", "x", "ß", "Größe-7", "ÄÖÜß", "\xff\xfe\xfd\xfc"]
)
def test_any_characters_may_be_in_it(password: str) -> None:
    secret = Secret(password)
    forms = (password, password.upper(), password.lower(), password.casefold())
    as_utf_8 = password.encode().decode("latin-1")
    for form in (*forms, as_utf_8):
        assert secret.redact(f"hm\n{form}\n~") == f"hm\n{NOT_SHOWN}\n~"


def test_a_short_or_common_password_hides_much_and_tells_nothing() -> None:
    assert Secret("e").redact("Welcome\nto you\n12> ") == f"{NOT_SHOWN}\nto you\n12> "


PHRASES = "*ERROR* Invalid username or password\nPassword expired\nEnter new password: "


@pytest.mark.parametrize("password", ["password", "Pass4word", "word-Pass", "user.Name", "expired"])
def test_a_hosts_own_phrases_tell_nothing_and_are_shown(password: str) -> None:
    shown = Secret(password).redact(f"{PHRASES}\n{password}\nInvalid {password}")
    assert shown == f"{PHRASES}\n{NOT_SHOWN}\n{NOT_SHOWN}"


def test_what_has_nothing_to_do_with_it_is_left_alone() -> None:
    text = "*ERROR* Invalid username\r\n\x1b[1mTACL 2>\0 "
    assert Secret("Tape.4Two").redact(text) == text
    assert Secret("").redact(text) == text
    assert Secret("   ").redact(text) == text


def test_it_shows_nowhere() -> None:
    secret = Secret(PASSWORD)
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), repr({"a": secret})):
        assert PASSWORD not in shown
    assert not hasattr(secret, "__dict__")
    assert secret == Secret(PASSWORD) != Secret("other")
    assert len({secret, Secret(PASSWORD)}) == 1
    assert secret
    assert not Secret("")


PASSWORDS = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_categories=["Cc", "Cf", "Zs"]),
    min_size=1,
    max_size=24,
)


@settings(deadline=None)
@given(PASSWORDS, st.data())
def test_no_piece_of_a_password_is_left(password: str, data: st.DataObject) -> None:
    noise = st.text(st.sampled_from("\r\n\0\b \t\x1b"), max_size=3)
    size = min(PIECE, len(password))
    start = data.draw(st.integers(0, len(password) - size))
    end = data.draw(st.integers(start + size, len(password)))
    echo = "".join(c + data.draw(noise) for c in password[start:end])
    text = data.draw(st.text(max_size=20)) + echo + data.draw(st.text(max_size=20))
    shown = Secret(password).redact(text)
    for line in shown.split("\n"):
        read = "".join(line.split()).translate(dict.fromkeys((0, 8, 27)))
        for at in range(len(password) - size + 1):
            assert line == NOT_SHOWN or password[at : at + size] not in read
    assert NOT_SHOWN in shown


def test_much_text_takes_little_time() -> None:
    secret = Secret("x" * 128)
    began = time.process_time()
    for text in (
        "y" * 65536,
        "\x1b" * 65536,
        "\x1b]" * 32768,
        "\x9b" * 65536,
        "\x9d" * 65536,
        "x \x1b[" * 16384,
    ):
        secret.redact(text)
    assert time.process_time() - began < 5.0
