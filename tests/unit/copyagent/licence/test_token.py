import base64
import json
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.licence import Terms
from copyagent.licence.token import CONTEXT, MAX_TEXT, decode, encode
from tests.support.licences import TERMS, Issuer
from vtsfs.contract.errors import LicenceInvalid

ISSUER = Issuer()
TEXT = ISSUER.issue()
BEGIN, *BODY, END = TEXT.splitlines()
PAYLOAD = base64.b64decode("".join(BODY))[64:]


def armoured(data: bytes) -> str:
    return f"{BEGIN}\n{base64.b64encode(data).decode()}\n{END}\n"


def signed(payload: bytes) -> str:
    return armoured(ISSUER.key.sign(CONTEXT + payload) + payload)


def refused(text: str, *issuers: str) -> str:
    with pytest.raises(LicenceInvalid) as caught:
        decode(text, issuers or (ISSUER.public,))
    return str(caught.value)


SYSTEMS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,14}", fullmatch=True)
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31))
CUSTOMERS = st.text(
    st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80
)


@given(SYSTEMS, CUSTOMERS, DATES, DATES)
def test_what_was_written_is_read(system: str, customer: str, one: date, other: date) -> None:
    terms = Terms(system, customer, "S-1", min(one, other), max(one, other))
    text = ISSUER.issue(terms)
    assert text.isascii()
    assert len(text) <= MAX_TEXT
    assert decode(text, [ISSUER.public]) == terms


def test_the_form_of_version_1_never_changes() -> None:
    assert PAYLOAD == (
        b'{"customer":"Example Bank","expires":"2026-12-31","feature":"data-replication",'
        b'"issued":"2026-01-01","serial":"2026-0017","system":"TAPESRV1","version":1}'
    )
    assert (BEGIN, END) == (
        "-----BEGIN VTS-AUTOCOPY LICENCE-----",
        "-----END VTS-AUTOCOPY LICENCE-----",
    )


def test_a_mail_may_change_line_ends_and_somebody_may_add_a_remark() -> None:
    mailed = "# for Example Bank\r\n\r\n" + TEXT.replace("\n", " \r\n") + "\n\n# end"
    assert decode(mailed, [ISSUER.public]) == TERMS
    joined = f"{BEGIN}\n{''.join(BODY)}\n{END}"
    assert decode(joined, [ISSUER.public]) == TERMS


def test_any_of_several_issuers() -> None:
    former = Issuer()
    assert decode(TEXT, [former.public, ISSUER.public]) == TERMS
    assert "signature" in refused(TEXT, former.public)


@given(st.integers(0, len(TEXT) - 1), st.characters(max_codepoint=127))
def test_no_character_can_be_changed(at: int, other: str) -> None:
    changed = TEXT[:at] + other + TEXT[at + 1 :]
    try:
        assert decode(changed, [ISSUER.public]) == TERMS
    except LicenceInvalid:
        return
    # Only what has no meaning: blanks round a line, and how long lines are.
    assert "".join(changed.split()) == "".join(TEXT.split())


@given(st.integers(0, len(TEXT)))
def test_a_text_that_was_cut_off_is_none(at: int) -> None:
    if TEXT[at:].strip():
        refused(TEXT[:at])


@given(st.text(max_size=300) | st.binary(max_size=300).map(armoured))
def test_garbage_is_refused_with_a_reason(text: str) -> None:
    assert refused(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
NAMES = st.sampled_from(sorted(json.loads(PAYLOAD)))


@given(NAMES, JSON)
def test_an_issuers_mistake_is_no_licence(name: str, value: object) -> None:
    document = json.loads(PAYLOAD)
    if document[name] == value:
        return
    document[name] = value
    payload = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    try:
        assert decode(signed(payload), [ISSUER.public]) != TERMS
    except LicenceInvalid:
        pass


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (b"", "cut off"),
        (b"{", "no licence"),
        (b"[]", "no licence"),
        (b"[" * 2000, "no licence"),
        (b'{"version":2}', "version 2, and this release knows 1"),
        (b'{"version":true}', "version True"),
        (b'{"version":1}', "no licence: KeyError"),
        (b'{"version": 1}', "only form"),
        (b'{"version":1,"version":1}', "only form"),
    ],
)
def test_what_was_signed_and_is_no_licence(payload: bytes, said: str) -> None:
    assert said in refused(signed(payload))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (replace(TERMS, expires=date(2025, 1, 1)), "before it was issued"),
        (replace(TERMS, system=""), "its system"),
        (replace(TERMS, system="A NAME"), "its system"),
        (replace(TERMS, customer="two\nlines"), "its customer"),
        (replace(TERMS, customer="x" * 81), "its customer"),
        (replace(TERMS, serial="a b"), "its serial"),
        (replace(TERMS, feature="Everything"), "its feature"),
    ],
)
def test_nobody_can_issue_what_nobody_could_read(wrong: Terms, said: str) -> None:
    with pytest.raises(LicenceInvalid, match=said):
        encode(wrong, ISSUER.key.sign)


def test_a_signature_for_something_else_is_none() -> None:
    assert "signature" in refused(armoured(ISSUER.key.sign(PAYLOAD) + PAYLOAD))


def test_a_build_without_or_with_wrong_issuers() -> None:
    with pytest.raises(LicenceInvalid, match="knows no issuer"):
        decode(TEXT, [])
    for issuer in ("", "!", "AAAA", "\u00e4"):
        assert "no Ed25519 key" in refused(TEXT, issuer)


def test_a_text_that_is_too_long() -> None:
    assert str(MAX_TEXT) in refused(TEXT + "#" * MAX_TEXT)
