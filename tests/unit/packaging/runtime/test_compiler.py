"""What the compiler is told, whoever calls it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.nonstop import TREE

COMPILER = TREE / "packaging" / "runtime" / "compiler"


class Bench:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        shutil.copy(COMPILER, directory / "compiler")
        for name in ("cc", "c++", "ar"):
            (directory / name).symlink_to("compiler")
        zig = directory / "zig" / "zig"
        zig.parent.mkdir()
        zig.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        zig.chmod(0o755)

    def told(self, name: str, *arguments: str) -> list[str]:
        ended = subprocess.run(
            [self.directory / name, *arguments],
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return ended.stdout.splitlines()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.mark.parametrize("name", ["cc", "c++"])
def test_everything_is_compiled_for_the_old_glibc_and_names_no_place(
    bench: Bench, name: str
) -> None:
    told = bench.told(name, "-c", "a file.c")
    assert told[:3] == [name, "-target", "x86_64-linux-gnu.2.28"]
    assert "-ffile-prefix-map=/var/tmp/vts-autocopy-build=/usr/src/vts-autocopy" in told
    assert "-fstack-protector-strong" in told
    assert told[-2:] == ["-c", "a file.c"]


def test_libc_checks_buffers_where_it_can(bench: Bench) -> None:
    assert "-D_FORTIFY_SOURCE=2" in bench.told("cc", "-O2", "-c", "a.c")
    assert "-D_FORTIFY_SOURCE=2" not in bench.told("cc", "-O0", "-c", "a.c")
    assert "-D_FORTIFY_SOURCE=2" not in bench.told("cc", "-c", "a.c")


def test_standard_input_is_c(bench: Bench) -> None:
    assert bench.told("cc", "-E", "-dM", "-")[-5:] == ["-x", "c", "-E", "-dM", "-"]


def test_the_archiver_is_told_nothing_more(bench: Bench) -> None:
    assert bench.told("ar", "rcs", "a.a", "a.o") == ["ar", "rcs", "a.a", "a.o"]
