"""What distributions, bills within them and the runtime tell of themselves becomes one list."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bundling.bill import bill, described
from bundling.components import Component, Distributions, Notes, each_of, of_runtime
from bundling.lock import BundleError, Pin

METADATA = """\
Metadata-Version: 2.4
Name: cryptography
Version: 50.0.2
License-Expression: Apache-2.0 OR BSD-3-Clause
Project-URL: Homepage, https://example.org/

License: in the text below the head, where it means nothing
"""
NOTES = """\
licences: {}
inside:
  cryptography:
    - {name: openssl, listed: pkg:generic/openssl, licence: Apache-2.0, author: Them, witness: w}
    - {name: libyaml, version: 0.2.5, licence: MIT, url: 'https://example.org/y', author: Her}
"""
CRATES: dict[str, Any] = {
    "components": [
        {
            "name": "openssl",
            "version": "0.10.81",
            "licenses": [{"expression": "Apache-2.0"}],
            "purl": "pkg:cargo/openssl@0.10.81",
            "scope": "required",
            "hashes": [{"alg": "SHA-256", "content": "ab"}],
        },
        {
            "name": "cc",
            "version": "1.4.0",
            "licenses": [{"expression": "MIT"}],
            "purl": "pkg:cargo/cc@1.4.0",
            "scope": "excluded",
        },
    ]
}
OPENSSL: dict[str, Any] = {
    "components": [
        {"name": "openssl", "version": "4.0.3", "purl": "pkg:generic/openssl@4.0.3?download_url=x"}
    ]
}


class Bundled:
    """A site-packages with one distribution, and the wheel that it came from."""

    def __init__(self, root: Path, *, metadata: str = METADATA, notes: str = NOTES) -> None:
        self.root = root
        self.info = root / "site" / "cryptography-50.0.2.dist-info"
        (self.info / "sboms").mkdir(parents=True)
        (self.info / "METADATA").write_text(metadata)
        (self.info / "LICENSE").write_text("text")
        (self.info / "sboms" / "a.json").write_text(json.dumps(CRATES))
        (self.info / "sboms" / "b.json").write_text(json.dumps(OPENSSL))
        (root / "site" / "cryptography").mkdir()
        rust = b"\0GCC: (GNU)\0rustc version 1.98.1 (48a229cea 2026-09-01)\0"
        (root / "site" / "cryptography" / "_rust.abi3.so").write_bytes(rust)
        (root / "notes.yaml").write_text(notes)
        with zipfile.ZipFile(root / "cryptography-50.0.2-cp311-abi3-any.whl", "w"):
            pass

    def describe(self) -> Component:
        notes = Notes.read(self.root / "notes.yaml")
        read = Distributions(notes, self.root, self.root / "site", self.root / "tree")
        return read.describe(Pin("cryptography", "50.0.2", ""))


def test_a_distribution_with_what_lies_within(tmp_path: Path) -> None:
    component = Bundled(tmp_path).describe()
    assert (component.licence, component.url) == (
        "Apache-2.0 OR BSD-3-Clause",
        "https://example.org/",
    )
    assert component.texts == ("licences/cryptography/LICENSE",)
    assert [(c.name, c.version, c.licence, c.witness) for c in component.inside] == [
        ("openssl", "0.10.81", "Apache-2.0", ""),
        ("openssl", "4.0.3", "Apache-2.0", "w"),
        ("libyaml", "0.2.5", "MIT", ""),
        ("rust-std", "1.98.1", "MIT OR Apache-2.0", ""),
    ]
    assert component.inside[1].purl == "pkg:generic/openssl@4.0.3"


def test_a_distribution_that_names_no_licence(tmp_path: Path) -> None:
    metadata = METADATA.replace("License-Expression: Apache-2.0 OR BSD-3-Clause\n", "")
    with pytest.raises(BundleError, match="cryptography: its metadata name no licence"):
        Bundled(tmp_path, metadata=metadata).describe()


def test_a_note_that_nothing_is_left_of(tmp_path: Path) -> None:
    notes = NOTES.replace("pkg:generic/openssl", "pkg:generic/boringssl")
    with pytest.raises(BundleError, match="openssl"):
        Bundled(tmp_path, notes=notes).describe()


def test_the_runtimes_parts(tmp_path: Path) -> None:
    told = {
        "components": [
            {
                "name": "cpython",
                "version": "3.13.5",
                "licence": "PSF-2.0",
                "url": "https://www.python.org/",
                "debian_source": "python3.13",
                "debian_version": "3.13.5-2",
                "files": [{"name": "a.tar.xz", "sha256": "cd"}],
                "patches": [{"name": "CVE-2026-1.patch"}],
            }
        ]
    }
    (tmp_path / "sources.json").write_text(json.dumps(told))
    (tmp_path / "licences" / "cpython").mkdir(parents=True)
    (tmp_path / "licences" / "cpython" / "LICENSE").write_text("text")
    expat = {"name": "expat", "licence": "MIT", "url": "https://x.org/", "author": "They"}
    notes = Notes({}, {"cpython": [expat | {"text": "licences/cpython/other.rst"}]})
    (component,) = of_runtime(tmp_path, notes, tmp_path / "tree")
    assert component.patches == ("CVE-2026-1.patch",)
    assert component.purl == "pkg:deb/debian/python3.13@3.13.5-2?arch=source"
    assert [each.texts for each in each_of((component,))] == [
        ("licences/cpython/LICENSE",),
        ("licences/cpython/other.rst",),
    ]


def test_the_bill_is_the_same_for_the_same_and_in_order(tmp_path: Path) -> None:
    one = Bundled(tmp_path).describe()
    two = Component("attrs", "26.1.0", "MIT", files=(("a", "1"), ("b", "2")), patches=("p",))
    made = bill("0.2.0-1", "abc", 1_700_000_000, described([one, two]))
    assert made == bill("0.2.0-1", "abc", 1_700_000_000, described([two, one]))
    assert made != bill("0.2.0-2", "abc", 1_700_000_000, described([two, one]))
    assert [each["name"] for each in made["components"]] == ["attrs", "cryptography"]
    assert made["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    attrs, cryptography = made["components"]
    assert "hashes" not in attrs
    assert {"name": "vts-autocopy:made-from", "value": "b sha256:2"} in attrs["properties"]
    assert {"name": "vts-autocopy:debian-patch", "value": "p"} in attrs["properties"]
    within = cryptography["components"]
    assert [each["name"] for each in within] == ["libyaml", "openssl", "openssl", "rust-std"]
    assert len({each["bom-ref"] for each in within}) == 4
