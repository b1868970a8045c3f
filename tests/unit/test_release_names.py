"""The release has one number, wherever it is said, and the one before it is what it is said to be."""

import re
import subprocess
import tomllib

import pytest

import vtsfs
from tests.support import former_release
from tests.support.nonstop import TREE

NUMBER = re.compile(r"\d+\.\d+\.\d+")


def test_the_source_says_it_and_the_package_takes_it_from_there() -> None:
    assert NUMBER.fullmatch(vtsfs.__version__)
    project = tomllib.loads((TREE / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "vtsfs.__version__"}


def test_the_changes_begin_with_it_and_know_the_one_before() -> None:
    text = (TREE / "CHANGELOG.md").read_text(encoding="utf-8")
    named = re.findall(r"^## (\S+)$", text, re.MULTILINE)
    assert [name for name in named if name != "Unreleased"][:2] == [
        vtsfs.__version__,
        former_release.VERSION,
    ]


@pytest.mark.history
def test_the_commit_of_the_one_before_says_so_itself() -> None:
    place = f"{former_release.COMMIT}:vtsfs/__init__.py"
    command = ["git", "-c", f"safe.directory={TREE}", "show", place]
    told = subprocess.run(command, cwd=TREE, capture_output=True, text=True, check=True).stdout
    assert f'__version__ = "{former_release.VERSION}"' in told


def test_a_tree_without_history_is_told_as_such() -> None:
    why = former_release.why_no_history("0" * 40)
    assert why == "this is no clone with commit 0000000 (0.1.0) in its history"
