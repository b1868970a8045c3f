import pytest

from tests.bench.__main__ import BENCHES
from tests.bench.overlay.profiling import ACTIVITIES, selected


def test_what_can_be_profiled_is_measured_too() -> None:
    assert set(ACTIVITIES) <= {bench.name for bench in BENCHES if bench.bench == "overlay"}


def test_names_of_works_are_unique() -> None:
    names = [(bench.bench, bench.name) for bench in BENCHES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("only", ["", "overlay", " overlay ,"])
def test_some_are_profiled_if_none_is_named(only: str) -> None:
    assert "write-28k" in selected(only)


def test_those_that_are_named_are_profiled() -> None:
    assert selected("overlay/stat, read-1m") == ["stat", "read-1m"]


def test_what_cannot_be_profiled_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cannot be profiled: memory, ems; there are write-28k"):
        selected("overlay/memory,ems")
