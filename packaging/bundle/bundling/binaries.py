"""What the binaries of a tree ask of the system: libraries, and versions of their symbols.

Read by readelf(1) of binutils, which comes with every compiler.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

#: The newest versions of symbols that may be asked for, by the prefix of their names. libgcc_s comes
#: with every C library in use; what the extensions written in Rust unwind their stacks with.
NEWEST = {"GLIBC": (2, 28), "GCC": (4, 2, 0)}
#: Libraries of the system that may be asked for: the C library's own and libgcc_s.
SYSTEM = {
    *("ld-linux-x86-64.so.2", "libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"),
    *("librt.so.1", "libutil.so.1", "libgcc_s.so.1"),
}

_NEEDED = re.compile(r"\(NEEDED\)\s+Shared library: \[(.*)\]")
_RUNPATH = re.compile(r"\((?:RUNPATH|RPATH)\)\s+Library (?:runpath|rpath): \[(.*)\]")
_FILE_OR_VERSION = re.compile(r"File: (\S+)|Name: (\w+?)_([0-9][0-9.]*|[A-Z]\w*)\s")


@dataclass(frozen=True, slots=True)
class Binary:
    """One ELF file: the libraries and symbol versions that it needs, and where it looks for them.

    *versions* are of whose library, of which family (``GLIBC``) and which number.
    """

    path: Path
    needed: tuple[str, ...]
    versions: tuple[tuple[str, str, str], ...]
    runpath: tuple[str, ...]


def binaries(tree: Path) -> Iterator[Binary]:
    """Go through all ELF files of *tree*, whatever they are called."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                magic = file.read(4)
            if magic == b"\x7fELF":
                yield read(path)


def read(path: Path) -> Binary:
    """Return what one ELF file needs."""
    ended = subprocess.run(
        ["readelf", "--wide", "--dynamic", "--version-info", str(path)],
        env={**os.environ, "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    runpath = _RUNPATH.search(ended.stdout)
    return Binary(
        path,
        tuple(_NEEDED.findall(ended.stdout)),
        tuple(sorted(set(_versions(ended.stdout)))),
        tuple(runpath[1].split(":")) if runpath else (),
    )


def _versions(printed: str) -> Iterator[tuple[str, str, str]]:
    """Go through the needs; the sections' order is the file's own, and definitions are no needs."""
    library = ""
    needs = printed.partition("Version needs section")[2].partition("Version definition section")[0]
    for found in _FILE_OR_VERSION.finditer(needs):
        if found[1]:
            library = found[1]
        else:
            yield library, found[2], found[3]


def problems_of(binary: Binary, tree: Path) -> Iterator[str]:
    """Tell what *binary* asks for that is neither in *tree* nor in every system we are for."""
    place = binary.path.relative_to(tree)
    for library, family, version in binary.versions:
        newest = NEWEST.get(family, ())
        if library in SYSTEM and not _is_at_most(version, newest):
            yield f"{place}: needs symbols of {family}_{version}"
    for folder in binary.runpath:
        if not folder.startswith("$ORIGIN/"):
            yield f"{place}: looks for libraries in {folder!r}, which is not in the tree"
    for library in binary.needed:
        if library not in SYSTEM and not _is_beside(binary, library):
            yield f"{place}: needs {library}"


def _is_at_most(version: str, newest: tuple[int, ...]) -> bool:
    numbers = version.split(".")
    return all(n.isdigit() for n in numbers) and tuple(map(int, numbers)) <= newest


def _is_beside(binary: Binary, library: str) -> bool:
    return any(
        Path(folder.replace("$ORIGIN", str(binary.path.parent)), library).is_file()
        for folder in binary.runpath
    )
