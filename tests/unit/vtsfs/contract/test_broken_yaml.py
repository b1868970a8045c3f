"""A settings file that is no YAML."""

import pytest

from tests.support.example_settings import EXAMPLE
from vtsfs.contract.settings import examine_settings


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("autocopy:\n  - pool: /VAULT00/BILL\n- pool: /VAULT00/PAY\n", "expected <block end>"),
        ("retry: {attempts: 3\n", "expected ',' or '}'"),
        ("\tretry: {}\n", "found character"),
        ("retry: {}\nretry: {}\n", ""),
    ],
)
def test_what_is_still_yaml_finds_the_agent(broken: str, told: str) -> None:
    text = "system: {name: TAPESRV1}\npaths: {run: /srv/run}\nvaults: {V: {backing: /b, mountpoint: /m}}\n"
    settings, problems = examine_settings(text + broken, "file")
    assert settings is not None
    assert str(settings.paths.run) == "/srv/run"
    assert len(problems) == 1
    assert problems[0].startswith("file: not YAML: ")
    assert told in problems[0]
    assert "line " in problems[0]
    assert "<unicode string>" not in problems[0]


def test_the_line_is_the_one_where_it_breaks() -> None:
    _, problems = examine_settings("system: {name: A}\nvaults:\n  V: 1\n- x\n", "file")
    told = "not YAML: line 4, column 1: expected <block end>, but found '-'"
    assert problems == (f"file: {told} (while parsing a block mapping that begins on line 1)",)


@pytest.mark.parametrize("text", ["a: [", "\0", "[" * 100_000, "", f"{EXAMPLE}\n\0"])
def test_of_what_says_nothing_nothing_is_made(text: str) -> None:
    settings, problems = examine_settings(text, "file")
    assert settings is None
    assert problems
