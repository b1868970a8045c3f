"""What both packages hold is one list; what it says is what is laid out."""

import gzip
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.nonstop import TREE
from tests.support.program_file import program

stage = program("packaging/contents/stage.py")
LIST = (TREE / "packaging" / "contents" / "files").read_text()
VALUES = {"VERSION": "1.2.3-4", "TREE": "/t", "COMPLETION": "/c", "MADE": "/m"}
EPOCH = 1_700_000_000


def lines(text: str) -> list[tuple[str, int | None, str, str]]:
    read = stage.read_list(text, {})
    return [(each.kind, each.mode, each.destination, each.source) for each in read]


def test_a_line() -> None:
    text = "# why\n\nfile 0755 /usr/bin/x a/b\ndir 0700 /etc/x\nlink - /usr/bin/y ../z\n"
    assert lines(text) == [
        ("file", 0o755, "/usr/bin/x", "a/b"),
        ("dir", 0o700, "/etc/x", ""),
        ("link", None, "/usr/bin/y", "../z"),
    ]


@pytest.mark.parametrize(
    "line", ["file 0644 /a", "dir 0755 /a b", "what 0644 /a b", "file 0644 a b", "file 0644 /@X@ b"]
)
def test_a_line_that_makes_no_sense(line: str) -> None:
    with pytest.raises(ValueError, match=r"line 1 .* makes no sense"):
        stage.read_list(line, {"VERSION": "1"})


@pytest.fixture
def laid_out(tmp_path: Path) -> Path:
    """Lay out a list with something of each kind, as somebody with a narrow umask."""
    source = tmp_path / "source"
    (source / "units").mkdir(parents=True)
    for name in ("page.8", "units/b.service", "units/a.service", "units/notes"):
        (source / name).write_text(name)
    (tmp_path / "tree" / "bin").mkdir(parents=True)
    (tmp_path / "tree" / "bin" / "run").write_text("#!/bin/sh\n")
    (tmp_path / "tree" / "bin" / "run").chmod(0o700)
    (tmp_path / "tree" / "bin" / "again").symlink_to("run")
    listed = tmp_path / "files"
    listed.write_text(
        "file 0644 /usr/share/man/page.8.gz page.8\n"
        "file 0600 /lib/units/ units/*.service\n"
        "conf 0644 /etc/x.conf page.8\n"
        "dir 0700 /etc/keys\n"
        f"tree - /usr/lib/x {tmp_path}/tree\n"
        "link - /usr/bin/run ../lib/x/bin/run\n"
    )
    command: list[str | Path] = [sys.executable, TREE / "packaging/contents/stage.py"]
    command += ["--list", listed, "--source", source, "--out", tmp_path / "out"]
    subprocess.run(
        [*command, "--rpm-list", tmp_path / "rpm"],
        check=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH)},
        umask=0o077,
    )
    return tmp_path / "out"


def test_what_is_laid_out(laid_out: Path) -> None:
    page = (laid_out / "usr/share/man/page.8.gz").read_bytes()
    assert gzip.decompress(page) == b"page.8"
    assert page[4:8] == bytes(4), "the time of a compression differs from build to build"
    assert os.readlink(laid_out / "usr/bin/run") == "../lib/x/bin/run"
    assert os.readlink(laid_out / "usr/lib/x/bin/again") == "run"
    assert {place.lstat().st_mtime for place in (laid_out, *laid_out.rglob("*"))} == {EPOCH}


def test_modes_are_those_of_the_list_whoever_builds(laid_out: Path) -> None:
    found = {
        str(place.relative_to(laid_out)): stat.S_IMODE(place.lstat().st_mode)
        for place in laid_out.rglob("*")
        if not place.is_symlink()
    }
    below_usr = ("bin", "lib", "lib/x", "lib/x/bin", "share", "share/man")
    directories = ("etc", "lib", "lib/units", "usr", *(f"usr/{name}" for name in below_usr))
    assert found == {
        **dict.fromkeys(directories, 0o755),
        "etc/keys": 0o700,
        "etc/x.conf": 0o644,
        "lib/units/a.service": 0o600,
        "lib/units/b.service": 0o600,
        "usr/lib/x/bin/run": 0o755,
        "usr/share/man/page.8.gz": 0o644,
    }


def test_the_list_of_an_rpm(laid_out: Path) -> None:
    assert laid_out.with_name("rpm").read_text().splitlines() == [
        "/usr/share/man/page.8.gz",
        "/lib/units/a.service",
        "/lib/units/b.service",
        "%config(noreplace) /etc/x.conf",
        "%dir /etc/keys",
        "/usr/lib/x",
        "/usr/bin/run",
    ]


def test_a_pattern_that_nothing_fits_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="units"):
        stage.stage(stage.read_list("file 0644 /lib/ units/*", {}), tmp_path, tmp_path / "out")


def test_every_source_of_the_list_is_in_the_repository() -> None:
    made = ("/t", "/c", "/m", "..")
    for line in stage.read_list(LIST, VALUES):
        if line.source and not line.source.startswith(made):
            assert list(TREE.glob(line.source)), f"{line.source} is not there"


def test_every_manual_page_and_unit_is_on_the_list() -> None:
    installed = [line.destination for line in stage.read_list(LIST, VALUES)]
    for page in (TREE / "man").glob("*.[0-9]"):
        assert f"/usr/share/man/man{page.suffix[1:]}/{page.name}.gz" in installed
    for directory in ("sysusers.d", "tmpfiles.d"):
        names = [path.name for path in (TREE / "packaging" / directory).iterdir()]
        assert all(f"/usr/lib/{directory}/{name}" in installed for name in names)
    assert {path.suffix for path in (TREE / "packaging/systemd").iterdir()} == {".service"}


def test_what_the_manual_calls_a_file_of_the_package_is_one() -> None:
    text = (TREE / "man" / "vts-autocopy.7").read_text()
    installed = [line.destination for line in stage.read_list(LIST, VALUES)]
    named = set(re.findall(r"(/usr/share/(?:vts-autocopy|doc)/\S+|/etc/logrotate\.d/\S+)", text))
    assert named
    for path in named:
        assert any(each.startswith(path) for each in installed), path
