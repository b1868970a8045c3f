"""A tree that gives away its builder, or would change or lend rights, is told of."""

import os
import py_compile
from pathlib import Path

import pytest

from bundling.contents import byte_code, cached, records, rights, traces

UNCHECKED = py_compile.PycInvalidationMode.UNCHECKED_HASH


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one module, as it should be."""
    made = tmp_path / "tree"
    (made / "bin").mkdir(parents=True)
    (made / "lib").mkdir()
    (made / "lib" / "module.py").write_text("ANSWER = 42\n")
    compiled(made / "lib" / "module.py")
    for path in [made, *made.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return made


def compiled(
    source: Path,
    mode: py_compile.PycInvalidationMode = py_compile.PycInvalidationMode.UNCHECKED_HASH,
) -> None:
    py_compile.compile(str(source), cfile=cached(source), doraise=True, invalidation_mode=mode)


def test_a_tree_as_it_should_be(tree: Path) -> None:
    forbidden = ["/home/ann/clone"]
    assert [*traces(tree, forbidden), *byte_code(tree), *records(tree), *rights(tree)] == []


@pytest.mark.parametrize(
    ("content", "is_told"),
    [
        (b"\0/home/ann/clone/vtsfs/cli.py\0", True),
        (b'prefix = "/home/ann/clone"', True),
        (b"/home/ann/clone-2/x", False),
        (b"/mnt/home/ann/clone/x", False),
        (b"built by ann@forge yesterday", True),
        (b"joann@forge.example", False),
    ],
)
def test_a_path_or_name_of_the_building_machine(tree: Path, content: bytes, is_told: bool) -> None:
    (tree / "lib" / "data.bin").write_bytes(content)
    found = list(traces(tree, ["/home/ann/clone", "ann@forge", "/", "x"]))
    assert [problem.partition(":")[0] for problem in found] == ["lib/data.bin"] * is_told


@pytest.mark.parametrize(
    "mode", [py_compile.PycInvalidationMode.TIMESTAMP, py_compile.PycInvalidationMode.CHECKED_HASH]
)
def test_byte_code_that_a_start_would_look_at_twice(
    tree: Path, mode: py_compile.PycInvalidationMode
) -> None:
    compiled(tree / "lib" / "module.py", mode)
    (problem,) = byte_code(tree)
    assert problem.startswith("lib/__pycache__/module.cpython-313.pyc: byte-code goes by")


def test_byte_code_of_a_source_that_has_changed_since(tree: Path) -> None:
    (tree / "lib" / "module.py").write_text("ANSWER = 43\n")
    (problem,) = byte_code(tree)
    assert problem.endswith("byte-code of another source")


def test_a_module_without_byte_code_and_the_reverse(tree: Path) -> None:
    source = tree / "lib" / "module.py"
    source.rename(source.with_name("renamed.py"))
    assert list(byte_code(tree)) == [
        "lib/__pycache__/module.cpython-313.pyc: byte-code without a source",
        "lib/renamed.py: has no byte-code",
    ]


@pytest.mark.parametrize(
    "name",
    ["x-1.dist-info/RECORD", "x-1.dist-info/direct_url.json", "x.pth", "libpython3.13.a"],
)
def test_what_does_not_belong_into_a_tree(tree: Path, name: str) -> None:
    path = tree / "lib" / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert list(records(tree)) == [f"lib/{name}: does not belong into the tree"]


def test_a_file_called_record_elsewhere_is_nothing_special(tree: Path) -> None:
    (tree / "lib" / "RECORD").touch()
    assert list(records(tree)) == []


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o666, 0o664, 0o1755])
def test_rights_that_nobody_should_have(tree: Path, mode: int) -> None:
    (tree / "lib" / "module.py").chmod(mode)
    assert list(rights(tree)) == [f"lib/module.py: has mode {mode:04o}"]


def test_what_the_services_user_cannot_read(tree: Path) -> None:
    (tree / "lib" / "module.py").chmod(0o600)
    assert list(rights(tree)) == ["lib/module.py: cannot be read by the service's user"]


def test_links_lead_to_within(tree: Path) -> None:
    (tree / "inside").symlink_to("lib/module.py")
    assert list(rights(tree)) == []
    (tree / "outside").symlink_to("../elsewhere")
    (tree / "whole").symlink_to(tree / "lib")
    assert list(rights(tree)) == ["outside: leads to ../elsewhere", f"whole: leads to {tree}/lib"]


def test_a_pipe_is_neither_file_nor_directory(tree: Path) -> None:
    os.mkfifo(tree / "lib" / "pipe")
    assert list(rights(tree)) == ["lib/pipe: is neither a file nor a directory"]
