"""Which copy is fetched, and that it never lands in a vault unasked."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.cli.fetch_run import Chosen, Wanted, pick, place_of
from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.core.on_record import OnRecord
from tests.support.example_settings import example_settings
from vtsfs.contract.errors import RequestFailed, UsageError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Identity

TAPE = TapeId("VAULT00", "BILL", "X00001")
NEW = PublishedCopy(7, Identity(1, 2, 5, 1, 1), 5, "", TargetStamp(5, 1), "size", root="aa")
OLD = replace(NEW, generation=5, name="BILL.X00001.kept")
HERE = OnRecord(TAPE, "drsite", "copied", 7, None, NEW, (OLD,))
AWAY = OnRecord(TAPE, "backup", "copied", 7, None, replace(NEW, generation=6), ())


def wanted(generation: int | None = None, to: Path | None = None, because: str = "") -> Wanted:
    return Wanted(TAPE, generation, None, to, because)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = example_settings(tmp_path)
    for directory in ("backing/BILL", "VAULT00", "away"):
        (tmp_path / directory).mkdir(parents=True)
    return made


def test_the_newest_or_the_one_that_is_named() -> None:
    assert pick(wanted(), [AWAY, HERE]) == Chosen("drsite", NEW)
    assert pick(wanted(6), [AWAY, HERE]).target == "backup"
    assert pick(wanted(5), [AWAY, HERE]) == Chosen("drsite", OLD)


def test_what_is_not_there_is_said_with_what_is() -> None:
    with pytest.raises(RequestFailed, match="there are: 7 at drsite, 5 at drsite"):
        pick(wanted(3), [HERE])
    with pytest.raises(RequestFailed, match="no copy"):
        pick(wanted(), [replace(HERE, published=None, kept=())])


@pytest.mark.parametrize("inside", ["backing", "backing/BILL", "VAULT00"])
def test_no_vault_is_written_into_by_whatever_path(
    settings: Settings, tmp_path: Path, inside: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / inside)
    for path in (tmp_path / inside, tmp_path / "away" / ".." / inside, tmp_path / "link"):
        with pytest.raises(UsageError, match="is in the vault VAULT00"):
            place_of(settings, wanted(to=path))


def test_any_other_directory_will_do(settings: Settings, tmp_path: Path) -> None:
    place = place_of(settings, wanted(to=tmp_path / "away"))
    assert (place.path, place.replace) == (tmp_path / "away" / "X00001", False)
    with pytest.raises(UsageError, match="--to"):
        place_of(settings, wanted(to=tmp_path / "nowhere"))


def test_the_tapes_own_place_is_its_backing_without_an_overlay(
    settings: Settings, tmp_path: Path
) -> None:
    place = place_of(settings, wanted(because="disk fault"))
    assert (place.path, place.replace) == (tmp_path / "backing/BILL/X00001", True)
    place.check()
    place.path.write_bytes(b"tape")
    os.chmod(place.path, 0o600)
    place = place_of(settings, wanted(because="disk fault"))
    assert place.owner == (os.geteuid(), os.getegid())
    place.check()
    with place.path.open("rb"), pytest.raises(RequestFailed, match="somebody has"):
        place.check()
    place.path.unlink()
    place.path.symlink_to(tmp_path / "away")
    with pytest.raises(RequestFailed, match="symbolic link"):
        place_of(settings, wanted(because="disk fault"))


def test_a_pool_that_is_not_here_has_no_place(settings: Settings) -> None:
    other = Wanted(TapeId("VAULT00", "NONE", "X00001"), None, None, None, "because")
    with pytest.raises(UsageError, match="no pool"):
        place_of(settings, other)
