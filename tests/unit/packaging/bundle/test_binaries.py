"""A binary that asks for more than every system has is told of: each case with one that does."""

import subprocess
from pathlib import Path

from bundling.binaries import binaries, problems_of, read

#: A program that needs a library's symbol, in a version that the linker is told.
SOURCE = "extern int asked(void); int answer(void) { return asked(); }\n"


def shared(path: Path, source: str, *options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.with_suffix(".c")
    text.write_text(source)
    command = ["gcc", "-shared", "-fPIC", "-nostdlib", "-o", path, text, *options]
    subprocess.run([str(word) for word in command], check=True)
    text.unlink()
    return path


def stand_in(directory: Path, soname: str, version: str) -> Path:
    """Make a library *soname* that has the symbol ``asked`` in *version*."""
    script = directory / "versions"
    directory.mkdir(parents=True, exist_ok=True)
    script.write_text(f"{version} {{ global: asked; local: *; }};\n")
    options = (f"-Wl,-soname,{soname}", f"-Wl,--version-script,{script}")
    return shared(directory / soname, "int asked(void) { return 1; }\n", *options)


def told(tree: Path) -> list[str]:
    return [problem for binary in binaries(tree) for problem in problems_of(binary, tree)]


def test_a_symbol_that_came_after_the_oldest_system_we_are_for(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for version in ("GLIBC_2.28", "GLIBC_2.29", "GLIBC_ABI_DT_RELR"):
        library = stand_in(tmp_path / version, "libc.so.6", version)
        shared(tree / f"{version}.so", SOURCE, str(library))
    assert told(tree) == [
        "GLIBC_2.29.so: needs symbols of GLIBC_2.29",
        "GLIBC_ABI_DT_RELR.so: needs symbols of GLIBC_ABI_DT_RELR",
    ]


def test_a_library_that_not_every_system_has(tmp_path: Path) -> None:
    library = stand_in(tmp_path / "lib", "libstdc++.so.6", "GLIBCXX_3.4")
    shared(tmp_path / "tree" / "x.so", SOURCE, str(library))
    assert told(tmp_path / "tree") == ["x.so: needs libstdc++.so.6"]


def test_a_library_of_the_trees_own_is_found_from_the_extensions_place(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    library = stand_in(tree / ".libs", "libfuse3.so.4", "FUSE_3.17")
    (tree / ".libs" / "versions").unlink()
    shared(tree / "good.so", SOURCE, str(library), "-Wl,-rpath,$ORIGIN/.libs")
    assert told(tree) == []
    binary = read(tree / "good.so")
    assert binary.needed == ("libfuse3.so.4",)
    assert binary.versions == (("libfuse3.so.4", "FUSE", "3.17"),)
    shared(tree / "bad.so", SOURCE, str(library), f"-Wl,-rpath,{tree}/.libs")
    shared(tree / "lost.so", SOURCE, str(library))
    assert [problem.replace(str(tree), "TREE") for problem in told(tree)] == [
        "bad.so: looks for libraries in 'TREE/.libs', which is not in the tree",
        "lost.so: needs libfuse3.so.4",
    ]


def test_versions_that_a_library_offers_are_no_needs(tmp_path: Path) -> None:
    library = stand_in(tmp_path / "lib", "libc.so.6", "GLIBC_2.99")
    assert read(library).versions == ()


def test_what_is_no_binary_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "text.so").write_text("INPUT(libc.so.6)\n")
    (tmp_path / "empty").touch()
    assert list(binaries(tmp_path)) == []
