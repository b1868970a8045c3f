"""A cause that comes and goes is told once an hour."""

from vtsfs.runtime.sparing import HOUR_S, MOST, Sparing


def test_the_same_is_told_once_an_hour() -> None:
    sparing = Sparing()
    due = [sparing.is_due(f"a commit takes more than {n} s", n * 60.0) for n in range(61)]
    assert [n for n, told in enumerate(due) if told] == [0, 60]


def test_another_cause_is_told() -> None:
    sparing = Sparing()
    assert sparing.is_due("disk full", 0.0)
    assert sparing.is_due("I/O error", 0.0)
    assert not sparing.is_due("disk full", HOUR_S - 1)


def test_what_is_remembered_is_bounded() -> None:
    sparing = Sparing()
    for n in range(10 * MOST):
        assert sparing.is_due("x" * n, float(n))
    assert len(sparing.told) == MOST
