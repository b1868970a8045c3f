"""Running and installed version, by what lies in a scratch directory."""

import subprocess
import sys
from pathlib import Path

import pytest

import vtsfs
from tests.support.nonstop import TREE
from vtsfs.runtime.releases import installed_release, running_release


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """Two versions, the later one installed."""
    versions = tmp_path / "usr" / "lib" / "vts-autocopy"
    for name in ("0.2.0-1", "0.2.1-1"):
        (versions / name).mkdir(parents=True)
    (versions / "current").symlink_to("0.2.1-1")
    return versions


def test_a_process_is_of_the_version_it_was_started_from(versions: Path) -> None:
    assert running_release(str(versions / "0.2.0-1")) == "0.2.0-1"
    assert running_release(str(versions / "0.2.1-1")) == "0.2.1-1"


def test_installed_is_what_the_link_names_now(versions: Path) -> None:
    prefix = str(versions / "0.2.0-1")
    assert installed_release(prefix) == "0.2.1-1"
    (versions / "current").unlink()
    (versions / "current").symlink_to(versions / "0.2.0-1")
    assert installed_release(prefix) == "0.2.0-1"


def test_while_another_version_is_being_installed_the_former_one_is(versions: Path) -> None:
    (versions / "current").unlink()
    (versions / "current").symlink_to("0.2.0-1~kept")
    assert installed_release(str(versions / "0.2.0-1")) == "0.2.0-1"
    assert running_release(str(versions / "0.2.0-1~kept")) == "0.2.0-1"


def test_what_was_removed_is_not_installed(versions: Path) -> None:
    (versions / "current").unlink()
    assert installed_release(str(versions / "0.2.0-1")) is None
    assert running_release(str(versions / "0.2.0-1")) == "0.2.0-1"


def test_from_source_the_version_is_the_source_s_and_nothing_is_installed(tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("elsewhere")
    assert running_release(str(tmp_path / ".venv")) == vtsfs.__version__
    assert installed_release(str(tmp_path / ".venv")) is None


def test_who_was_started_by_way_of_the_link_is_of_the_version_it_named_then(versions: Path) -> None:
    make = [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(versions / "0.2.1-1")]
    subprocess.run(make, check=True, capture_output=True)
    code = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(TREE)!r})\n"
        "from vtsfs.runtime.releases import installed_release, running_release\n"
        f"os.unlink({str(versions / 'current')!r})\n"
        f"os.symlink('0.2.0-1', {str(versions / 'current')!r})\n"
        "print(running_release(), installed_release())\n"
    )
    through_the_link = [str(versions / "current" / "bin" / "python"), "-c", code]
    done = subprocess.run(through_the_link, check=True, capture_output=True, text=True)
    assert done.stdout == "0.2.1-1 0.2.0-1\n"
