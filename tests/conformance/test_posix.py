"""The overlay behaves as the file system below it: one suite, on both."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attached_vault import attached_vault
from tests.support.mountpoint import remove_tree, unmounted_after
from tests.support.posix_suite import ALL

SCRATCH = os.environ.get("VTS_TEST_SCRATCH", "/var/tmp")


@pytest.fixture(scope="module")
def mounted() -> Iterator[Path]:
    """Give one mount that all cases share."""
    directory = Path(tempfile.mkdtemp(prefix="vts-", dir=SCRATCH))
    with unmounted_after(directory), attached_vault(directory) as vault:
        yield vault.mount
    remove_tree(directory)


@pytest.fixture(params=["plain", pytest.param("mount", marks=pytest.mark.mount)])
def place(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give an empty directory: on the disk itself, then on the mount, where it is a pool."""
    above = SCRATCH if request.param == "plain" else request.getfixturevalue("mounted")
    top = Path(tempfile.mkdtemp(prefix="CASE", dir=above))
    os.chmod(top, 0o755)  # noqa: S103 - other users of the cases come through here
    yield top
    shutil.rmtree(top)


@pytest.mark.parametrize("case", ALL)
def test_behaves_as_posix_says(case: str, place: Path) -> None:
    ALL[case](place)
