"""Settings files outlive releases: this one takes what the one before took, as it was meant there."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.support.former_release import former_release
from tests.support.scratch import scratch_directory
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.naming import PoolId
from vtsfs.contract.settings import parse_settings

pytestmark = [pytest.mark.history]

_READ = """
import json, sys
from pathlib import Path
from vtsfs.contract.settings import parse_settings
read = [parse_settings(Path(name).read_text(), name) for name in sys.argv[1:]]
print(json.dumps([settings.model_dump() for settings in read], default=str))
"""


@pytest.fixture(scope="module")
def former() -> Iterator[Path]:
    """The release before, in a directory of its own."""
    with scratch_directory() as root:
        yield former_release(root / "former")


def files_of(former: Path) -> list[Path]:
    """Return the files that the release before showed, or tested, as good ones."""
    files = [*(former / "tests/settings/valid").glob("*.yaml")]
    return [*files, former / "packaging/examples/vts-autocopy.yaml"]


def run(former: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the packages of the release before."""
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=former, capture_output=True, text=True, check=False)


def plain(value: object) -> object:
    """Return what settings mean, not what they are written as."""
    match value:
        case BaseModel():
            return {name: plain(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {str(key): plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [plain(inner) for inner in value]
        case PoolId():
            return asdict(value)
    return value


def left_out(known: Any, meant: Any, path: str = "") -> list[str]:
    """Name what of *known* is not, or is otherwise, in *meant*, which may say more."""
    if isinstance(known, dict) and isinstance(meant, dict):
        return [
            fault
            for key, value in known.items()
            for fault in left_out(value, meant.get(key, "nothing"), f"{path}.{key}")
        ]
    if isinstance(known, list) and isinstance(meant, list) and len(known) == len(meant):
        pairs = enumerate(zip(known, meant, strict=True))
        return [fault for n, pair in pairs for fault in left_out(*pair, f"{path}[{n}]")]
    return [] if known == meant else [f"{path}: {known!r} was meant, and now {meant!r} is"]


def test_every_file_that_the_release_before_took_means_the_same(former: Path) -> None:
    files = files_of(former)
    assert len(files) > 5
    ended = run(former, "-c", _READ, *map(str, files))
    assert not ended.returncode, ended.stderr
    for file, known in zip(files, json.loads(ended.stdout), strict=True):
        meant = parse_settings(file.read_text(encoding="utf-8"), file.name)
        assert left_out(known, json.loads(json.dumps(plain(meant), default=str))) == []


def test_the_release_before_refuses_keys_that_only_this_one_knows(former: Path) -> None:
    text = (former / "tests/settings/valid/smallest.yaml").read_text(encoding="utf-8")
    newer = former / "newer.yaml"
    newer.write_text(f"{text}\nhistory: {{keep: 30d}}\n", encoding="utf-8")
    parse_settings(newer.read_text(encoding="utf-8"), newer.name)
    ended = run(former, "-m", "copyagent", "--config", str(newer), "check")
    assert ended.returncode == SettingsError.exit_code
    assert "history: no such setting" in ended.stdout + ended.stderr
