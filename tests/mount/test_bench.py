"""The benchmarks' own use of the overlay works; how fast it is, is for ``make bench`` to say."""

from pathlib import Path

from tests.bench.overlay.attached import OURS, Attached, overlay_alone
from tests.bench.overlay.data import KIB, read, written
from tests.bench.overlay.opens import Shelf, write_session
from tests.bench.overlay.profiling import Activity, traced
from tests.support.mountpoint import mounts_under


def test_tapes_are_written_and_read_through_the_overlay(scratch: Path) -> None:
    with overlay_alone(scratch) as tree:
        for make in (written(28 * KIB, 56 * KIB), read(28 * KIB, 1024 * KIB)):
            side = make(tree, tree.ours)
            assert side.name == OURS
            assert side.run() > 0
        assert [path.name for path in tree.backing.iterdir()] == ["R00001"]
    assert mounts_under(scratch) == []


def test_the_overlay_rests_when_every_session_is_told(scratch: Path) -> None:
    with overlay_alone(scratch) as tree:
        for tape in Shelf(tree, "T").stock(tree.ours, 2):
            write_session(tape, b"x")
        assert opened(tree) == 2
        tree.rest()
        assert opened(tree) == 0


def opened(tree: Attached) -> int:
    daemon = tree.ask()
    assert daemon is not None
    return len(daemon["open_tapes"])


def test_the_overlay_can_be_traced(scratch: Path) -> None:
    activity = Activity(written(28 * KIB, 56 * KIB), 2, "block")
    report = traced(activity, scratch)
    assert report.startswith("cProfile (10 times a block):")
    assert "function calls" in report
