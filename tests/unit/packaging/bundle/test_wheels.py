"""A wheel is unpacked as it was published, compared with its own list, and without its history."""

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from bundling.lock import BundleError, Pin, digest_of, read_lock, requirements
from bundling.wheels import drop_record, find_wheel, unpack

LOCK = """\
# made by somebody
blake3==1.0.11 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
pyfuse3==3.5.0 \\
    --hash=sha256:cc
"""


def wheel(path: Path, files: dict[str, str], *, forged: str = "") -> Path:
    rows = []
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            listed = "something else" if name == forged else text
            digest = hashlib.sha256(listed.encode()).digest()
            code = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            rows.append(f"{name},sha256={code},{len(text)}")
        archive.writestr("x-1.dist-info/RECORD", "\n".join([*rows, "x-1.dist-info/RECORD,,"]))
    return path


def test_what_a_wheel_has_for_the_tree_and_nothing_else(tmp_path: Path) -> None:
    made = wheel(
        tmp_path / "x.whl",
        {
            "x/__init__.py": "one",
            "x-1.data/platlib/x/two.py": "two",
            "x-1.data/scripts/x": "#!python",
            "x-1.data/headers/x.h": "",
            "x-1.dist-info/METADATA": "Name: x",
            "x-1.dist-info/INSTALLER": "pip",
        },
    )
    site = tmp_path / "site"
    unpack(made, site)
    drop_record(site)
    assert sorted(str(p.relative_to(site)) for p in site.rglob("*") if p.is_file()) == [
        "x-1.dist-info/METADATA",
        "x/__init__.py",
        "x/two.py",
    ]


def test_a_file_that_is_not_what_the_list_says(tmp_path: Path) -> None:
    made = wheel(tmp_path / "x.whl", {"x.py": "one"}, forged="x.py")
    with pytest.raises(BundleError, match=r"x\.py is not what the wheel's list says"):
        unpack(made, tmp_path / "site")


@pytest.mark.parametrize("name", ["../x.py", "/x.py", "x/../../y.py"])
def test_a_file_that_would_lie_outside(tmp_path: Path, name: str) -> None:
    made = wheel(tmp_path / "x.whl", {name: "one"})
    with pytest.raises(BundleError, match="outside of the tree"):
        unpack(made, tmp_path / "site")


def test_the_lock_is_read_with_its_digests(tmp_path: Path) -> None:
    path = tmp_path / "requirements.lock"
    path.write_text(LOCK)
    pins = read_lock(path)
    assert {name: pin.version for name, pin in pins.items()} == {
        "blake3": "1.0.11",
        "pyfuse3": "3.5.0",
    }
    lines = requirements(pins, {"pyfuse3"})
    assert lines == "pyfuse3==3.5.0 \\\n    --hash=sha256:cc\n"
    path.write_text("blake3==1.0.11\n")
    with pytest.raises(BundleError, match="blake3 has no digest"):
        read_lock(path)


def test_a_wheel_that_is_not_in_the_cache(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="blake3 1 is there 0 times"):
        find_wheel(tmp_path, Pin("blake3", "1", ""))


def test_the_digest_of_parts_tells_them_apart() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")
    assert digest_of("a", b"b") == digest_of("a", "b")
