"""All of a tree but our own programs: it changes seldom, so it is kept from build to build."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from bundling import tree as trees
from bundling.bill import described
from bundling.cache import forget_all_but, kept
from bundling.compiled import compile_greenlet, compile_pyfuse3
from bundling.components import Component, Distributions, Notes, of_compiler, of_runtime, with_texts
from bundling.licences import take_shared
from bundling.lock import COMPILED, Pin, digest_of, file_digest
from bundling.wheels import drop_record, fetch_all, find_source, find_wheel, unpack

#: How many of them are kept: two versions, of two commits.
KEPT = 4
_TREE = "tree"
_COMPONENTS = "components.json"


def lay_foundation(
    tree: Path, version: str, runtime: Path, pins: dict[str, Pin], here: Path, cache: Path
) -> list[Any]:
    """Put it into the new directory *tree*; return what is bundled, as the bill lists it.

    *here* is ``packaging/bundle`` with its data. Raises `BundleError`.
    """

    def make(to: Path) -> None:
        components = _make(to / _TREE, version, runtime, pins, here, cache)
        (to / _COMPONENTS).write_text(json.dumps(components), encoding="utf-8")

    key = digest_of(version, *_going_in(runtime, pins, here))
    place = kept(cache / "foundation" / key[:32], make)
    forget_all_but(KEPT, place.parent)
    shutil.copytree(place / _TREE, tree, symlinks=True)
    found: list[Any] = json.loads((place / _COMPONENTS).read_text(encoding="utf-8"))
    return found


def _going_in(runtime: Path, pins: dict[str, Pin], here: Path) -> Iterator[str]:
    for name in sorted(pins):
        yield pins[name].text
    for folder in (runtime, here):
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            if path.parent.name != "__pycache__":
                yield f"{path.relative_to(folder)} {file_digest(path)}"


def _make(
    tree: Path, version: str, runtime: Path, pins: dict[str, Pin], here: Path, cache: Path
) -> list[Any]:
    fetched = fetch_all(pins, cache)
    trees.copy_runtime(runtime, tree)
    site = trees.site_packages(tree)
    for pin in pins.values():
        if pin.name not in COMPILED:
            unpack(find_wheel(fetched, pin), site)
    for name, make in (("pyfuse3", compile_pyfuse3), ("greenlet", compile_greenlet)):
        made = make(pins[name], find_source(fetched, pins[name]), runtime, cache)
        shutil.copytree(made, site, dirs_exist_ok=True)
    components = _components(runtime, tree, pins, here, fetched)
    drop_record(site)
    trees.prune(site)
    trees.settle(tree, 0)
    trees.write_byte_code(tree, version, tree / "lib")
    trees.drop_empty(tree)
    return described(components)


def _components(
    runtime: Path, tree: Path, pins: dict[str, Pin], here: Path, fetched: Path
) -> list[Component]:
    """Take stock of what is bundled, and take its licences."""
    ours = here.parents[1] / "LICENSE"
    shared = take_shared(here / "standard-licences", tree, ours)
    shutil.copyfile(ours, tree / "LICENSE")
    notes = Notes.read(here / "components.yaml")
    read = Distributions(notes, fetched, trees.site_packages(tree), tree)
    every, of_cpp = of_compiler(runtime, tree)
    found = [*every, *of_runtime(runtime, notes, tree)]
    for pin in pins.values():
        component = read.describe(pin)
        if pin.name == "greenlet":
            component = replace(component, inside=(*component.inside, of_cpp))
        found.append(component)
    return [with_texts(each, shared) for each in found]
