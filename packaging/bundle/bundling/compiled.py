"""The extensions that are compiled here: pyfuse3 with its libfuse beside it, and greenlet.

The compiler is the one that the runtime was made with, against the same old C library. Results are
kept in the cache under the digest of everything that goes in.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from bundling.cache import cache_root, kept
from bundling.lock import BundleError, Pin, digest_of, file_digest
from bundling.wheels import PYTHON

_SUFFIX = f".cpython-{PYTHON.replace('.', '')}-x86_64-linux-gnu.so"
#: ``-s`` at linking, for strip(1) later would leave the paths of debugging symbols of zig's stubs.
_FLAGS = (
    *("-O2", "-g0", "-fPIC", "-shared", "-s", "-Wl,-z,relro,-z,now"),
    *("-Wno-macro-redefined", "-Wno-date-time"),
)
#: The folder of libfuse below the extension's own; its licence wants it exchangeable, hence a library
#: of its own, found from the extension's place wherever the tree lies.
_LIBRARIES = ".libs"


def compile_pyfuse3(pin: Pin, source: Path, runtime: Path, cache: Path) -> Path:
    """Return a directory to be laid over site-packages: pyfuse3 and, in ``.libs``, libfuse."""

    def make(tree: Path, to: Path) -> None:
        package = tree / "src" / "pyfuse3"
        _run(
            [sys.executable, "-m", "cython", "-IInclude", "src/pyfuse3/__init__.pyx"],
            tree,
            "pyfuse3 could not be translated to C",
        )
        out = to / "pyfuse3"
        out.mkdir()
        _link(
            runtime,
            tree,
            ["-DFUSE_USE_VERSION=32", "-IInclude", f"-I{runtime}/sdk/include/fuse3"],
            ["src/pyfuse3/__init__.c", f"-L{runtime}/sdk/lib", "-lfuse3", "-lpthread", "-lrt"],
            out / f"__init__{_SUFFIX}",
        )
        for path in sorted(package.glob("*.py")):
            shutil.copyfile(path, out / path.name)
        shutil.copyfile(package / "py.typed", out / "py.typed")
        library = _soname_file(runtime)
        (out / _LIBRARIES).mkdir()
        shutil.copyfile(library.resolve(), out / _LIBRARIES / library.name)

    going_in = (
        metadata.version("cython"),
        file_digest(_soname_file(runtime)),
        *_headers(runtime, "fuse3"),
    )
    return _cached(pin, source, runtime, cache, going_in, make)


def compile_greenlet(pin: Pin, source: Path, runtime: Path, cache: Path) -> Path:
    """Return a directory to be laid over site-packages: greenlet with the C++ library inside."""

    def make(tree: Path, to: Path) -> None:
        package = tree / "src" / "greenlet"
        out = to / "greenlet"
        (out / "platform").mkdir(parents=True)
        _link(
            runtime,
            tree,
            ["-x", "c++", "-std=c++17", "-Isrc/greenlet"],
            ["src/greenlet/greenlet.cpp", "-lc++"],
            out / f"_greenlet{_SUFFIX}",
        )
        for path in ("__init__.py", "platform/__init__.py"):
            shutil.copyfile(package / path, out / path)

    return _cached(pin, source, runtime, cache, (), make)


def _cached(
    pin: Pin,
    source: Path,
    runtime: Path,
    cache: Path,
    going_in: tuple[str, ...],
    make: Callable[[Path, Path], None],
) -> Path:
    key = digest_of(
        Path(__file__).read_bytes(),
        file_digest(source),
        _compiler(runtime),
        *_headers(runtime, f"python{PYTHON}"),
        *going_in,
    )

    def fill(to: Path) -> None:
        with tempfile.TemporaryDirectory(dir=to.parent) as scratch:
            subprocess.run(["tar", "--no-same-owner", "-xf", source, "-C", scratch], check=True)
            tree = Path(scratch, f"{pin.name}-{pin.version}")
            make(tree, to)
            _describe(pin, tree, to)

    return kept(cache / "compiled" / f"{pin.name}-{pin.version}-{key[:32]}", fill)


def _describe(pin: Pin, tree: Path, made: Path) -> None:
    """Give it the metadata by which its version is found, and its licence."""
    info = made / f"{pin.name}-{pin.version}.dist-info"
    (info / "licenses").mkdir(parents=True)
    shutil.copyfile(tree / "PKG-INFO", info / "METADATA")
    for path in sorted(tree.glob("LICENSE*")):
        shutil.copyfile(path, info / "licenses" / path.name)


def _soname_file(runtime: Path) -> Path:
    """Return libfuse by the name that what is linked with it asks for."""
    found = [
        path
        for path in (runtime / "sdk" / "lib").glob("libfuse3.so.*")
        if path.name.count(".") == 2
    ]
    if len(found) != 1:
        raise BundleError(f"{runtime}/sdk/lib has no libfuse3.so.N: build the runtime anew")
    return found[0]


def _compiler(runtime: Path) -> str:
    """Return what tells one compiler from another: the script that calls it, and zig's version."""
    script = runtime / "sdk" / "cc"
    version = subprocess.run(
        [runtime / "sdk" / "zig" / "zig", "version"], capture_output=True, text=True, check=True
    )
    return f"{script.read_text(encoding='ascii')}\n{version.stdout}"


def _headers(runtime: Path, name: str) -> list[str]:
    folder = runtime / "sdk" / "include" / name
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise BundleError(f"{folder} has no headers: build the runtime anew")
    return [f"{path.relative_to(folder)} {file_digest(path)}" for path in paths]


def _link(runtime: Path, tree: Path, options: list[str], inputs: list[str], to: Path) -> None:
    command = [
        *(str(runtime / "sdk" / "cc"), *_FLAGS),
        *(f"-ffile-prefix-map={tree}=.", f"-ffile-prefix-map={runtime}=runtime"),
        f"-I{runtime}/sdk/include/python{PYTHON}",
        *options,
        *inputs,
        *[f"-Wl,-rpath,$ORIGIN/{_LIBRARIES}"] * ("-lfuse3" in inputs),
        *("-o", str(to)),
    ]
    _run(command, tree, f"{to.name} could not be compiled")


def _run(command: list[str], directory: Path, failure: str) -> None:
    ended = subprocess.run(
        command,
        cwd=directory,
        # Otherwise the compiler keeps its own objects where the runtime is built, one build at a time.
        env={
            **os.environ,
            "LC_ALL": "C",
            "ZIG_GLOBAL_CACHE_DIR": str(cache_root() / "zig-objects"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode:
        raise BundleError(f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}\n{failure}: see above")
