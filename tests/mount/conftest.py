"""A vault on a real kernel mount for every test here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attached_vault import Follower, Vault, attached_vault


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.mount)


@pytest.fixture
def vault(scratch: Path) -> Iterator[Vault]:
    with attached_vault(scratch) as attached:
        yield attached


@pytest.fixture
def feed(vault: Vault) -> Iterator[Follower]:
    with vault.follow() as follower:
        yield follower
