import shlex
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.ems.shell_assignments import Assignment, Stray, read_assignments


def values(text: str) -> list[str]:
    found, strays = read_assignments(text)
    assert strays == []
    return [assignment.value for assignment in found]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a='YES'", "YES"),
        ("a=YES", "YES"),
        ('a="YES"', "YES"),
        ("a=", ""),
        ("a=''", ""),
        ("  export a='YES'  ", "YES"),
        ("a = 'YES'", "YES"),
        ("a='YES' # why", "YES"),
        ("a=YES# no comment", "YES#"),
        ("a='x y'z\"w v\"", "x yzw v"),
        ("a='it'\\''s'", "it's"),
        ("a=x\\ y", "x y"),
        ('a="say \\"yes\\" \\s"', 'say "yes" \\s'),
        ("a='DEV2 \\\n DEV3'", "DEV2 \\\n DEV3"),
        ('a="DEV2 \\\n DEV3"', "DEV2  DEV3"),
        ("a=DEV2\\\nDEV3", "DEV2DEV3"),
        ("a='DEV2\nDEV3'", "DEV2\nDEV3"),
        ("a='/^Enter Choice>\\s*$/i'\r\n", "/^Enter Choice>\\s*$/i"),
        ("a='#'", "#"),
    ],
)
def test_a_value(text: str, value: str) -> None:
    if text != "a=YES# no comment":
        assert values(text) == [value]
    assert read_assignments(text)[0][0].value == value


def test_lines_are_counted_and_comments_and_blank_lines_are_nothing() -> None:
    text = "# first\n\na='1'; b=2\n\\\n  c='3\n4'\r\n  # x='5'\nd=6"
    found, strays = read_assignments(text)
    assert strays == []
    assert [(a.line, a.name, a.value) for a in found] == [
        (3, "a", "1"),
        (3, "b", "2"),
        (5, "c", "3\n4"),
        (8, "d", "6"),
    ]


def test_names_as_the_original_has_them() -> None:
    text = "ems_login_userprompt_TYPE:TACL=1\nems_vaults_prod-1.example.com=2"
    assert [a.name for a in read_assignments(text)[0]] == [
        "ems_login_userprompt_TYPE:TACL",
        "ems_vaults_prod-1.example.com",
    ]


@pytest.mark.parametrize("text", ["a=$(rm -rf /)", "a=`id`", 'a="$HOME"', "a=$'x'", 'a="${b}"'])
def test_nothing_is_carried_out(text: str) -> None:
    (found,), _ = read_assignments(text)
    assert found.would_change
    assert found.value.startswith(("$", "`"))


@pytest.mark.parametrize("text", ["a='$HOME'", 'a="\\$5"', "a=\\$5", "a='`'"])
def test_what_is_quoted_means_itself(text: str) -> None:
    (found,), _ = read_assignments(text)
    assert not found.would_change


def test_a_forgotten_quote_costs_one_line() -> None:
    text = "a='1\nb='2'\nc=\"3\nd='4\n\ne='5'\nf='6"
    found, strays = read_assignments(text)
    assert [a.name for a in found] == ["b", "e"]
    assert [stray.line for stray in strays] == [1, 3, 4, 7]
    assert all("quotes are not closed" in stray.why for stray in strays)


def test_what_is_no_assignment_is_told_by_its_line() -> None:
    found, strays = read_assignments("if true; then\na='1' b\n'x'\nc=2")
    assert found == [Assignment(2, "a", "1"), Assignment(4, "c", "2")]
    assert [stray.line for stray in strays] == [1, 2, 3]
    assert strays[0] == Stray(1, "is no assignment")


@settings(deadline=None)
@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    read_assignments(text)


@settings(deadline=None)
@given(st.text(st.sampled_from("ab='\"\\\n\r#;$` \t")))
def test_any_text_of_what_matters_can_be_read(text: str) -> None:
    found, strays = read_assignments(text)
    lines = text.replace("\r\n", "\n").count("\n") + 1
    assert all(
        1 <= entry <= lines for entry in [*(a.line for a in found), *(s.line for s in strays)]
    )


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])))
def test_what_a_shell_would_have_quoted_is_read_as_a_shell_reads_it(value: str) -> None:
    assert values(f"a={shlex.quote(value)}") == [value]


def test_a_large_file_takes_little_time() -> None:
    began = time.process_time()
    for line in ("a='\n", 'a="\n', "a='1'\n", "'\n", 'a="\\\n', "a=b c\n", "\\\n", "x" * 99 + "\n"):
        read_assignments(line * 5000)
    read_assignments("a='" + "\n" * 100_000)
    assert time.process_time() - began < 5.0
