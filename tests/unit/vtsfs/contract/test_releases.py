"""What is said of a release that runs beside the one that is installed."""

import pytest

from vtsfs.contract.releases import other_release


@pytest.mark.parametrize(
    ("running", "installed", "said"),
    [
        ("0.2.0-1", "0.2.1-1", "0.2.0-1 is running, 0.2.1-1 is installed"),
        ("0.2.1-1", "0.2.1-1", ""),
        ("0.2.0", None, ""),
        ("", "0.2.1-1", ""),
    ],
)
def test_what_is_said_of_both(running: str, installed: str | None, said: str) -> None:
    assert other_release(running, installed) == said
