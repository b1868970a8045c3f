"""Expressions of SPDX are understood, and a text is found for each, or it is said that none is."""

from pathlib import Path

import pytest

from bundling.components import Component, with_texts
from bundling.licences import alternatives, shared_texts, spdx, take_shared, take_texts
from bundling.lock import BundleError

HERE = Path(__file__).parents[4] / "packaging" / "bundle"


@pytest.mark.parametrize(
    ("expression", "sets"),
    [
        ("MIT", [{"MIT"}]),
        ("MIT OR Apache-2.0", [{"MIT"}, {"Apache-2.0"}]),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", [{"MIT", "Unicode-3.0"}, {"Apache-2.0", "Unicode-3.0"}]),
        ("MIT AND Zlib OR ISC", [{"MIT", "Zlib"}, {"ISC"}]),
        ("Apache-2.0 WITH LLVM-exception OR MIT", [{"Apache-2.0 WITH LLVM-exception"}, {"MIT"}]),
    ],
)  # fmt: skip
def test_an_expression_is_a_choice_of_sets(expression: str, sets: list[set[str]]) -> None:
    assert alternatives(expression) == sets


@pytest.mark.parametrize("expression", ["MIT OR", "(MIT", "MIT)", ""])
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(BundleError, match="SPDX expression"):
        alternatives(expression)


def test_a_licence_is_written_as_spdx_does_or_it_is_said_where_to_write_it() -> None:
    assert spdx("mit or apache-2.0", "x") == "MIT OR Apache-2.0"
    assert spdx("blessing", "sqlite") == "blessing"
    with pytest.raises(BundleError, match=r"x: .*components\.yaml"):
        spdx("MIT -or- Apache License 2.0", "x")


def test_the_first_choice_of_which_all_texts_are_there() -> None:
    assert shared_texts("GPL-2.0-only OR MIT", {"MIT", "Zlib"}) == ("MIT",)
    assert shared_texts("(ISC OR MIT) AND Zlib", {"MIT", "Zlib"}) == ("MIT", "Zlib")
    assert shared_texts("ISC", {"MIT"}) is None


def test_a_component_without_a_text_is_not_bundled() -> None:
    inner = Component("ring", "1", "ISC")
    outer = Component("x", "1", "MIT", texts=("licences/x/LICENSE",), inside=(inner,))
    with pytest.raises(BundleError, match="ring: there is no text of ISC"):
        with_texts(outer, {"MIT": "licences/standard/MIT.txt"})
    shared = {"ISC": "licences/standard/ISC.txt"}
    assert with_texts(outer, shared).inside[0].texts == ("licences/standard/ISC.txt",)


def test_texts_are_found_under_their_usual_names(tmp_path: Path) -> None:
    info = tmp_path / "x-1.dist-info"
    (info / "licenses" / "vendored").mkdir(parents=True)
    for name in ("LICENSE", "COPYING.LESSER", "METADATA", "licenses/vendored/NOTICE"):
        (info / name).write_text(name)
    tree = tmp_path / "tree"
    assert take_texts(info, tree, "x") == (
        "licences/x/COPYING.LESSER",
        "licences/x/LICENSE",
        "licences/x/vendored/NOTICE",
    )
    assert (tree / "licences/x/vendored/NOTICE").read_text() == "licenses/vendored/NOTICE"


def test_the_shared_texts_are_whole(tmp_path: Path) -> None:
    shared = take_shared(HERE / "standard-licences", tmp_path, HERE.parents[1] / "LICENSE")
    assert {"Apache-2.0", "MIT", "BSD-3-Clause", "Unicode-3.0", "Zlib"} <= shared.keys()
    assert all(len((tmp_path / place).read_text()) > 800 for place in shared.values())
