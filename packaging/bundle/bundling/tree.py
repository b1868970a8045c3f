"""The tree itself: interpreter, packages, programs and launchers, the same bytes every time."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
from pathlib import Path

from bundling.launchers import COMMANDS, launcher
from bundling.lock import BundleError
from bundling.wheels import PYTHON

#: Where the tree will lie; tracebacks name its files by that, wherever it was made.
INSTALLED = "/usr/lib/vts-autocopy"
#: What of the working tree goes into site-packages.
PACKAGES = ("vtsfs", "copyagent")

#: Folders of tests, which nobody runs on an appliance.
_TESTS = {"tests", "_tests", "test"}
#: Sources and declarations for those who compile, and notes for those who develop.
_SOURCES = {".c", ".cpp", ".h", ".hpp", ".pxd", ".pxi", ".pyi", ".pyx"}
_VERSION_LINE = re.compile(r'^__version__ = "[^"]*"$', re.MULTILINE)


def site_packages(tree: Path) -> Path:
    """Return where the packages of *tree* lie."""
    return tree / "lib" / f"python{PYTHON}" / "site-packages"


def copy_runtime(runtime: Path, tree: Path) -> None:
    """Copy the interpreter and its library into the new directory *tree*, and nothing else."""
    python = runtime / "prefix" / "bin" / f"python{PYTHON}"
    library = runtime / "prefix" / "lib" / f"python{PYTHON}"
    if not python.is_file() or not library.is_dir():
        raise BundleError(f"{runtime} has no prefix with Python {PYTHON}: build the runtime anew")
    (tree / "bin").mkdir(parents=True)
    shutil.copyfile(python, tree / "bin" / python.name)
    left_out = shutil.ignore_patterns("__pycache__", "site-packages", "lib2to3")
    shutil.copytree(library, tree / "lib" / library.name, symlinks=True, ignore=left_out)
    site_packages(tree).mkdir()


def copy_programs(repository: Path, commit: str, tree: Path) -> None:
    """Put our own packages into *tree* as *commit* has them, without notes for developers."""
    with tempfile.TemporaryFile() as file:
        subprocess.run(
            ["git", "-C", str(repository), "archive", commit, "--", *PACKAGES, ":(exclude)*.md"],
            stdout=file,
            check=True,
        )
        file.seek(0)
        unpack = ["tar", "--no-same-owner", "-x", "-C", str(site_packages(tree))]
        subprocess.run(unpack, stdin=file, check=True)


def set_version(tree: Path, version: str) -> None:
    """Write the release, which is *version* without its revision, into our programs."""
    release = version.rpartition("-")[0] or version
    path = site_packages(tree) / "vtsfs" / "__init__.py"
    text, found = _VERSION_LINE.subn(f'__version__ = "{release}"', path.read_text("utf-8"))
    if found != 1:
        raise BundleError(f"{path} has no line with the version: it cannot be set to {release}")
    path.write_text(text, encoding="utf-8")


def prune(site: Path) -> None:
    """Remove tests, and sources of what is compiled, of foreign packages in *site*."""
    ours = {site / name for name in PACKAGES}
    for path in sorted(site.rglob("*")):
        if ours & {path, *path.parents} or not path.exists():
            continue
        if path.is_dir() and path.name in _TESTS:
            shutil.rmtree(path)
        elif path.is_file() and path.suffix in _SOURCES:
            path.unlink()


def write_launchers(tree: Path) -> None:
    """Write the commands into ``bin``."""
    for command, module in COMMANDS.items():
        text = launcher(module, f"python{PYTHON}")
        (tree / "bin" / command).write_text(text, encoding="ascii")


def write_byte_code(tree: Path, version: str, *folders: Path) -> None:
    """Compile every module in *folders*, by the tree's own interpreter, so that none ever is later.

    With unchecked hashes (PEP 552) no date and no look at the source is needed at a start.
    """
    for cached in [path for folder in folders for path in sorted(folder.rglob("__pycache__"))]:
        shutil.rmtree(cached)
    ended = subprocess.run(
        [
            *(str(tree / "bin" / f"python{PYTHON}"), "-I", "-B", "-m", "compileall", "-q", "-j1"),
            *("--invalidation-mode", "unchecked-hash", "-s", str(tree)),
            *("-p", f"{INSTALLED}/{version}", *map(str, folders)),
        ],
        env={"LC_ALL": "C", "PATH": os.environ["PATH"], "TZ": "UTC"},
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BundleError(f"{ended.stdout}{ended.stderr}\nnot every module could be compiled")


def drop_empty(tree: Path) -> None:
    """Remove directories in which nothing is left."""
    for path in sorted(tree.rglob("*"), reverse=True):
        if path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
            path.rmdir()


def settle(tree: Path, epoch: int) -> None:
    """Give every file the same owner's rights and date, whatever umask and hour it was made in."""
    for path in [*sorted(tree.rglob("*"), reverse=True), tree]:
        if not path.is_symlink():
            runs = path.is_dir() or path.parent == tree / "bin"
            path.chmod(0o755 if runs else 0o644)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def is_executable(path: Path) -> bool:
    """Tell whether anybody may run *path*."""
    return bool(path.stat().st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH))
