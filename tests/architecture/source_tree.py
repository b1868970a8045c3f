"""The project's own Python sources, and the facts about them that the rules ask for."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("vtsfs", "copyagent")


class Definition(NamedTuple):
    """A function or class: its name, where it begins, how many lines it has."""

    name: str
    line: int
    length: int


@dataclass(frozen=True)
class Module:
    """One source file; *name* is dotted (``vtsfs.contract`` for a package's ``__init__``).

    *imports* is everything imported, wherever in the file the import stands; ``from a.b import c``
    gives both ``a.b`` and ``a.b.c``, since c may be a module. *swallowing* are the lines where any
    Exception is caught and none is raised in its stead. The syntax tree itself is not kept: a
    million objects would make every garbage collection of the test run slow.
    """

    path: Path
    name: str
    text: str
    imports: frozenset[str]
    functions: tuple[Definition, ...]
    classes: tuple[Definition, ...]
    swallowing: tuple[int, ...]

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))

    def is_in(self, *packages: str) -> bool:
        """Tell whether the module is one of *packages* or lies in one of them."""
        return any((self.name + ".").startswith(package + ".") for package in packages)

    def external_imports(self) -> set[str]:
        """Name the distributions and standard library modules imported, by their first word."""
        return {name.partition(".")[0] for name in self.imports} - {*PRODUCT, "tests"}


@cache
def read_modules(*folders: str) -> tuple[Module, ...]:
    """Read every module below the named top-level folders."""
    return tuple(
        _read(path)
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
        if "__pycache__" not in path.parts
    )


def _read(path: Path) -> Module:
    words = list(path.relative_to(ROOT).with_suffix("").parts)
    if words[-1] == "__init__":
        words.pop()
    text = path.read_text(encoding="utf-8")
    nodes = list(ast.walk(ast.parse(text, str(path))))
    return Module(
        path=path,
        name=".".join(words),
        text=text,
        imports=frozenset(name for node in nodes for name in _imported(node)),
        functions=tuple(
            _define(node)
            for node in nodes
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ),
        classes=tuple(_define(node) for node in nodes if isinstance(node, ast.ClassDef)),
        swallowing=tuple(
            node.lineno for node in nodes if isinstance(node, ast.ExceptHandler) and _ends_all(node)
        ),
    )


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module is not None:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _define(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Definition:
    return Definition(node.name, node.lineno, (node.end_lineno or 0) - node.lineno + 1)


def _ends_all(handler: ast.ExceptHandler) -> bool:
    """Tell whether *handler* catches any Exception and raises neither it nor another for it."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {None if node is None else ast.unparse(node) for node in caught}
    raises = any(isinstance(node, ast.Raise) for node in ast.walk(handler))
    return bool(names & {None, "Exception", "BaseException"}) and not raises


def reached_from(start: Module) -> dict[str, Module]:
    """Find the product's modules that importing *start* brings in, itself and packages included."""
    known = {module.name: module for module in read_modules(*PRODUCT)}
    reached: dict[str, Module] = {}
    to_visit = [start.name]
    while to_visit:
        name = to_visit.pop()
        module = known.get(name)
        if module is None or name in reached:
            continue
        reached[name] = module
        to_visit.extend(module.imports)
        words = name.split(".")
        to_visit.extend(".".join(words[:length]) for length in range(1, len(words)))
    return reached
