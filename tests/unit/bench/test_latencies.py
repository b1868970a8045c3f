import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.bench.latencies import distribution


def test_percentiles_are_calls_that_were_made() -> None:
    calls = [number / 1e6 for number in range(1, 201)]
    assert distribution(calls[::-1]) == {
        "p50": 100.0,
        "p95": 190.0,
        "p99": 198.0,
        "max": 200.0,
        "calls": 200,
    }


def test_one_call_is_all_of_them() -> None:
    assert distribution([2e-6]) == {"p50": 2.0, "p95": 2.0, "p99": 2.0, "max": 2.0, "calls": 1}


def test_no_calls_have_no_distribution() -> None:
    with pytest.raises(ValueError, match="no calls"):
        distribution([])


@given(st.lists(st.floats(min_value=1e-6, max_value=10), min_size=1, max_size=300))
def test_they_rise(calls: list[float]) -> None:
    found = distribution(calls)
    assert found["p50"] <= found["p95"] <= found["p99"] <= found["max"]
