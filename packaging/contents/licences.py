"""Print the licences of the project and of all that is bundled as one expression: ``licences.py SBOM``."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def expressions(sbom: dict[str, Any]) -> list[str]:
    """Return every licence expression of a CycloneDX document once, in order of the alphabet."""
    return sorted(set(_all([sbom["metadata"]["component"], *sbom["components"]])))


def _all(listed: list[dict[str, Any]]) -> Iterator[str]:
    """Yield those of *listed*, and of what lies within."""
    for component in listed:
        yield licence_of(component)
        yield from _all(component.get("components", []))


def licence_of(component: dict[str, Any]) -> str:
    """Return the expression of one component; raise `ValueError` if it has none."""
    for licence in component.get("licenses", []):
        if "expression" in licence:
            return str(licence["expression"])
        if "id" in licence.get("license", {}):
            return str(licence["license"]["id"])
    raise ValueError(f"{component['name']} has no licence in the list of what is bundled")


def combined(found: list[str]) -> str:
    """Join expressions by AND, those of several terms in parentheses."""
    return " AND ".join(f"({each})" if " " in each else each for each in found)


def main() -> None:
    """Do what the command line says."""
    sbom = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.stdout.write(f"{combined(expressions(sbom))}\n")


if __name__ == "__main__":
    main()
