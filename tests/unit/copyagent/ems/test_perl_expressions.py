import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.ems.perl_expressions import python_expression


@pytest.mark.parametrize(
    ("perl", "python"),
    [
        (r"/^Enter Choice>\s*$/i", r"(?i)^Enter Choice>\s*$"),
        (r"/TACL 1>\s*$/", r"TACL 1>\s*$"),
        (r"login:\s*$", r"login:\s*$"),
        (r"m/login/", "login"),
        (r"m{^\{login\}$}x", r"(?x)^\{login\}$"),
        (r"qr/login/gim", r"(?im)login"),
        (r"/a\/b/", r"a\/b"),
        (r"/a\Z/", r"a(?=\n?\Z)"),
        (r"/a\z/", r"a\Z"),
        (r"/a\h+/", r"a[ \t]+"),
        (r"/[\h:]/", r"[ \t:]"),
        (r"/(?<n>a)\k<n>/", r"(?P<n>a)(?P=n)"),
        (r"/(a)\g1\g{1}/", r"(a)(?:\1)(?:\1)"),
        (r"/[[:alpha:]_]/", r"[A-Za-z_]"),
        (r"/\Q1.5*\E>/", r"1\.5\*>"),
        (r"/\x{41}\x42\e/", r"\x41\x42\x1b"),
        (r"/[]a[&]/", r"[\]a\[\&]"),
        (r"menu>", "menu>"),
    ],
)
def test_what_perl_means(perl: str, python: str) -> None:
    assert python_expression(perl) == python


@pytest.mark.parametrize(
    ("perl", "reason"),
    [
        ("/a", "begins with /"),
        ("/a/q", "flag that Python has not: q"),
        (r"/\p{Lu}/", r"\\p"),
        (r"/a\K/", r"\\K"),
        (r"/${host}>/", "variable"),
        (r"/$host>/", "variable"),
        (r"/(?{ system('x') })/", "program"),
        (r"/(a/", "no meaning in Python"),
        (r"/(?R)/", "no meaning in Python"),
        (r"/[a--b]/", "--"),
        (r"/[[:^alpha:]]/", "alpha"),
        (r"/[[:punct:]]/", "punct"),
        (r"/[a/", "not closed"),
        ("/a\\/", "begins with|no meaning"),
    ],
)
def test_what_has_no_meaning_here_is_refused(perl: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        python_expression(perl)


def test_a_dollar_is_the_end_as_it_is_in_perl() -> None:
    for text in ("1>", "1>\n"):
        assert re.search(python_expression("/>$/"), text)
        assert re.search(python_expression(r"/>\Z/"), text)
    assert not re.search(python_expression(r"/>\z/"), "1>\n")


PIECES = st.sampled_from([*r"\/[](){}$^*+?|.:<>-", *"abQEGKxZz19&~ mi", "[:", ":]", "(?<", "(?"])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=20).map("".join))
def test_whatever_stands_there_there_is_an_expression_or_a_reason(perl: str) -> None:
    try:
        found = python_expression(perl)
    except ValueError:
        return
    re.compile(found)
