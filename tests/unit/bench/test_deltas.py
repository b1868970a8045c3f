import os
from pathlib import Path

import pytest
import trio

from tests.bench import deltas
from tests.bench.deltas import MIB, Ours, appended, make_tape, rounded, scattered
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd
from vtsfs.contract.extents import ExtentSet

SIZE = 40 * MIB


@pytest.mark.parametrize("changing", [scattered, appended])
def test_what_a_change_says_it_wrote_is_all_that_changed(
    tmp_path: Path, changing: deltas.Changing
) -> None:
    tape = tmp_path / "tape"
    make_tape(tape, SIZE)
    before = tape.read_bytes()
    written = ExtentSet(changing(tape, 3))
    after = tape.read_bytes()
    assert SIZE // 100 <= written.total() <= SIZE // 2
    at = 0
    for start, end in [*written, (len(after), len(after))]:
        assert before[at:start] == after[at:start]
        assert before[start:end] != after[start:end] or start == end
        at = end


def test_the_change_of_the_promise_is_one_percent_in_200_places(tmp_path: Path) -> None:
    tape = tmp_path / "tape"
    tape.touch()
    os.truncate(tape, deltas.SIZE)
    written = scattered(tape, 1)
    assert len(written) == 200
    assert sum(end - start for start, end in written) == 200 * (20 * MIB // 200)
    # Each of some 102 KiB touches two or three blocks of 64 KiB.
    assert rounded(written, deltas.SIZE) <= 200 * 3 * 64 * 1024


def test_what_is_touched_is_counted_in_blocks_of_64_kib() -> None:
    kib = 1024
    assert rounded([(0, 1), (2, 3)], 10 * 64 * kib) == 64 * kib
    assert rounded([(64 * kib - 1, 64 * kib + 1)], 10 * 64 * kib) == 128 * kib
    assert rounded([(64 * kib, 64 * kib + 1)], 64 * kib + 7) == 7


@pytest.mark.ssh
def test_a_small_change_costs_little_more_than_itself(scratch: Path, sshd: Sshd) -> None:
    ours = Ours(CopyRig(scratch, sshd), scattered, keep=0, size=SIZE)
    ours.first()
    assert ours.run() > 0
    sent, received = trio.run(ours.counted)
    assert sent <= deltas.OVERHEAD * rounded(ours.written, SIZE) + 64 * 1024
    assert received > 0
    assert ours.rig.published().read_bytes() == ours.tape.read_bytes()
