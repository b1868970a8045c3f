"""``copyagent version``: which release this is, where it lies, and what is bundled with it."""

import json
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from copyagent.cli.asking import as_json_option
from vtsfs.contract.errors import StateError
from vtsfs.contract.releases import other_release
from vtsfs.runtime.releases import installed_release, running_release

#: The package's own list of what is in it (CycloneDX), and the texts of the licences, below its tree.
BILL: Final = "sbom.json"
LICENCES: Final = "licences"

_FROM_SOURCE: Final = (
    "Nothing is bundled: this runs from source, with the Python and the libraries of this system."
)
_HEAD: Final = ("COMPONENT", "VERSION", "LICENCE")


@click.command()
@click.option("--bundled", is_flag=True, help="List what is bundled, with its licences, too.")
@as_json_option
def version(*, bundled: bool, as_json: bool) -> None:
    """Tell which release this is, and what is bundled with it.

    It needs neither settings nor an agent.
    """
    document = describe(Path(sys.prefix), bundled=bundled)
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    for line in lines_of(document):
        click.echo(line)


def describe(prefix: Path, *, bundled: bool) -> dict[str, Any]:
    """Return the document for the interpreter whose tree is *prefix*.

    Raises `StateError` if that is a package's and its list cannot be read.
    """
    packaged = prefix.parent.name == "vts-autocopy" or (prefix / BILL).exists()
    return {
        "schema": 1,
        "version": running_release(str(prefix)),
        "installed": installed_release(str(prefix)),
        "python": platform.python_version(),
        "directory": str(prefix) if packaged else None,
        "bundled": bundled_parts(prefix) if bundled and packaged else ([] if bundled else None),
    }


def bundled_parts(prefix: Path) -> list[dict[str, Any]]:
    """Return what the package's list has, each followed by what lies within it."""
    try:
        told = json.loads((prefix / BILL).read_text(encoding="utf-8"))
        return [part for each in told["components"] for part in _parts(each, None)]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StateError(
            f"{prefix / BILL} cannot be read ({error}): the package's files are not as they were"
            " installed; 'dpkg -V vts-autocopy' or 'rpm -V vts-autocopy' names them, and installing"
            " the package again mends them"
        ) from error


def _parts(told: Mapping[str, Any], within: str | None) -> Iterator[dict[str, Any]]:
    properties = [(each["name"], each["value"]) for each in told.get("properties", ())]
    digests = [each["content"] for each in told.get("hashes", ()) if each["alg"] == "SHA-256"]
    links = [each["url"] for each in told.get("externalReferences", ())]
    yield {
        "name": told["name"],
        "version": told.get("version"),
        "licence": " AND ".join(each["expression"] for each in told["licenses"]),
        "within": within,
        "url": links[0] if links else None,
        "sha256": digests[0] if digests else None,
        "texts": [value for name, value in properties if name.endswith(":licence-text")],
    }
    for each in told.get("components", ()):
        yield from _parts(each, told["name"])


def lines_of(document: Mapping[str, Any]) -> Iterator[str]:
    """Go through what is shown to people."""
    yield f"copyagent {document['version']}"
    if other := other_release(document["version"], document["installed"]):
        yield f"{other}: what is started from now on is that"
    yield f"Python {document['python']}"
    if document["directory"] is not None:
        yield f"in {document['directory']}"
    if document["bundled"] is None:
        return
    yield ""
    if not document["bundled"]:
        yield _FROM_SOURCE
        return
    rows = [_HEAD, *map(_row, document["bundled"])]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, release, licence in rows:
        yield f"{name:{widths[0]}}  {release:{widths[1]}}  {licence}"
    yield ""
    yield f"Indented is what lies within. The licences are below {document['directory']}/{LICENCES}."


def _row(part: Mapping[str, Any]) -> tuple[str, str, str]:
    indent = "  " if part["within"] is not None else ""
    return f"{indent}{part['name']}", part["version"] or "not told", part["licence"]
