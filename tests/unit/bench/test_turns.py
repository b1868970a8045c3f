from collections import Counter
from itertools import pairwise

import pytest

from tests.bench.turns import orders


@pytest.mark.parametrize("sides", range(1, 9))
def test_everybody_has_one_turn_in_each_order(sides: int) -> None:
    assert all(sorted(order) == list(range(sides)) for order in orders(sides))


@pytest.mark.parametrize("sides", range(2, 9))
def test_each_follows_each_other_equally_often(sides: int) -> None:
    following = Counter(pair for order in orders(sides) for pair in pairwise(order))
    assert len(following) == sides * (sides - 1)
    assert len(set(following.values())) == 1


@pytest.mark.parametrize("sides", range(2, 9))
def test_each_begins_equally_often(sides: int) -> None:
    first = Counter(order[0] for order in orders(sides))
    assert len(set(first.values())) == 1
    assert len(first) == sides


def test_nobody_takes_no_turns() -> None:
    with pytest.raises(ValueError, match="nobody"):
        orders(0)
