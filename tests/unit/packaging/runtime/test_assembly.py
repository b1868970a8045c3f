"""What is laid out says nothing of where and when it was made, and does what it must."""

import os
from pathlib import Path

import pytest

from tests.support.packaging_code import packaging_code

sources = packaging_code("runtime", "compiling.sources")
assembly = packaging_code("runtime", "compiling.assembly")
workshop = packaging_code("runtime", "compiling.workshop")


def test_settings_that_say_where_they_were_made_are_blanked() -> None:
    text = (
        "# system configuration generated and used by the sysconfig module\n"
        "build_time_vars = {'ABIFLAGS': '',\n"
        " 'CPPFLAGS': '-I. -I/var/tmp/vts-autocopy-build/runtime/deps/include',\n"
        " 'EXT_SUFFIX': '.cpython-313-x86_64-linux-gnu.so',\n"
        " 'HAVE_FORK': 1}\n"
    )
    cleaned = assembly.without_place(text)
    assert "/var/tmp" not in cleaned
    found: dict[str, object] = {}
    exec(cleaned, found)  # noqa: S102 - it is a module, and meant to be run
    assert found["build_time_vars"] == {
        "ABIFLAGS": "",
        "CPPFLAGS": "",
        "EXT_SUFFIX": ".cpython-313-x86_64-linux-gnu.so",
        "HAVE_FORK": 1,
    }


def test_settings_of_an_unknown_form_are_refused() -> None:
    with pytest.raises(workshop.BuildError, match="a new form"):
        assembly.without_place("build_vars = {}\n")


def test_modes_and_times_are_the_same_for_everybody(tmp_path: Path) -> None:
    library = tmp_path / "lib"
    library.mkdir(mode=0o700)
    (library / "module.py").write_text("")
    (library / "module.py").chmod(0o640)
    program = tmp_path / "program"
    program.write_text("")
    program.chmod(0o700)
    (tmp_path / "link").symlink_to("nowhere")
    assembly.settle(tmp_path, 1_700_000_000)
    assert [path.stat().st_mode & 0o777 for path in (library, library / "module.py", program)] == [
        0o755,
        0o644,
        0o755,
    ]
    times = {os.lstat(path).st_mtime for path in (*tmp_path.iterdir(), library / "module.py")}
    assert times == {1_700_000_000}


def test_an_interpreter_that_does_not_run_is_no_runtime(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "python3.13"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'No module named _ssl' >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(workshop.BuildError, match="No module named _ssl"):
        assembly.prove(tmp_path)


def test_what_was_compiled_is_told_with_its_patches_and_warnings() -> None:
    component = sources.Component(
        "zlib", "1.3.1", "Zlib", "https://zlib.net/", "zlib", "1.3.1-1", {"a.orig.tar.gz": "0" * 64}
    )
    choice = sources.Choice("patches differ", "1.3.1-2", {"b.orig.tar.gz": "1" * 64}, "it is gone")
    patches = {"applied": ["CVE-1.patch"], "left_out": ["layout.diff"]}
    tool = {"name": "ziglang", "version": "1", "sha256": "2" * 64}
    told = assembly.describe([component], {"zlib": choice}, {"zlib": patches}, [tool])
    assert told["format"] == 1
    assert told["tools"] == [tool]
    assert told["components"] == [
        {
            "name": "zlib",
            "version": "1.3.1",
            "licence": "Zlib",
            "url": "https://zlib.net/",
            "debian_source": "zlib",
            "debian_version": "1.3.1-2",
            "warning": "it is gone",
            "files": [{"name": "b.orig.tar.gz", "sha256": "1" * 64}],
            "patches": [{"name": "CVE-1.patch"}],
            "patches_left_out": [{"name": "layout.diff"}],
        }
    ]


def lay(root: Path, *files: str) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("build_time_vars = {}\n")


def test_what_is_shipped_what_is_compiled_against_and_what_nobody_needs(tmp_path: Path) -> None:
    stages, tools = tmp_path / "stages", tmp_path / "tools" / "key"
    library = "lib/python3.13"
    lay(
        stages / "cpython" / "files",
        *("bin/python3.13", "bin/pip3", "include/python3.13/Python.h"),
        *(f"{library}/os.py", f"{library}/__pycache__/os.pyc", f"{library}/test/__init__.py"),
        *(f"{library}/lib-dynload/_ssl.x.so", f"{library}/lib-dynload/pyexpat.x.so"),
        *(f"{library}/config-3.13-x/Makefile", f"{library}/_sysconfigdata__x.py"),
    )
    lay(stages / "cpython" / "licences", "LICENSE")
    (stages / "cpython/files/bin/python3.13").write_text("#!/bin/sh\nexit 0\n")
    (stages / "cpython/files/bin/python3.13").chmod(0o755)
    lay(stages / "libfuse" / "files", "lib/libfuse3.so.4", "include/fuse3/fuse.h")
    lay(stages / "libfuse" / "licences", "LGPL2.txt")
    lay(tools, "ziglang/LICENSE", "ziglang/zig")
    runtime = tmp_path / "runtime" / "key"
    runtime.mkdir(parents=True)
    results = {name: stages / name for name in ("cpython", "libfuse")}
    assembly.assemble(runtime, results, tools, {"format": 1}, 1_700_000_000)
    found = {
        str(path.relative_to(runtime))
        for path in runtime.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    assert {name for name in found if name.startswith("prefix/")} == {
        "prefix/bin/python3.13",
        f"prefix/{library}/os.py",
        f"prefix/{library}/lib-dynload/_ssl.x.so",
        f"prefix/{library}/_sysconfigdata__x.py",
    }
    assert found >= {
        "sdk/include/python3.13/Python.h",
        "sdk/include/fuse3/fuse.h",
        "sdk/lib/libfuse3.so.4",
        "sdk/cc",
        "licences/cpython/LICENSE",
        "licences/libfuse/LGPL2.txt",
        "licences/zig/LICENSE",
        "sources.json",
    }
    assert (runtime / "sdk" / "zig" / "zig").is_file()
