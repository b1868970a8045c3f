import os
from grp import getgrgid
from pathlib import Path

import pytest

from vtsfs.contract.errors import StateError
from vtsfs.contract.settings import Service
from vtsfs.runtime.shown_files import write_shown

OURS = getgrgid(os.getegid()).gr_name


def seen(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mode & 0o777, found.st_gid


@pytest.mark.parametrize(
    ("service", "mode"),
    [
        (Service(), 0o600),
        (Service(group=OURS), 0o640),
        (Service(operators=OURS), 0o640),
        (Service(group=OURS, operators="root"), 0o640),
    ],
)
def test_it_is_for_those_who_may_look(tmp_path: Path, service: Service, mode: int) -> None:
    path = tmp_path / "status.json"
    path.write_bytes(b"old")
    path.chmod(0o644)
    write_shown(path, b"new", service)
    assert path.read_bytes() == b"new"
    assert seen(path) == (mode, os.getegid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to any group")
def test_the_group_that_looks_goes_before_that_of_operators(tmp_path: Path) -> None:
    write_shown(tmp_path / "f", b"", Service(group="daemon", operators="bin"))
    assert getgrgid((tmp_path / "f").stat().st_gid).gr_name == "daemon"
    write_shown(tmp_path / "f", b"", Service(operators="bin"))
    assert getgrgid((tmp_path / "f").stat().st_gid).gr_name == "bin"


@pytest.mark.parametrize(
    ("service", "key"),
    [
        (Service(group="nobody-has-this"), r"service\.group"),
        (Service(operators="nobody-has-this"), r"service\.operators"),
    ],
)
def test_a_group_that_there_is_not(tmp_path: Path, service: Service, key: str) -> None:
    with pytest.raises(StateError, match=key):
        write_shown(tmp_path / "f", b"", service)
    assert list(tmp_path.iterdir()) == []
