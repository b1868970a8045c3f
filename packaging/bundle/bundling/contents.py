"""What must not be in a tree: traces of who built it, and what would change or run unasked."""

import _imp
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

#: How a byte-code file begins that is taken without a look at its source (PEP 552).
_UNCHECKED = 0b01
_HEADER = 16

#: What tells how a distribution was installed; it differs from build to build or misleads pip.
_RECORDS = {"RECORD", "RECORD.jws", "INSTALLER", "REQUESTED", "direct_url.json"}
#: Of no use without a compiler, or, as .pth, run at every start.
_SUFFIXES = {".a", ".la", ".pth", ".pyo", ".egg-link"}


def traces(tree: Path, forbidden: Iterable[str]) -> Iterator[str]:
    """Tell which files hold one of the *forbidden* texts: paths and names of the building machine.

    A text counts as a whole path or word only: what is built in ``/src`` need not say so anywhere.
    """
    patterns = {text: _as_pattern(text) for text in sorted(set(forbidden)) if len(text) > 3}
    for path in _files(tree):
        data = path.read_bytes()
        for text, pattern in patterns.items():
            if pattern.search(data):
                yield f"{path.relative_to(tree)}: holds {text!r}"


def _as_pattern(text: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?<![\w./-])" + re.escape(os.fsencode(text)) + rb"(?![\w-])")


def byte_code(tree: Path) -> Iterator[str]:
    """Tell which modules have no byte-code, or one that a start would look at twice or write anew."""
    for path in _files(tree):
        place = path.relative_to(tree)
        if path.suffix == ".py" and not Path(cached(path)).is_file():
            yield f"{place}: has no byte-code"
        elif path.suffix == ".pyc":
            yield from _problems_of_code(path, place)


def cached(source: Path) -> str:
    """Return where the tree's interpreter looks for the byte-code of *source*."""
    return str(source.parent / "__pycache__" / f"{source.stem}.cpython-313.pyc")


def _problems_of_code(path: Path, place: Path) -> Iterator[str]:
    source = path.parent.parent / f"{path.name.partition('.')[0]}.py"
    if path.parent.name != "__pycache__" or not source.is_file():
        yield f"{place}: byte-code without a source"
        return
    head = path.read_bytes()[:_HEADER]
    if int.from_bytes(head[4:8], "little") != _UNCHECKED:
        yield f"{place}: byte-code goes by its source's date, or is compared with it"
    elif head[8:16] != _imp.source_hash(int.from_bytes(head[:4], "little"), source.read_bytes()):
        yield f"{place}: byte-code of another source"


def records(tree: Path) -> Iterator[str]:
    """Tell of files that say how, where or when something was installed, or that would run unasked."""
    for path in _files(tree):
        in_metadata = path.parent.name.endswith(".dist-info")
        if (in_metadata and path.name in _RECORDS) or path.suffix in _SUFFIXES:
            yield f"{path.relative_to(tree)}: does not belong into the tree"


def rights(tree: Path) -> Iterator[str]:
    """Tell of files that others may change or that lend rights, and of links that lead out."""
    for path in [tree, *sorted(tree.rglob("*"))]:
        place = path.relative_to(tree)
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            if not path.resolve().is_relative_to(tree.resolve()) or path.readlink().is_absolute():
                yield f"{place}: leads to {path.readlink()}"
        elif not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
            yield f"{place}: is neither a file nor a directory"
        elif status.st_mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX | 0o022):
            yield f"{place}: has mode {stat.S_IMODE(status.st_mode):04o}"
        elif not status.st_mode & stat.S_IROTH:
            yield f"{place}: cannot be read by the service's user"


def _files(tree: Path) -> Iterator[Path]:
    return (path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink())
