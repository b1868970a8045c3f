"""The finished runtime out of the stages' results: what is shipped, what is compiled against, what
is told about both.
"""

from __future__ import annotations

import ast
import json
import os
import pprint
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from compiling.sources import Choice, Component
from compiling.workshop import HERE, PLACE, BuildError

LIBRARY: Final = "lib/python3.13"

LEFT_OUT: Final = (
    "test",  # and what else only tests, teaches or draws
    "idlelib",
    "tkinter",
    "turtledemo",
    "turtle.py",
    "__phello__",
    "__hello__.py",
    "antigravity.py",
    "this.py",
    "pydoc_data",
    "ensurepip",  # nothing is installed into this interpreter
    "venv",
    "curses",  # and what their C libraries are missing for
    "xml",  # and expat within, which would have to be kept up to date for nobody's use
    "xmlrpc",
    "plistlib.py",
    "lib-dynload/pyexpat.*",
    "lib-dynload/_elementtree.*",
    "lzma.py",
    "bz2.py",
    "dbm/gnu.py",
    "dbm/ndbm.py",
    "site-packages/README.txt",
    "LICENSE.txt",  # is among the licences
)
"""What of the standard library is not shipped, as glob patterns.

bz2 and lzma are not compiled: nothing here uses them, and who in the library would (zipfile,
tarfile, shutil) does without.
"""

PROOF: Final = """\
import _socket, ctypes, fcntl, hashlib, json, mmap, sqlite3, ssl, sys, sysconfig, tarfile, zlib
from pathlib import Path
prefix = str(Path(sys.executable).parent.parent)
assert sys.prefix == sys.exec_prefix == prefix, sys.prefix
assert all(place.startswith(prefix) for place in sys.path), sys.path
assert sysconfig.get_config_vars()["EXT_SUFFIX"]
assert hashlib.new("sha512", b"").digest_size == 64
assert sqlite3.connect(":memory:").execute("SELECT json_extract('[7]', '$[0]')").fetchone() == (7,)
assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda number: number + 1)(6) == 7
ssl.create_default_context()
print(ssl.OPENSSL_VERSION.split()[1], sqlite3.sqlite_version, sys.version.split()[0])
"""


def assemble(
    into: Path,
    results: Mapping[str, Path],
    tools: Path,
    description: Mapping[str, object],
    epoch: int,
) -> None:
    """Lay out a runtime in *into*, an empty directory beside other runtimes of the cache."""
    _prefix(into / "prefix", results["cpython"] / "files")
    _sdk(into / "sdk", results, tools)
    for name, result in results.items():
        shutil.copytree(result / "licences", into / "licences" / name)
    zig = into / "licences" / "zig"
    zig.mkdir()
    shutil.copy(tools / "ziglang" / "LICENSE", zig / "LICENSE")
    (into / "sources.json").write_text(
        json.dumps(description, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    prove(into / "prefix")
    settle(into, epoch)


def _prefix(prefix: Path, installed: Path) -> None:
    (prefix / "bin").mkdir(parents=True)
    shutil.copy(installed / "bin" / "python3.13", prefix / "bin")
    library = prefix / LIBRARY
    shutil.copytree(
        installed / LIBRARY,
        library,
        symlinks=True,
        ignore=shutil.ignore_patterns("__pycache__", "config-3.*", "*.a", "*.exe"),
    )
    for path in [path for name in LEFT_OUT for path in library.glob(name)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    (library / "site-packages").mkdir(exist_ok=True)
    for file in library.glob("_sysconfigdata_*.py"):
        file.write_text(without_place(file.read_text(encoding="utf-8")), encoding="utf-8")
    for unwanted in library.glob("_sysconfig_vars_*.json"):
        unwanted.unlink()


def without_place(text: str, place: str = str(PLACE)) -> str:
    """Blank each value of a ``_sysconfigdata`` module that says where it was compiled."""
    match = re.search(r"^build_time_vars = (\{.*\})\s*\Z", text, re.DOTALL | re.MULTILINE)
    if match is None:
        raise BuildError(
            "the interpreter's record of its settings has a new form: see assembly.py."
        )
    settings = {
        name: "" if isinstance(value, str) and place in value else value
        for name, value in ast.literal_eval(match[1]).items()
    }
    return (
        "# Values that said where this was compiled are empty.\n"
        f"build_time_vars = {pprint.pformat(settings, width=100)}\n"
    )


def _sdk(sdk: Path, results: Mapping[str, Path], tools: Path) -> None:
    fuse = results["libfuse"] / "files"
    shutil.copytree(fuse, sdk, symlinks=True)
    shutil.copytree(
        results["cpython"] / "files" / "include" / "python3.13", sdk / "include" / "python3.13"
    )
    shutil.copy(HERE / "compiler", sdk / "compiler")
    for name in ("cc", "c++", "ar", "ranlib"):
        (sdk / name).symlink_to("compiler")
    # Relative, so that a cache may be moved; the runtime lies in CACHE/runtime/KEY.
    (sdk / "zig").symlink_to(Path("../../..") / tools.parent.name / tools.name / "ziglang")


def describe(
    components: Iterable[Component],
    choices: Mapping[str, Choice],
    patches: Mapping[str, Mapping[str, list[str]]],
    tools: Iterable[Mapping[str, str]],
) -> dict[str, object]:
    """Say what a runtime is compiled from, as ``sources.json`` has it."""
    return {
        "format": 1,
        "components": [
            {
                "name": component.name,
                "version": component.version,
                "licence": component.licence,
                "url": component.url,
                "debian_source": component.source,
                "debian_version": choices[component.name].revision,
                "warning": choices[component.name].warning,
                "files": [
                    {"name": name, "sha256": digest}
                    for name, digest in sorted(choices[component.name].files.items())
                ],
                "patches": [{"name": name} for name in patches[component.name]["applied"]],
                "patches_left_out": [
                    {"name": name} for name in patches[component.name]["left_out"]
                ],
            }
            for component in components
        ],
        "tools": list(tools),
    }


def prove(prefix: Path) -> None:
    """Run the interpreter where it now lies; raises BuildError if anything promised is missing."""
    command = [str(prefix / "bin" / "python3.13"), "-I", "-B", "-c", PROOF]
    ended = subprocess.run(
        command, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise BuildError(
            f"the compiled interpreter does not do what it must:\n{ended.stderr.strip()}\nSee the "
            "logs of the stage that made the missing part, and its recipe."
        )


def settle(tree: Path, epoch: int) -> None:
    """Give everything below *tree* the modes and the time that every build gives it."""
    for directory, names, files in os.walk(tree):
        for name in (*names, *files):
            path = Path(directory, name)
            if not path.is_symlink():
                runs = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if runs else 0o644)
            os.utime(path, (epoch, epoch), follow_symlinks=False)
