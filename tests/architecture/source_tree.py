"""The project's own Python sources, read as text and as syntax trees."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = ("vtsfs", "copyagent")


@dataclass(frozen=True)
class Module:
    """One source file; *name* is dotted (``vtsfs.contract`` for a package's ``__init__``)."""

    path: Path
    name: str
    text: str
    tree: ast.Module

    @property
    def place(self) -> str:
        return str(self.path.relative_to(ROOT))

    def is_in(self, *packages: str) -> bool:
        """Tell whether the module is one of *packages* or lies in one of them."""
        return any((self.name + ".").startswith(package + ".") for package in packages)

    @cached_property
    def imports(self) -> frozenset[str]:
        """Everything imported, wherever in the file the import stands.

        ``from a.b import c`` gives both ``a.b`` and ``a.b.c``, since c may be a module.
        """
        names: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                names.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names.add(node.module)
                names.update(f"{node.module}.{alias.name}" for alias in node.names)
        return frozenset(names)

    def external_imports(self) -> set[str]:
        """Name the distributions and standard library modules imported, by their first word."""
        return {name.partition(".")[0] for name in self.imports} - {*PRODUCT, "tests"}

    def functions(self) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node


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
    return Module(path, ".".join(words), text, ast.parse(text, str(path)))


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
