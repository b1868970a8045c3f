"""The lock of what is compiled, and what is taken of an archive that has moved on."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.nonstop import TREE
from tests.support.packaging_code import packaging_code

sources = packaging_code("runtime", "compiling.sources")
stages = packaging_code("runtime", "compiling.stages")

LOCK = (TREE / "packaging" / "runtime" / "sources.lock").read_text(encoding="utf-8")
ORIG = "zlib_1.3.1.orig.tar.gz"
UPSTREAM = {ORIG: "a" * 64}
LOCKED = sources.Component(
    name="zlib",
    version="1.3.1",
    licence="Zlib",
    url="https://zlib.net/",
    source="zlib",
    revision="1.3.1-2",
    files={**UPSTREAM, "zlib_1.3.1-2.debian.tar.xz": "b" * 64},
)


def offer(revision: str, files: dict[str, str]) -> object:
    return sources.Offer(revision, {**files, f"zlib_{revision}.dsc": "e" * 64})


THE_LOCKED = offer("1.3.1-2", dict(LOCKED.files))
NEWER_PATCHES = offer(
    "1.3.1-2+deb13u1", {**UPSTREAM, "zlib_1.3.1-2+deb13u1.debian.tar.xz": "c" * 64}
)
NEWEST_PATCHES = offer("1.3.1-10", {**UPSTREAM, "zlib_1.3.1-10.debian.tar.xz": "d" * 64})
NEWER = offer("1:1.2.9-1", {"zlib_1.2.9.orig.tar.gz": "f" * 64})


def test_the_lock_names_every_stage_and_nothing_else() -> None:
    lock = sources.parse_lock(LOCK)
    assert {component.name for component in lock.components} == set(stages.NEEDS)
    assert lock.mirror.startswith("http")
    assert any(suite.endswith("-security") for suite in lock.suites)


def test_the_lock_is_as_a_renewal_would_write_it() -> None:
    heading = "".join(line for line in LOCK.splitlines(keepends=True) if line.startswith("#"))
    assert sources.format_lock(sources.parse_lock(LOCK), heading) == LOCK


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("source_date_epoch:", "epoch:", "a key is missing.*source_date_epoch"),
        ("version: 1.3.1", "version: 1.3.2", "zlib: revision .* is version 1.3.1, not 1.3.2"),
        ("name: libffi", "name: zlib", "listed twice"),
        ("  licence: Zlib", "  license: Zlib", "a key is missing.*licence"),
        ("  licence: Zlib", "  licence: Zlib\n  leaf_out: []", "unknown key: leaf_out"),
        ("revision: 3.4.8-2", "revision: see above", "no version of Debian's"),
        ("libffi_3.4.8.orig.tar.gz: ", "libffi_3.4.8.orig.tar.gz: z", "is no SHA-256 of libffi"),
        ("libffi_3.4.8.orig.tar.gz: ", "libffi.tar.gz: ", "libffi: no file is the upstream"),
        ("libffi_3.4.8.orig.tar.gz: ", "../libffi_3.4.8.orig.tar.gz: ", "no plain file name"),
        ("components:", "components: [", "no YAML"),
    ],
)
def test_a_faulty_lock_is_refused(old: str, new: str, complaint: str) -> None:
    assert old in LOCK
    with pytest.raises(sources.LockError, match=complaint):
        sources.parse_lock(LOCK.replace(old, new, 1))


def test_the_locked_revision_is_taken_although_newer_ones_are_there() -> None:
    choice = sources.choose(LOCKED, [NEWER, NEWEST_PATCHES, THE_LOCKED], strict=True)
    assert (choice.kind, choice.revision, choice.warning) == ("locked", "1.3.1-2", None)
    assert choice.files == LOCKED.files


@pytest.mark.parametrize("strict", [True, False])
def test_without_it_the_newest_of_the_same_upstream_source_is_taken(strict: bool) -> None:
    choice = sources.choose(LOCKED, [NEWER, NEWER_PATCHES, NEWEST_PATCHES], strict=strict)
    assert (choice.kind, choice.revision) == ("patches differ", "1.3.1-10")
    assert choice.files == {**UPSTREAM, "zlib_1.3.1-10.debian.tar.xz": "d" * 64}
    assert "zlib 1.3.1-2 is gone" in choice.warning
    assert "make lock-sources" in choice.warning


def test_the_same_version_with_another_digest_is_not_the_same_source() -> None:
    repacked = offer("1.3.1-3", {ORIG: "0" * 64})
    choice = sources.choose(LOCKED, [repacked], strict=False)
    assert choice.kind == "newer"
    assert "ANOTHER UPSTREAM" in choice.warning


def test_without_any_of_it_the_newest_is_taken_with_a_loud_warning_unless_strict() -> None:
    choice = sources.choose(LOCKED, [NEWER], strict=False)
    assert (choice.kind, choice.revision) == ("newer", "1:1.2.9-1")
    assert "ANOTHER UPSTREAM VERSION (1.2.9, not 1.3.1)" in choice.warning
    with pytest.raises(sources.SourceGone, match="without STRICT=1"):
        sources.choose(LOCKED, [NEWER], strict=True)


def test_a_locked_revision_with_another_digest_is_refused() -> None:
    forged = offer("1.3.1-2", {**LOCKED.files, ORIG: "0" * 64})
    with pytest.raises(sources.SourceGone, match="tampered"):
        sources.choose(LOCKED, [forged, NEWEST_PATCHES], strict=False)


def test_an_archive_without_it_is_said() -> None:
    with pytest.raises(sources.SourceGone, match="no source 'zlib'"):
        sources.choose(LOCKED, [], strict=False)
    with pytest.raises(sources.SourceGone, match="no source 'zlib'"):
        sources.choose_newest("zlib", [])


def test_a_renewal_takes_the_newest() -> None:
    assert sources.choose_newest("zlib", [NEWEST_PATCHES, NEWER]).revision == "1:1.2.9-1"


@pytest.mark.parametrize(
    ("revision", "version"),
    [
        ("3.5.7-1~deb13u2", "3.5.7"),
        ("1:1.3.dfsg+really1.3.1-1", "1.3.1"),
        ("3.13.5-2+deb13u5", "3.13.5"),
        ("2.0-rc1-3", "2.0-rc1"),
    ],
)
def test_the_upstream_version_of_a_revision(revision: str, version: str) -> None:
    assert sources.upstream_version(revision) == version


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("1.0-1", "1.0-2"),
        ("1.9-1", "1.10-1"),
        ("9-1", "1:0-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("3.5.7-1~deb13u2", "3.5.7-1"),
        ("3.5.7-1~deb13u2", "3.5.7-1~deb13u3"),
        ("1.0-1", "1.0-1+deb13u1"),
        ("1.0", "1.0-1"),
        ("1.0a-1", "1.0+dfsg-1"),
        ("1.0-9", "1.0-10"),
    ],
)
def test_revisions_are_ordered_as_debian_orders_them(lower: str, higher: str) -> None:
    assert sources.compare_revisions(lower, higher) < 0
    assert sources.compare_revisions(higher, lower) > 0
    ended = subprocess.run(["dpkg", "--compare-versions", lower, "lt", higher], check=False)
    assert ended.returncode == 0


@given(st.from_regex(r"[0-9][0-9a-c~+.]{0,6}-[0-9a-c~+.]{1,3}", fullmatch=True))
def test_a_revision_equals_itself_and_its_padded_self(revision: str) -> None:
    assert sources.compare_revisions(revision, revision) == 0
    assert sources.compare_revisions(revision, f"0:{revision}") == 0
