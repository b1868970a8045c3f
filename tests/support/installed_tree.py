"""A version as a package installs it: a directory of its own with interpreter, libraries and programs.

The interpreter's own library stays Python's; everything else of the tree is in it, and in it alone.
"""

import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.utils import canonicalize_name

from tests.support.nonstop import TREE

PROGRAMS = ("vtsfs", "copyagent")


def install_tree(versions: Path, name: str) -> Path:
    """Make the version *name* below *versions*, have ``current`` lead to it, return its directory."""
    tree = versions / name
    make = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(tree)]
    subprocess.run(make, check=True, capture_output=True)
    (packages,) = (tree / "lib").glob("python3.*/site-packages")
    for distribution in closure("vts-autocopy"):
        _lay(distribution, packages)
    for program in PROGRAMS:
        shutil.copytree(TREE / program, packages / program)
    (versions / "current").symlink_to(name)
    return tree


def interpreter(tree: Path) -> str:
    """Return the interpreter of the version in *tree*."""
    return str(tree / "bin" / "python")


def closure(name: str) -> list[metadata.Distribution]:
    """Return what the distribution *name* needs of others when it runs, and what those need."""
    found: dict[str, metadata.Distribution] = {}
    waiting = [name]
    while waiting:
        for text in metadata.distribution(waiting.pop()).requires or ():
            needed = canonicalize_name(re.split(r"[^\w.-]", text, maxsplit=1)[0])
            marker = text.partition(";")[2]
            if "extra" in marker or needed in found:
                continue
            try:
                found[needed] = metadata.distribution(needed)
            except metadata.PackageNotFoundError:
                continue  # wanted on other systems alone, as its marker says
            waiting.append(needed)
    return list(found.values())


def _lay(distribution: metadata.Distribution, packages: Path) -> None:
    """Link each file, or copy it where that is another disk."""
    for file in distribution.files or ():
        source = Path(str(file.locate()))
        if ".." in file.parts or not source.exists():
            continue
        target = packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copy2(source, target)
