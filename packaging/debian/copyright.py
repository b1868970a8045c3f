"""Write the Debian copyright file of the package to standard output.

Every component of the tree's ``sbom.json`` gets a paragraph with the copyright lines of its licence
texts and the texts themselves, as machine-readable copyright files have it (copyright-format 1.0).
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: What a licence text says of who holds the rights.
_HOLDER = re.compile(r"^\W*((?:portions )?copyright\b.*(?:\(c\)|©|\d{4}).*)$", re.IGNORECASE)

#: The terms of the Apache License, up to its last sentence.
_APACHE = re.compile(
    r"[ \t]*Apache License\s+Version 2\.0, January 2004.*?END OF TERMS AND CONDITIONS", re.DOTALL
)
_WHERE = """\
Apache License, Version 2.0: its text is in /usr/share/common-licenses/Apache-2.0 on Debian
systems, and in LICENSE at the top of the tree of each installed version."""


def holders(texts: list[str]) -> list[str]:
    """Return the copyright lines of licence texts, each once, as they stand there."""
    found: dict[str, None] = {}
    for text in texts:
        for line in text.splitlines():
            match = _HOLDER.match(line.strip())
            if match and "[yyyy]" not in line and "<year>" not in line and "{yyyy}" not in line:
                found[re.sub(r"\s+", " ", match[1]).rstrip(" */")] = None
    return list(found)


def components(
    listed: list[dict[str, Any]], within: str = ""
) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each component with the outermost one that it lies in, its own name for those."""
    for component in listed:
        place = within or component["name"]
        yield component, place
        yield from components(component.get("components", []), place)


def paragraphs(sbom: dict[str, Any], tree: Path, place: str) -> Iterator[str]:
    """Write a paragraph for each component, then one for each licence text that they refer to.

    *place* is where *tree* is installed, without a slash before it. Raises `ValueError` for a
    component without a licence text.
    """
    names: dict[str, str] = {}
    for component, within in components(sbom["components"]):
        name = component["name"]
        texts = [
            (tree / each["value"]).read_text("utf-8", errors="replace")
            for each in component.get("properties", ())
            if each["name"] == "vts-autocopy:licence-text"
        ]
        if not texts:
            raise ValueError(f"{name} has no licence text in the list of what is bundled")
        lines = holders(texts) or [f"the authors of {name}"]
        terms = "\n\n".join(map(shortened, texts))
        label = names.setdefault(terms, f"{short_name(component)} ({name})")
        inside = f", within {within}" if within != name else ""
        yield "\n".join(
            [
                f"Files: {' '.join(files_of(within, tree, place))}",
                f"Comment: {name} {component.get('version', '')}".rstrip() + inside,
                "Copyright: " + "\n ".join(lines),
                f"License: {label}",
            ]
        )
    for terms, label in names.items():
        yield f"License: {label}\n{folded(terms)}"


def shortened(text: str) -> str:
    """Return *text*; of the Apache License, which every Debian system has, where it is."""
    found = _APACHE.search(text)
    return text if found is None else text[: found.start()] + _WHERE + text[found.end() :]


def files_of(name: str, tree: Path, place: str) -> list[str]:
    """Return patterns for the files of *name*; what is compiled into others is known by its licence."""
    packages = tree / "lib" / "python3.13" / "site-packages"
    stem = name.replace("-", "_").lower()
    found = [
        f"{place}/lib/python3.13/site-packages/{each.name}{'/*' if each.is_dir() else ''}"
        for each in sorted(packages.glob("*"))
        if re.fullmatch(rf"_?{re.escape(stem)}(\.py|-.*\.dist-info)?", each.name.lower())
    ]
    return [*found, f"{place}/licences/{name}/*"]


def short_name(component: dict[str, Any]) -> str:
    """Return the component's licence as copyright files write it."""
    expression = str(component["licenses"][0]["expression"])
    return expression.replace(" OR ", " or ").replace(" AND ", " and ")


def folded(text: str) -> str:
    """Write *text* as the body of a field."""
    return "\n".join(f" {line}" if line.strip() else " ." for line in text.strip("\n").splitlines())


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--head", type=Path, required=True, help="the paragraphs of our own")
    given = parser.parse_args()
    sbom = json.loads((given.tree / "sbom.json").read_text("utf-8"))
    place = f"usr/lib/vts-autocopy/{given.version}"
    written = [given.head.read_text("utf-8").rstrip("\n"), *paragraphs(sbom, given.tree, place)]
    sys.stdout.write("\n\n".join([*written, ""]).removesuffix("\n"))


if __name__ == "__main__":
    main()
