"""The bill of materials of a tree, ``sbom.json``, in CycloneDX 1.5 (ECMA-424)."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from bundling.components import Component

#: The file at the top of the tree.
FILE = "sbom.json"

#: Names of properties of ours.
TEXT = "vts-autocopy:licence-text"
WITNESS = "vts-autocopy:version-witness"
MADE_FROM = "vts-autocopy:made-from"
PATCH = "vts-autocopy:debian-patch"


def described(components: Sequence[Component]) -> list[Any]:
    """Return *components*, and what lies within them, as the bill lists them."""
    return [_component(each, "") for each in sorted(components, key=_key)]


def bill(version: str, commit: str, epoch: int, listed: list[Any]) -> dict[str, Any]:
    """Return the whole bill for the package *version*, the same for the same arguments."""
    named = f"https://vts-autocopy.invalid/{version}/{commit}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, named)}",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {
                "type": "application",
                "bom-ref": "vts-autocopy",
                "name": "vts-autocopy",
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
                "properties": [{"name": "vts-autocopy:commit", "value": commit}],
            },
        },
        "components": listed,
    }


def _key(component: Component) -> tuple[str, str]:
    return component.name, component.version or ""


def _component(component: Component, within: str) -> dict[str, Any]:
    ref = f"{within}{component.name}@{component.version or 'unknown'}"
    told: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": component.name}
    if component.version:
        told["version"] = component.version
    if component.author:
        told["author"] = component.author
    if len(component.files) == 1:
        told["hashes"] = [{"alg": "SHA-256", "content": component.files[0][1]}]
    told["licenses"] = [{"expression": component.licence}]
    if component.purl:
        told["purl"] = component.purl
    if component.url:
        told["externalReferences"] = [{"type": "website", "url": component.url}]
    told["properties"] = [
        *({"name": TEXT, "value": text} for text in component.texts),
        *({"name": MADE_FROM, "value": f"{name} sha256:{sum_}"} for name, sum_ in component.files),
        *({"name": PATCH, "value": patch} for patch in component.patches),
        *([{"name": WITNESS, "value": component.witness}] if component.witness else []),
    ]
    if component.inside:
        inside = sorted(component.inside, key=_key)
        told["components"] = [_component(each, f"{ref}/") for each in inside]
    return told
