"""What an archive's index says, and what is kept of it."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.nonstop import TREE
from tests.support.packaging_code import packaging_code

sources = packaging_code("runtime", "compiling.sources")
archive = packaging_code("runtime", "compiling.archive")

LOCK = sources.parse_lock(
    (TREE / "packaging" / "runtime" / "sources.lock").read_text(encoding="utf-8")
)
INDEX = """\
Package: zlib
Binary: zlib1g,
 zlib1g-dev
Version: 1:1.3.1-1
Checksums-Sha256:
 {a} 1325737 zlib_1.3.1.orig.tar.gz
 {b} 16576 zlib_1.3.1-1.debian.tar.xz
Homepage: http://zlib.net/

Package: zlib
Version: 1:1.3.1-1+deb13u1
Checksums-Sha256:
 {a} 1325737 zlib_1.3.1.orig.tar.gz

""".format(a="a" * 64, b="b" * 64)
DIGEST_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.fixture
def kept(tmp_path: Path) -> Any:
    return archive.Archive(LOCK, tmp_path / "kept", tmp_path / "scratch")


def test_an_index_lists_revisions_and_digests() -> None:
    first, second = archive.parse_index(INDEX)
    assert first.revision == "1:1.3.1-1"
    assert first.files == {
        "zlib_1.3.1.orig.tar.gz": "a" * 64,
        "zlib_1.3.1-1.debian.tar.xz": "b" * 64,
    }
    assert second.revision == "1:1.3.1-1+deb13u1"


def test_security_fixes_are_asked_for_where_they_are() -> None:
    lines = list(archive.source_lines(LOCK))
    assert all(line.startswith(f"deb-src [signed-by={LOCK.keyring}] http") for line in lines)
    (security,) = [line for line in lines if "trixie-security" in line]
    assert "/debian-security trixie-security main" in security


def test_a_file_is_kept_by_its_digest(kept: Any, tmp_path: Path) -> None:
    arrived = tmp_path / "a.orig.tar.gz"
    arrived.write_bytes(b"abc")
    kept.keep(arrived, DIGEST_OF_ABC)
    assert kept.path("a.orig.tar.gz", DIGEST_OF_ABC).read_bytes() == b"abc"


def test_a_file_with_another_digest_is_refused_and_not_kept(kept: Any, tmp_path: Path) -> None:
    arrived = tmp_path / "a.orig.tar.gz"
    arrived.write_bytes(b"abd")
    with pytest.raises(archive.ArchiveError, match=r"a\.orig\.tar\.gz has SHA-256 .* should have"):
        kept.keep(arrived, DIGEST_OF_ABC)
    assert not kept.path("a.orig.tar.gz", DIGEST_OF_ABC).exists()


def test_a_file_that_did_not_arrive_is_said(kept: Any, tmp_path: Path) -> None:
    with pytest.raises(archive.ArchiveError, match="was not fetched"):
        kept.keep(tmp_path / "a.orig.tar.gz", DIGEST_OF_ABC)


def test_what_is_kept_is_not_asked_for(kept: Any, tmp_path: Path) -> None:
    arrived = tmp_path / "a_1.orig.tar.gz"
    arrived.write_bytes(b"abc")
    kept.keep(arrived, DIGEST_OF_ABC)
    component = sources.Component(
        "a", "1", "MIT", "https://a.example/", "a", "1-1", {arrived.name: DIGEST_OF_ABC}
    )
    choice = kept.obtain(component, strict=True)
    assert (choice.kind, choice.files) == ("locked", component.files)
    assert not (tmp_path / "scratch").exists()


def test_what_is_listed_but_not_there_is_as_good_as_gone() -> None:
    offers = list(archive.parse_index(INDEX))
    fetched: list[str] = []

    def fetch(choice: Any) -> None:
        fetched.append(choice.revision)
        if choice.revision.endswith("deb13u1"):
            raise archive.NotThere("404")

    def newest(left: Any) -> Any:
        return sources.choose_newest("zlib", left)

    choice, missing = archive.first_there(offers, newest, fetch)
    assert (choice.revision, missing) == ("1:1.3.1-1", ["1:1.3.1-1+deb13u1"])
    assert fetched == ["1:1.3.1-1+deb13u1", "1:1.3.1-1"]


def test_an_archive_that_has_nothing_of_what_it_lists_is_said() -> None:
    def fetch(choice: Any) -> None:
        raise archive.NotThere(f"{choice.revision}: 404")

    with pytest.raises(archive.NotThere, match=r"1:1\.3\.1-1: 404"):
        archive.first_there(
            list(archive.parse_index(INDEX)),
            lambda left: sources.choose_newest("zlib", left),
            fetch,
        )
