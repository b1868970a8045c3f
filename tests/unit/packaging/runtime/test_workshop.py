"""One build at a time in the one place, results whole or not at all, failures told with their log."""

import io
import os
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.packaging_code import packaging_code

sources = packaging_code("runtime", "compiling.sources")
archive = packaging_code("runtime", "compiling.archive")
workshop = packaging_code("runtime", "compiling.workshop")

EPOCH = 1_700_000_000
PATCH = """\
--- a/greeting
+++ b/greeting
@@ -1 +1 @@
-hello
+hello, patched
"""


def pack(path: Path, files: dict[str, str]) -> str:
    with tarfile.open(path, "w:xz") as packed:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            packed.addfile(entry, io.BytesIO(text.encode()))
    digest: str = archive.sha256_of(path)
    return digest


class Bench:
    """A workshop in a directory of its own, with one component to compile and a recipe for it."""

    def __init__(self, directory: Path, taken: Any) -> None:
        self.cache = directory / "cache"
        lock = sources.Lock(EPOCH, "http://a.example", "/none", ("stable",), ())
        self.archive = archive.Archive(lock, self.cache / "sources", directory / "scratch")
        self.shop = workshop.Workshop(
            taken, self.cache, self.archive, epoch=EPOCH, recipes=directory / "recipes"
        )
        self.recipe = directory / "recipes" / "greeting"
        self.recipe.parent.mkdir()
        self.tools = directory / "tools"
        ninja = self.tools / "ninja-1.data" / "scripts" / "ninja"
        ninja.parent.mkdir(parents=True)
        ninja.touch()
        orig = directory / "greeting_1.orig.tar.xz"
        debian = directory / "greeting_1-1.debian.tar.xz"
        files = {
            orig.name: pack(orig, {"greeting-1/greeting": "hello\n"}),
            debian.name: pack(
                debian,
                {
                    "debian/patches/series": "layout.diff\nfix.patch\n",
                    "debian/patches/layout.diff": "does not fit anything",
                    "debian/patches/fix.patch": PATCH,
                },
            ),
        }
        for file in (orig, debian):
            self.archive.keep(file, files[file.name])
        self.files = files

    def compile(self, recipe: str, leave_out: tuple[str, ...] = ("layout.diff",)) -> Path:
        self.recipe.write_text(recipe)
        component = sources.Component(
            "greeting", "1", "MIT", "https://a.example", "g", "1-1", self.files, leave_out
        )
        choice = sources.Choice("locked", "1-1", self.files)
        stage = workshop.Stage(component, choice, "0123456789abcdef0", ())
        result: Path = self.shop.result(stage, self.tools)
        return result


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with workshop.taken(tmp_path / "place") as taken:
        yield Bench(tmp_path, taken)


INSTALL = 'mkdir -p "$OUT$DEPS"\ncp -p greeting "$OUT$DEPS/"\nlicence greeting LICENSE\n'


def test_a_result_is_compiled_once_out_of_patched_sources(bench: Bench) -> None:
    result = bench.compile(INSTALL)
    assert (result / "files" / "greeting").read_text() == "hello, patched\n"
    assert (result / "files" / "greeting").stat().st_mtime == EPOCH
    assert (result / "licences" / "LICENSE").is_file()
    assert (result / "patches.json").read_text() == (
        '{"applied": ["fix.patch"], "left_out": ["layout.diff"]}'
    )
    assert bench.compile("exit 1") == result


def test_nothing_of_the_callers_environment_gets_into_what_is_compiled(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-march=native")
    result = bench.compile(f"env >greeting\n{INSTALL}")
    told = (result / "files" / "greeting").read_text()
    assert "march" not in told
    assert f"SOURCE_DATE_EPOCH={EPOCH}\n" in told
    assert "TZ=UTC\n" in told


def test_a_patch_that_does_not_fit_is_named_with_what_to_do(bench: Bench) -> None:
    with pytest.raises(workshop.BuildError, match=r"layout\.diff does not fit.*\n[^$]*leave_out"):
        bench.compile(INSTALL, leave_out=())


def test_a_failure_shows_the_end_of_the_log_and_where_it_is(bench: Bench) -> None:
    with pytest.raises(workshop.BuildError) as failure:
        bench.compile("echo no tclsh here\nexit 3\n")
    assert "\nno tclsh here\n" in str(failure.value)
    log = bench.cache / "logs" / "greeting.log"
    assert f"The last lines of {log}" in str(failure.value)
    assert "no tclsh here" in log.read_text()
    assert not (bench.cache / "stages").exists()


def test_a_result_arrives_whole_or_not_at_all(bench: Bench) -> None:
    kept = bench.cache / "stages" / "half"

    def half() -> None:
        with bench.shop.arriving(kept) as arriving:
            (arriving / "first").touch()
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        half()
    assert list(kept.parent.iterdir()) == []


def test_two_builds_do_not_meet_in_the_place(tmp_path: Path) -> None:
    place = tmp_path / "place"
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with workshop.taken(place):
            order.append("second")

    other = threading.Thread(target=second)
    with workshop.taken(place):
        other.start()
        assert waiting.wait(5.0)
        other.join(0.05)
        order.append("first")
    other.join(5.0)
    assert order == ["first", "second"]
    assert not place.exists()


def test_what_others_keep_in_the_place_stays(tmp_path: Path) -> None:
    place = tmp_path / "place"
    with workshop.taken(place):
        (place / "runtime").mkdir()
        (place / "another").mkdir()
    assert [path.name for path in place.iterdir()] == ["another"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_place_of_another_user_is_not_taken(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    os.chown(place, 12345, 12345)
    with pytest.raises(workshop.BuildError, match=r"another user \(number 12345\)"):
        with workshop.taken(place):
            pass
    assert place.exists()


def test_too_little_space_is_said_before_anything_is_begun(tmp_path: Path) -> None:
    with pytest.raises(workshop.BuildError, match=r"has \d+ MB free, and 1000000000 MB are needed"):
        workshop.check_space(tmp_path, needed_mb=1_000_000_000)
    workshop.check_space(tmp_path, needed_mb=1)
