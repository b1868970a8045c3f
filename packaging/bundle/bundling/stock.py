"""Whether the bill of materials is right: everything is in it, and has a text of its licence."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bundling.bill import FILE, TEXT, WITNESS
from bundling.tree import site_packages
from bundling.wheels import PYTHON


def problems(tree: Path) -> Iterator[str]:
    """Tell what the bill of *tree* lacks, what it lists that is not there, and texts that are missing."""
    try:
        told = json.loads((tree / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        yield f"{FILE}: cannot be read: {error}"
        return
    listed = {(each["name"], each.get("version")) for each in told["components"]}
    there = {_name_and_version(info) for info in site_packages(tree).glob("*.dist-info")}
    for name, version in sorted(there - listed):
        yield f"{name} {version} is bundled and not in {FILE}"
    from_index = {
        (each["name"], each.get("version"))
        for each in told["components"]
        if each.get("purl", "").startswith("pkg:pypi/")
    }
    for name, version in sorted(from_index - there):
        yield f"{name} {version} is in {FILE} and not bundled"
    for component in _each(told["components"]):
        yield from _problems_of(component, tree)


def _name_and_version(info: Path) -> tuple[str, str]:
    name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
    return name.replace("_", "-").lower(), version


def _each(components: list[Any]) -> Iterator[Any]:
    for component in components:
        yield component
        yield from _each(component.get("components", []))


def _problems_of(component: Any, tree: Path) -> Iterator[str]:
    name = component["bom-ref"]
    values = [(each["name"], each["value"]) for each in component["properties"]]
    texts = [value for key, value in values if key == TEXT]
    if not component.get("licenses"):
        yield f"{name}: has no licence"
    if not texts:
        yield f"{name}: has no text of its licence"
    for text in texts:
        path = tree / text
        if not path.is_file() or not path.stat().st_size:
            yield f"{name}: its licence {text} is not in the tree"
    for witness in (value for key, value in values if key == WITNESS):
        found = _ask(tree, witness)
        if found != component.get("version"):
            yield f"{name}: the tree says that its version is {found}"


def _ask(tree: Path, expression: str) -> str:
    """Return what *expression* is to the tree's interpreter, or what that complained about."""
    ended = subprocess.run(
        [tree / "bin" / f"python{PYTHON}", "-I", "-B", "-c", f"print({expression})"],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout.strip() or ended.stderr.strip().rpartition("\n")[2]
