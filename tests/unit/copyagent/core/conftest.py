"""What every conversation with the engine begins with."""

import pytest

from tests.support.histories import Overlay


@pytest.fixture
def overlay() -> Overlay:
    """An overlay that has said nothing yet."""
    return Overlay()
