import os
import random
import stat
from pathlib import Path

import pytest

from copyagent.transfer.chunks import ChunkMap, chunk_count
from copyagent.transfer.maps import MapStore
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")
OTHER = TapeId("VAULT00", "BILL", "X00002")
SAME_LABEL = TapeId("VAULT01", "BILL", "X00001")


def made_up(seed: int, size: int = 5_000_000) -> ChunkMap:
    return ChunkMap(size, random.Random(seed).randbytes(32 * chunk_count(size)))


FAR_FUTURE_NS = 2**62
ONE, TWO, THREE = made_up(1), made_up(2, 700_000), made_up(3, 0)


@pytest.fixture
def store(tmp_path: Path) -> MapStore:
    return MapStore(tmp_path / "agent" / "maps")


def test_a_map_is_found_by_its_root(store: MapStore) -> None:
    store.put(TAPE, "drsite", ONE, ())
    assert store.read(TAPE, "drsite", ONE.root) == ONE
    assert store.read(TAPE, "drsite", TWO.root) is None
    assert store.read(TAPE, "drsite", "") is None


def test_every_tape_and_target_has_its_own(store: MapStore) -> None:
    store.put(TAPE, "drsite", ONE, ())
    for tape, target in ((TAPE, "other"), (OTHER, "drsite"), (SAME_LABEL, "drsite")):
        assert store.read(tape, target, ONE.root) is None


def test_what_is_still_wanted_stays_beside_the_new_one(store: MapStore) -> None:
    store.put(TAPE, "drsite", ONE, ())
    store.put(TAPE, "drsite", TWO, {ONE.root, "unknown"})
    assert store.read(TAPE, "drsite", ONE.root) == ONE
    assert store.read(TAPE, "drsite", TWO.root) == TWO
    store.put(TAPE, "drsite", THREE, [TWO.root])
    assert store.read(TAPE, "drsite", ONE.root) is None
    assert store.read(TAPE, "drsite", TWO.root) == TWO
    assert store.read(TAPE, "drsite", THREE.root) == THREE


def test_what_is_there_already_is_not_written_again(store: MapStore) -> None:
    store.put(TAPE, "drsite", ONE, ())
    store.put(TAPE, "drsite", TWO, {ONE.root})
    before = store.path(TAPE, "drsite").stat().st_ino
    store.put(TAPE, "drsite", ONE, {TWO.root})
    assert store.path(TAPE, "drsite").stat().st_ino == before
    store.put(TAPE, "drsite", ONE, ())
    assert store.path(TAPE, "drsite").stat().st_ino != before
    assert store.read(TAPE, "drsite", TWO.root) is None


def test_nobody_else_may_look_at_the_maps(store: MapStore) -> None:
    store.put(TAPE, "drsite", ONE, ())
    assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.path(TAPE, "drsite").stat().st_mode) == 0o600


def test_reading_makes_no_directory(store: MapStore) -> None:
    assert store.read(TAPE, "drsite", ONE.root) is None
    store.forget(TAPE, "drsite")
    assert store.collect([], FAR_FUTURE_NS) == store.count() == 0
    assert not store.directory.exists()


@pytest.mark.parametrize("at", [0, 9, 12, 20, 30, -1])
def test_a_damaged_map_is_none(store: MapStore, expect_log: ExpectedLogs, at: int) -> None:
    expect_log("are damaged")
    store.put(TAPE, "drsite", TWO, ())
    path = store.path(TAPE, "drsite")
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert store.read(TAPE, "drsite", TWO.root) is None


def test_a_cut_file_still_has_the_maps_before_the_cut(
    store: MapStore, expect_log: ExpectedLogs
) -> None:
    expect_log("are damaged")
    store.put(TAPE, "drsite", ONE, ())
    store.put(TAPE, "drsite", TWO, {ONE.root})
    path = store.path(TAPE, "drsite")
    os.truncate(path, path.stat().st_size - 1)
    assert store.read(TAPE, "drsite", ONE.root) == ONE
    assert store.read(TAPE, "drsite", TWO.root) is None


def test_a_damaged_file_is_written_anew(store: MapStore, expect_log: ExpectedLogs) -> None:
    expect_log("are damaged")
    store.put(TAPE, "drsite", ONE, ())
    store.path(TAPE, "drsite").write_bytes(b"")
    store.put(TAPE, "drsite", ONE, ())
    assert store.read(TAPE, "drsite", ONE.root) == ONE


def test_a_file_that_cannot_be_read_is_no_map(store: MapStore, expect_log: ExpectedLogs) -> None:
    expect_log("cannot be read")
    store.path(TAPE, "drsite").mkdir(parents=True)
    assert store.read(TAPE, "drsite", ONE.root) is None


def test_a_map_that_cannot_be_written_says_what_to_do(
    store: MapStore, expect_log: ExpectedLogs
) -> None:
    expect_log("cannot be read: Not a directory")
    store.directory.parent.mkdir(parents=True)
    store.directory.write_text("no directory")
    with pytest.raises(StateError, match=r"maps"):
        store.put(TAPE, "drsite", ONE, ())


def test_maps_can_be_forgotten(store: MapStore) -> None:
    store.put(TAPE, "drsite", ONE, ())
    store.forget(TAPE, "drsite")
    store.forget(TAPE, "drsite")
    assert store.read(TAPE, "drsite", ONE.root) is None


def test_maps_of_tapes_that_nobody_knows_are_collected(store: MapStore) -> None:
    for tape in (TAPE, OTHER):
        store.put(tape, "drsite", ONE, ())
    store.put(TAPE, "gone", ONE, ())
    (store.directory / f".{store.path(TAPE, 'drsite').name}.0011aabb").write_bytes(b"half")
    (store.directory / "README").write_text("somebody else's")
    assert store.count() == 4
    assert store.collect([(TAPE, "drsite")], store.path(OTHER, "drsite").stat().st_mtime_ns) == 0
    assert store.collect([(TAPE, "drsite")], FAR_FUTURE_NS) == 3
    assert sorted(os.listdir(store.directory)) == sorted(
        ["README", store.path(TAPE, "drsite").name]
    )
    assert store.read(TAPE, "drsite", ONE.root) == ONE


def test_a_label_that_is_no_file_name_has_a_file_all_the_same(store: MapStore) -> None:
    odd = TapeId("VAULT00", "BI LL", "x\udcff" * 100)
    store.put(odd, "../target", ONE, ())
    assert store.read(odd, "../target", ONE.root) == ONE
    assert store.path(odd, "../target").parent == store.directory
