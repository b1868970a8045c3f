"""The tree's own parts: launchers, the version, what is left out, and rights and dates."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundling.launchers import launcher
from bundling.lock import BundleError
from bundling.tree import (
    copy_runtime,
    drop_empty,
    prune,
    set_version,
    settle,
    site_packages,
    write_byte_code,
    write_launchers,
)


def test_a_launcher_keeps_to_the_version_that_it_was_started_from(tmp_path: Path) -> None:
    old, new = tmp_path / "0.2.0-1", tmp_path / "0.2.1-1"
    for tree in (old, new):
        (tree / "bin").mkdir(parents=True)
        write_launchers(tree)
        python = tree / "bin" / "python3.13"
        python.write_text(f'#!/bin/sh\necho "{tree.name} $*"\n')
        settle(tree, 0)
    current = tmp_path / "current"
    current.symlink_to(old.name)
    command = tmp_path / "copyagent"
    command.symlink_to("current/bin/copyagent")
    told = subprocess.run([command, "a b"], capture_output=True, text=True, check=True).stdout
    assert told == "0.2.0-1 -I -B -m copyagent a b\n"
    current.unlink()
    current.symlink_to(new.name)
    told = subprocess.run([command], capture_output=True, text=True, check=True).stdout
    assert told == "0.2.1-1 -I -B -m copyagent\n"


@pytest.mark.skipif(shutil.which("dash") is None, reason="there is no dash")
def test_the_launcher_is_plain_shell() -> None:
    text = launcher("vtsfs", "python3.13")
    assert text.startswith("#!/bin/sh\n")
    subprocess.run(["dash", "-n"], input=text, text=True, check=True)


@pytest.mark.parametrize(("version", "release"), [("0.2.1-1", "0.2.1"), ("0.3.0", "0.3.0")])
def test_the_version_is_the_packages(tmp_path: Path, version: str, release: str) -> None:
    path = site_packages(tmp_path) / "vtsfs" / "__init__.py"
    path.parent.mkdir(parents=True)
    path.write_text('"""The overlay."""\n\n__version__ = "0.2.0"\n')
    set_version(tmp_path, version)
    assert path.read_text() == f'"""The overlay."""\n\n__version__ = "{release}"\n'
    path.write_text("")
    with pytest.raises(BundleError, match="no line with the version"):
        set_version(tmp_path, version)


def test_a_runtime_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"no prefix with Python 3\.13"):
        copy_runtime(tmp_path, tmp_path / "tree")


def test_tests_and_sources_of_others_are_left_out_and_ours_are_whole(tmp_path: Path) -> None:
    for name in (
        *("trio/_tests/x.py", "trio/testing/x.py", "trio/x.pyi", "cffi/a.h", "a/b.c", "a/b.py"),
        *("vtsfs/tests/x.py", "copyagent/DESIGN.md"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    prune(tmp_path)
    drop_empty(tmp_path)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == [
        "a/b.py",
        "copyagent/DESIGN.md",
        "trio/testing/x.py",
        "vtsfs/tests/x.py",
    ]
    assert not (tmp_path / "cffi").exists()


def test_rights_and_dates_do_not_depend_on_who_builds(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "lib").mkdir()
    for name in ("bin/vtsfs", "lib/x.py"):
        (tree / name).touch(0o600)
    (tree / "link").symlink_to("lib/x.py")
    settle(tree, 1_700_000_000)
    assert {path.lstat().st_mtime for path in [tree, *tree.rglob("*")]} == {1_700_000_000.0}
    modes = {str(p.relative_to(tree)): p.stat().st_mode & 0o777 for p in sorted(tree.rglob("*"))}
    assert modes == {
        "bin": 0o755,
        "bin/vtsfs": 0o755,
        "lib": 0o755,
        "lib/x.py": 0o644,
        "link": 0o644,
    }


def test_byte_code_is_made_by_the_trees_own_interpreter_and_names_the_installed_place(
    tmp_path: Path,
) -> None:
    """The interpreter of the tests stands in for the tree's."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3.13").symlink_to(sys.executable)
    module = tmp_path / "lib" / "module.py"
    module.parent.mkdir()
    module.write_text("def f():\n    raise ValueError\n")
    write_byte_code(tmp_path, "0.2.0-1", tmp_path / "lib")
    (code,) = (tmp_path / "lib" / "__pycache__").iterdir()
    data = code.read_bytes()
    assert b"/usr/lib/vts-autocopy/0.2.0-1/lib/module.py" in data
    assert os.fsencode(tmp_path) not in data
    first = data
    write_byte_code(tmp_path, "0.2.0-1", tmp_path / "lib")
    assert code.read_bytes() == first
    module.write_text("def f(:\n")
    with pytest.raises(BundleError, match=r"module\.py"):
        write_byte_code(tmp_path, "0.2.0-1", tmp_path / "lib")
