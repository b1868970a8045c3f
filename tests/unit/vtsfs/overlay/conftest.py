from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.overlay_rig import backing_directory


@pytest.fixture
def backing() -> Iterator[Path]:
    with backing_directory() as top:
        yield top
