"""What is bundled: of which name and version, under which licence, and from which files."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email import message_from_string
from email.message import Message
from pathlib import Path
from typing import Any

import yaml

from bundling.licences import shared_texts, spdx, take_all, take_texts
from bundling.lock import COMPILED, BundleError, Pin, file_digest
from bundling.wheels import find_source, find_wheel

_RUSTC = re.compile(rb"rustc version ([0-9.]+) \(")
_RUST = "MIT OR Apache-2.0"


@dataclass(frozen=True, slots=True)
class Component:
    """One thing that is bundled; *inside* is what lies within its binaries.

    *files* are names and SHA-256 of what it was made from, *patches* what Debian has mended in it;
    *texts* are the places of its licence in the tree, *witness* is a Python expression that gives its
    version there.
    """

    name: str
    version: str | None
    licence: str
    url: str = ""
    purl: str = ""
    author: str = ""
    files: tuple[tuple[str, str], ...] = ()
    patches: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    witness: str = ""
    inside: tuple["Component", ...] = field(default=())


def each_of(components: tuple[Component, ...]) -> Iterator[Component]:
    """Go through *components* and what is inside of them."""
    for component in components:
        yield component
        yield from each_of(component.inside)


@dataclass(frozen=True, slots=True)
class Notes:
    """What is not told by metadata, from ``components.yaml``: licences, and what lies inside."""

    licences: Mapping[str, str]
    inside: Mapping[str, Sequence[Mapping[str, str]]]

    @classmethod
    def read(cls, path: Path) -> "Notes":
        """Read the file."""
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        return cls(told["licences"], told["inside"])


def of_runtime(runtime: Path, notes: Notes, tree: Path) -> tuple[Component, ...]:
    """Return what the runtime was made of (its ``sources.json``), and take the licence texts."""
    told = json.loads((runtime / "sources.json").read_text(encoding="utf-8"))
    return tuple(_of_source(each, runtime, notes, tree) for each in told["components"])


def _of_source(told: Mapping[str, Any], runtime: Path, notes: Notes, tree: Path) -> Component:
    name = told["name"]
    debian = told.get("debian_version")
    purl = f"pkg:deb/debian/{told['debian_source']}@{debian}?arch=source" if debian else ""
    return Component(
        name,
        told["version"],
        spdx(told["licence"], name),
        told["url"],
        purl,
        files=tuple((each["name"], each["sha256"]) for each in told.get("files", ())),
        texts=take_all(runtime / "licences" / name, tree, name),
        inside=tuple(_noted(each) for each in notes.inside.get(name, ())),
        patches=tuple(each["name"] for each in told.get("patches", ())),
    )


def of_compiler(runtime: Path, tree: Path) -> tuple[tuple[Component, ...], Component]:
    """Return what the compiler adds: to every binary, and to those written in C++."""
    zig = runtime / "sdk" / "zig"
    told = subprocess.run([zig / "zig", "version"], capture_output=True, text=True, check=True)
    release = told.stdout.strip()
    tools = json.loads((runtime / "sources.json").read_text(encoding="utf-8")).get("tools", ())
    every = Component(
        "zig-compiler-rt",
        release,
        "MIT",
        "https://ziglang.org/",
        files=tuple((t["name"], t["sha256"]) for t in tools if t["name"] == "ziglang"),
        texts=take_texts(zig, tree, "zig-compiler-rt"),
    )
    nonshared = Component(
        "glibc-nonshared",
        None,
        "LGPL-2.1-or-later",
        "https://www.gnu.org/software/libc/",
        author=f"the few parts that are always linked in, as they come with zig {release}",
        texts=take_texts(zig / "lib" / "libc" / "glibc", tree, "glibc-nonshared"),
    )
    libraries = ("libcxx", "libcxxabi", "libunwind")
    texts = [text for each in libraries for text in take_texts(zig / "lib" / each, tree, each)]
    return (every, nonshared), Component(
        "llvm-libcxx",
        None,
        "Apache-2.0 WITH LLVM-exception",
        "https://libcxx.llvm.org/",
        author=f"as it comes with zig {release}, with libcxxabi and libunwind",
        texts=tuple(texts),
    )


class Distributions:
    """Reads what the package index's distributions tell of themselves, before it is removed."""

    def __init__(self, notes: Notes, fetched: Path, site: Path, tree: Path) -> None:
        self._notes = notes
        self._fetched = fetched
        self._site = site
        self._tree = tree

    def describe(self, pin: Pin) -> Component:
        """Return the component of *pin* with what lies inside of it, and take its licence texts."""
        (info,) = self._site.glob(f"{pin.name.replace('-', '_')}-{pin.version}.dist-info")
        told = message_from_string((info / "METADATA").read_text(encoding="utf-8"))
        compiled = pin.name in COMPILED
        file = (find_source if compiled else find_wheel)(self._fetched, pin)
        return Component(
            pin.name,
            pin.version,
            self._licence(pin.name, told),
            _home(told),
            f"pkg:pypi/{pin.name}@{pin.version}",
            files=((file.name, file_digest(file)),),
            texts=take_texts(info, self._tree, pin.name),
            inside=tuple(self._within(pin.name, info)),
        )

    def _licence(self, name: str, told: Message) -> str:
        expression = told.get("License-Expression") or self._notes.licences.get(name)
        if expression is None:
            raise BundleError(f"{name}: its metadata name no licence; say it in components.yaml")
        return spdx(expression, name)

    def _within(self, name: str, info: Path) -> Iterator[Component]:
        noted = {
            each.get("listed") or each["name"]: each for each in self._notes.inside.get(name, ())
        }
        for bill in sorted((info / "sboms").glob("*.json")):
            told = json.loads(bill.read_text(encoding="utf-8"))
            for each in told["components"]:
                # What only ran while the wheel was made is not in it.
                if each.get("scope") != "excluded":
                    yield _of_bill(each, noted.pop(each["purl"].partition("@")[0], {}))
        for each in noted.values():
            if "listed" in each:
                raise BundleError(f"{name} no longer lists {each['name']}; see components.yaml")
            yield _noted(each)
        for version in self._rust_of(info):
            yield Component(
                "rust-std", version, _RUST, "https://www.rust-lang.org/", author="The Rust Project"
            )

    def _rust_of(self, info: Path) -> list[str]:
        package = info.name.partition("-")[0]
        return sorted(
            {
                match[1].decode()
                for path in (self._site / package).rglob("*.so")
                for match in _RUSTC.finditer(path.read_bytes())
            }
        )


def _of_bill(told: Mapping[str, Any], noted: Mapping[str, str]) -> Component:
    """Return a component of a bill of materials (CycloneDX) that came in a wheel."""
    name = told["name"]
    licences = [each["expression"] for each in told.get("licenses") or () if "expression" in each]
    licence = noted.get("licence") or " AND ".join(licences)
    links = [each["url"] for each in told.get("externalReferences", ())]
    digests = [each["content"] for each in told.get("hashes", ()) if each["alg"] == "SHA-256"]
    return Component(
        name,
        told["version"],
        spdx(licence, name),
        links[-1] if links else "",
        told["purl"].partition("?")[0],
        noted.get("author") or told.get("author", ""),
        tuple((f"{name}-{told['version']}", digest) for digest in digests),
        witness=noted.get("witness", ""),
    )


def _noted(told: Mapping[str, str]) -> Component:
    return Component(
        told["name"],
        told.get("version"),
        spdx(told["licence"], told["name"]),
        told["url"],
        author=told["author"],
        texts=(told["text"],) if "text" in told else (),
        witness=told.get("witness", ""),
    )


def _home(told: Message) -> str:
    links = dict(str(each).partition(", ")[::2] for each in told.get_all("Project-URL", ()) if each)
    by_name = {name.lower(): link for name, link in links.items()}
    for name in ("homepage", "source", "source code", "repository", "github"):
        if name in by_name:
            return by_name[name]
    return str(told.get("Home-page") or next(iter(links.values()), ""))


def with_texts(component: Component, shared: Mapping[str, str]) -> Component:
    """Return *component* with a text of its licence; raises `BundleError` if there is none.

    What lies in a binary comes without texts of its own; the licence's own wording is taken then.
    """
    inside = tuple(with_texts(each, shared) for each in component.inside)
    if component.texts:
        return replace(component, inside=inside)
    wanted = shared_texts(component.licence, shared)
    if wanted is None:
        raise BundleError(
            f"{component.name}: there is no text of {component.licence}; put it into"
            " packaging/bundle/standard-licences"
        )
    return replace(component, texts=tuple(shared[each] for each in wanted), inside=inside)
