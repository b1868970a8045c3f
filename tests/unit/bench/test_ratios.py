import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.ratios import Pair, is_missed, row, speed_ratio, speeds

seconds = st.floats(min_value=1e-3, max_value=1e3)


def test_twice_as_fast_is_two() -> None:
    assert speed_ratio([Pair(subject_s=1.0, peer_s=2.0)]) == (2.0, 2.0, 2.0, 1)


def test_the_median_and_the_quartiles_of_the_pairs() -> None:
    pairs = [Pair(1.0, ratio) for ratio in (1.0, 2.0, 3.0, 4.0, 5.0)]
    assert speed_ratio(pairs) == (3.0, 2.0, 4.0, 5)


def test_pairs_are_compared_pair_by_pair() -> None:
    slow_machine, fast_machine = Pair(20.0, 10.0), Pair(2.0, 1.0)
    assert speed_ratio([slow_machine, fast_machine]).ratio == 0.5


def test_one_disturbed_run_moves_nothing_but_the_edge() -> None:
    calm = [Pair(1.0, 1.5)] * 6
    assert speed_ratio([*calm, Pair(100.0, 1.5)]).ratio == 1.5


def test_no_runs_are_no_ratio() -> None:
    with pytest.raises(ValueError, match="no runs were timed"):
        speed_ratio([])


@pytest.mark.parametrize("pair", [Pair(0.0, 1.0), Pair(1.0, 0.0), Pair(1.0, float("nan"))])
def test_a_run_without_duration_is_no_measurement(pair: Pair) -> None:
    with pytest.raises(ValueError, match="took no time at all"):
        speed_ratio([pair])


@given(st.lists(st.builds(Pair, seconds, seconds), min_size=1, max_size=20))
def test_the_spread_encloses_the_ratio(pairs: list[Pair]) -> None:
    ratio = speed_ratio(pairs)
    assert ratio.low <= ratio.ratio <= ratio.high
    assert ratio.runs == len(pairs)


@given(st.lists(st.builds(Pair, seconds, seconds), min_size=1, max_size=20))
def test_changing_sides_inverts_the_median_of_an_odd_number(pairs: list[Pair]) -> None:
    odd = pairs if len(pairs) % 2 else pairs[1:] or pairs * 3
    turned = [Pair(pair.peer_s, pair.subject_s) for pair in odd]
    assert speed_ratio(turned).ratio == pytest.approx(1 / speed_ratio(odd).ratio)


def test_a_row_names_what_was_compared() -> None:
    ratio = speed_ratio([Pair(3.0, 1.0)])
    assert row("ems", "parse-flood", "copyagent", "splitlines", ratio) == {
        "bench": "ems",
        "work": "parse-flood",
        "subject": "copyagent",
        "against": "splitlines",
        "ratio": 0.333,
        "low": 0.333,
        "high": 0.333,
        "runs": 1,
    }


def test_speeds_are_those_of_the_median_runs() -> None:
    pairs = [Pair(1.0, 8.0), Pair(2.0, 4.0), Pair(3.0, 2.0)]
    assert speeds(pairs, 8.0, "MB/s") == {"subject": 4.0, "against": 2.0, "unit": "MB/s"}


@pytest.mark.parametrize(("wanted", "missed"), [(None, False), (0.5, False), (0.51, True)])
def test_a_promise_is_missed_below_it(wanted: float | None, missed: bool) -> None:
    line = row("overlay", "stat", "ours", "theirs", speed_ratio([Pair(2.0, 1.0)]))
    if wanted is not None:
        line["wanted"] = wanted
    assert is_missed(line) is missed
