from tests.bench.limits import limit_row
from tests.bench.ratios import is_missed


def test_a_limit_that_is_kept_gives_a_ratio_above_one() -> None:
    line = limit_row("transfer", "work", 10.0, "MB", [5.0, 4.0, 8.0], {"s": 1.23456})
    assert (line["ratio"], line["runs"], line["wanted"]) == (2.0, 3, 1.0)
    assert line["against"] == "limit of 10 MB"
    assert line["measured"] == {"MB": 5.0, "s": 1.235}
    assert not is_missed(line)


def test_a_limit_that_is_missed_is_said_to_be() -> None:
    line = limit_row("transfer", "work", 10.0, "MB", [20.0])
    assert line["ratio"] == line["low"] == line["high"] == 0.5
    assert is_missed(line)


def test_nothing_at_all_is_far_below_every_limit() -> None:
    assert limit_row("transfer", "work", 10.0, "MB", [0.0])["ratio"] > 1000
