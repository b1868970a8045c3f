"""The command that builds: its cache, its refusals, the tools it tells of."""

import subprocess
from pathlib import Path

import pytest

from tests.support.nonstop import TREE
from tests.support.packaging_code import packaging_code

build = packaging_code("runtime", "compiling.build")

PLACE = TREE / "packaging" / "runtime"


@pytest.mark.parametrize(
    ("environment", "directory"),
    [
        ({"VTS_PACKAGES_CACHE": "/srv/cache", "HOME": "/root"}, "/srv/cache"),
        ({"XDG_CACHE_HOME": "/srv", "HOME": "/root"}, "/srv/vts-autocopy"),
        ({"HOME": "/home/op", "XDG_CACHE_HOME": ""}, "/home/op/.cache/vts-autocopy"),
    ],
)
def test_where_the_cache_is(environment: dict[str, str], directory: str) -> None:
    assert build.cache_directory(environment) == Path(directory)


def test_every_tool_is_locked_with_its_digest() -> None:
    text = (PLACE / "tools.lock").read_text(encoding="utf-8")
    tools = build.tools_of(text)
    assert [tool["name"] for tool in tools] == ["ziglang", "meson", "ninja"]
    assert len(tools) == sum(not line.startswith("#") for line in text.splitlines())


def test_an_argument_is_refused() -> None:
    ended = subprocess.run(
        [PLACE / "build", "--fast"], capture_output=True, text=True, check=False, timeout=30.0
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "there are no arguments" in ended.stderr
