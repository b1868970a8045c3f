"""``copyagent version`` tells the release and what is bundled, from a package and from source."""

import json
from pathlib import Path
from typing import Any

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.version import describe, lines_of
from tests.support.documents import check_document
from vtsfs import __version__
from vtsfs.contract.errors import StateError
from vtsfs.runtime.exits import run_cli

BILL: dict[str, Any] = {
    "components": [
        {
            "name": "cryptography",
            "version": "50.0.2",
            "hashes": [{"alg": "SHA-256", "content": "ab" * 32}],
            "licenses": [{"expression": "Apache-2.0 OR BSD-3-Clause"}],
            "externalReferences": [{"type": "website", "url": "https://example.org/"}],
            "properties": [
                {"name": "vts-autocopy:licence-text", "value": "licences/cryptography/LICENSE"},
                {"name": "vts-autocopy:made-from", "value": "a.whl sha256:ab"},
            ],
            "components": [
                {"name": "openssl", "version": "4.0.3", "licenses": [{"expression": "Apache-2.0"}]},
                {"name": "libffi", "licenses": [{"expression": "MIT"}]},
            ],
        }
    ]
}


def packaged(directory: Path) -> Path:
    tree = directory / "vts-autocopy" / "0.2.0-1"
    tree.mkdir(parents=True)
    (tree.parent / "current").symlink_to("0.2.0-2")
    (tree / "sbom.json").write_text(json.dumps(BILL))
    return tree


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = run_cli(copyagent, program="copyagent", args=["--config", "/no/such", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_from_source_nothing_is_bundled_and_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    status, out, err = run(capsys, "version", "--bundled")
    assert (status, err) == (0, "")
    assert out.startswith(f"copyagent {__version__}\n")
    assert "Nothing is bundled: this runs from source" in out
    status, out, _ = run(capsys, "version", "--bundled", "--json")
    document = json.loads(out)
    check_document("version", document)
    assert (document["bundled"], document["directory"], document["installed"]) == ([], None, None)
    status, out, _ = run(capsys, "version")
    assert status == 0
    assert "bundled" not in out


def test_a_package_lists_what_is_in_it_and_within_that(tmp_path: Path) -> None:
    tree = packaged(tmp_path)
    document = describe(tree, bundled=True)
    check_document("version", document)
    assert [(part["name"], part["version"], part["within"]) for part in document["bundled"]] == [
        ("cryptography", "50.0.2", None),
        ("openssl", "4.0.3", "cryptography"),
        ("libffi", None, "cryptography"),
    ]
    first = document["bundled"][0]
    assert first["sha256"] == "ab" * 32
    assert first["texts"] == ["licences/cryptography/LICENSE"]
    lines = list(lines_of(document))
    assert lines[0] == "copyagent 0.2.0-1"
    assert "0.2.0-1 is running, 0.2.0-2 is installed" in lines[1]
    assert "cryptography  50.0.2    Apache-2.0 OR BSD-3-Clause" in lines
    assert "  libffi      not told  MIT" in lines
    assert f"{tree}/licences" in lines[-1]


def test_without_being_asked_for_it_the_list_is_not_even_read(tmp_path: Path) -> None:
    tree = packaged(tmp_path)
    (tree / "sbom.json").unlink()
    document = describe(tree, bundled=False)
    check_document("version", document)
    assert document["bundled"] is None
    assert list(lines_of(document))[-1] == f"in {tree}"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"components": [{"name": "x"}]}'])
def test_a_list_that_is_damaged_is_said_to_be_with_its_remedy(tmp_path: Path, text: str) -> None:
    tree = packaged(tmp_path)
    (tree / "sbom.json").write_text(text)
    with pytest.raises(StateError, match=r"(?s)sbom\.json cannot be read .*'dpkg -V"):
        describe(tree, bundled=True)
