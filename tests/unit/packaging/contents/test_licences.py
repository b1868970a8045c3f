"""One expression for all terms, as RPM wants it; and Debian's copyright file from the same list."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.program_file import program

licences = program("packaging/contents/licences.py")
copyrights = program("packaging/debian/copyright.py")


def component(name: str, terms: str, *texts: str, within: tuple[Any, ...] = ()) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1.0",
        "licenses": [{"expression": terms}],
        "properties": [{"name": "vts-autocopy:licence-text", "value": text} for text in texts],
        "components": list(within),
    }


def bill(*components: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"component": component("us", "Apache-2.0")},
        "components": list(components),
    }


def test_each_term_stands_once_and_choices_in_parentheses() -> None:
    inner = component("inner", "MIT OR Apache-2.0")
    found = licences.expressions(
        bill(component("outer", "MIT", within=(inner,)), component("z", "MIT"))
    )
    assert licences.combined(found) == "Apache-2.0 AND MIT AND (MIT OR Apache-2.0)"


def test_what_has_no_licence_is_an_error() -> None:
    with pytest.raises(ValueError, match="bare has no licence"):
        licences.expressions(bill({"name": "bare"}))


def test_a_paragraph_for_each_and_each_text_once(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "lib/python3.13/site-packages/some_thing").mkdir(parents=True)
    (tree / "MIT").write_text(
        "MIT License\n\nCopyright (c) 2020 Somebody\n\nPermission is granted\n"
    )
    inner = component("inner", "MIT", "MIT")
    said = "\n\n".join(
        copyrights.paragraphs(
            bill(component("some-thing", "MIT OR X", "MIT", within=(inner,))), tree, "usr/lib/v"
        )
    )
    assert said.count("Permission is granted") == 1
    assert (
        "Files: usr/lib/v/lib/python3.13/site-packages/some_thing/* usr/lib/v/licences/some" in said
    )
    assert "Comment: inner 1.0, within some-thing" in said
    assert said.count("Copyright: Copyright (c) 2020 Somebody") == 2
    assert "\nLicense: MIT or X (some-thing)\n MIT License\n .\n" in said


def test_a_component_without_a_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="bare has no licence text"):
        list(copyrights.paragraphs(bill(component("bare", "MIT")), tmp_path, "usr/lib/v"))


def test_the_apache_licence_is_where_debian_has_it() -> None:
    text = "Apache License\n Version 2.0, January 2004\n long\n END OF TERMS AND CONDITIONS\nrest"
    assert "common-licenses/Apache-2.0" in copyrights.shortened(text)
    assert "long" not in copyrights.shortened(text)
    assert copyrights.shortened("MIT") == "MIT"


@pytest.mark.parametrize(
    ("text", "holders"),
    [
        ("  Copyright (c) 2001, 2002 A Person. *", ["Copyright (c) 2001, 2002 A Person."]),
        ("Copyright [yyyy] [name of copyright owner]", []),
        ("the copyright notice of 2004 must stay", []),
        ("Copyright 1999 A\nCopyright 1999 A\n© is no line", ["Copyright 1999 A"]),
    ],
)
def test_holders(text: str, holders: list[str]) -> None:
    assert copyrights.holders([text]) == holders
