from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import trio

from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.licence import Permission, day_of
from copyagent.core.time import Moment
from copyagent.licence.desk import LicenceDesk
from copyagent.licence.place import find_licence
from tests.support.example_settings import example_settings
from tests.support.histories import START_NS
from tests.support.licences import TERMS, Issuer
from vtsfs.contract.errors import LicenceInvalid, RequestFailed, StateError

ISSUER = Issuer()
GOOD = replace(TERMS, issued=day_of(START_NS), expires=day_of(START_NS) + timedelta(365))


@pytest.fixture
def desk(tmp_path: Path) -> LicenceDesk:
    book = Book(example_settings(tmp_path), licence=Permission(required=True))
    engine = Engine(book)

    async def ask(question: Callable[[Moment], object]) -> object:
        await trio.lowlevel.checkpoint()
        return question(Moment(0.0, START_NS))

    path = tmp_path / "licence.json"
    return LicenceDesk(path, [ISSUER.public], engine.licensing, ask, lambda: START_NS)


async def test_installed_and_removed(desk: LicenceDesk) -> None:
    await desk.install(ISSUER.issue(GOOD), "ordered", "anna")
    permission = replace(desk.licensing.licence)
    assert permission.found == find_licence(desk.path, [ISSUER.public])
    assert permission.found.terms == GOOD
    assert permission.closed is None
    await desk.remove("sold", "bert")
    permission = replace(desk.licensing.licence)
    assert permission.found == find_licence(desk.path, [ISSUER.public])
    assert (permission.found.user, permission.found.because) == ("bert", "sold")
    assert permission.closed is not None
    with pytest.raises(RequestFailed, match="nothing to remove"):
        await desk.remove("sold", "bert")


async def test_what_is_refused_changes_neither_file_nor_agent(desk: LicenceDesk) -> None:
    await desk.install(ISSUER.issue(GOOD), "ordered", "anna")
    before = desk.path.read_bytes()
    with pytest.raises(LicenceInvalid):
        await desk.install("nonsense", "ordered", "anna")
    with pytest.raises(RequestFailed, match="for system OTHER"):
        await desk.install(ISSUER.issue(replace(GOOD, system="OTHER")), "ordered", "anna")
    assert desk.path.read_bytes() == before
    assert desk.licensing.licence.found.terms == GOOD


async def test_a_file_that_cannot_be_written_leaves_the_licence_as_it_was(
    desk: LicenceDesk,
) -> None:
    desk.path.mkdir()
    with pytest.raises(StateError, match="nothing was changed"):
        await desk.install(ISSUER.issue(GOOD), "ordered", "anna")
    assert desk.licensing.licence.found.terms is None
