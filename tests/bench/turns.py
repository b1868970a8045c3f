"""In which order the sides of a comparison take their turns. Pure."""

from collections.abc import Sequence


def orders(sides: int) -> Sequence[Sequence[int]]:
    """Return orders of *sides* numbers in which each follows each other one equally often.

    A run leaves the machine in a state that the next one meets: a full page cache, a clock that was
    turned up, a disk that still writes. So no side may always follow the same other. This is the
    square of Williams (1949): as many orders as there are sides, twice as many if their number is
    odd. Raises ValueError below one side.
    """
    if sides < 1:
        raise ValueError("there is nobody to take turns")
    first = [0]
    low, high = 1, sides - 1
    while low <= high:
        first.append(low)
        if low != high:
            first.append(high)
        low, high = low + 1, high - 1
    square = [[(number + shift) % sides for number in first] for shift in range(sides)]
    if sides % 2 == 1 and sides > 1:
        square += [list(reversed(order)) for order in square]
    return square
