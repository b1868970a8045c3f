"""The bill of materials is compared with the tree, both ways, and with what its binaries say."""

import json
from pathlib import Path
from typing import Any

import pytest

from bundling.bill import bill, described
from bundling.components import Component
from bundling.stock import problems

TEXTS = ("licences/blake3/LICENSE",)
CRATE = Component("hex", "0.4.3", "MIT", texts=("licences/standard/MIT.txt",))
GOOD = Component(
    "blake3", "1.0.11", "CC0-1.0", purl="pkg:pypi/blake3@1.0.11", texts=TEXTS, inside=(CRATE,)
)


def tree_with(directory: Path, *components: Component) -> Path:
    """Make a tree in which blake3 is bundled, and whose bill lists *components*."""
    site = directory / "lib" / "python3.13" / "site-packages"
    (site / "blake3-1.0.11.dist-info").mkdir(parents=True)
    for text in (*TEXTS, "licences/standard/MIT.txt"):
        (directory / text).parent.mkdir(parents=True, exist_ok=True)
        (directory / text).write_text("Do what you like.\n")
    told = bill("0.2.0-1", "abc", 1, described(components))
    (directory / "sbom.json").write_text(json.dumps(told))
    python = directory / "bin" / "python3.13"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 4.0.3\n")
    python.chmod(0o755)
    return directory


def changed(**keys: Any) -> Component:
    return Component(**{**{name: getattr(GOOD, name) for name in GOOD.__slots__}, **keys})


def test_a_bill_as_it_should_be(tmp_path: Path) -> None:
    assert list(problems(tree_with(tmp_path, GOOD))) == []


def test_what_is_bundled_and_not_listed_and_the_reverse(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, changed(version="1.0.12"))
    assert list(problems(tree)) == [
        "blake3 1.0.11 is bundled and not in sbom.json",
        "blake3 1.0.12 is in sbom.json and not bundled",
    ]


def test_a_component_without_a_text_of_its_licence(tmp_path: Path) -> None:
    crate = Component("hex", "0.4.3", "MIT")
    tree = tree_with(tmp_path, changed(inside=(crate,)))
    assert list(problems(tree)) == ["blake3@1.0.11/hex@0.4.3: has no text of its licence"]


def test_a_text_that_is_not_in_the_tree(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, GOOD)
    (tree / TEXTS[0]).write_text("")
    (tree / "licences" / "standard" / "MIT.txt").unlink()
    assert list(problems(tree)) == [
        "blake3@1.0.11: its licence licences/blake3/LICENSE is not in the tree",
        "blake3@1.0.11/hex@0.4.3: its licence licences/standard/MIT.txt is not in the tree",
    ]


@pytest.mark.parametrize(("version", "wrong"), [("4.0.3", 0), ("4.0.2", 1)])
def test_a_version_that_the_tree_itself_tells(tmp_path: Path, version: str, wrong: int) -> None:
    openssl = Component("openssl", version, "MIT", texts=TEXTS, witness="whatever")
    found = list(problems(tree_with(tmp_path, changed(inside=(openssl,)))))
    assert len(found) == wrong
    assert all("the tree says that its version is 4.0.3" in problem for problem in found)


def test_no_bill_at_all(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path)
    assert problem.startswith("sbom.json: cannot be read")
