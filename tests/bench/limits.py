"""Rows in which a limit takes the peer's place."""

import statistics
from collections.abc import Mapping, Sequence

from tests.bench.ratios import Ratio, Row, row


def limit_row(
    bench: str,
    work: str,
    limit: float,
    unit: str,
    figures: Sequence[float],
    more: Mapping[str, float] | None = None,
) -> Row:
    """Compare *figures*, in *unit*, with the most they should be; above 1 they are below it.

    *more* is told beside their median.
    """
    ratios = [limit / max(figure, limit / 1e6) for figure in figures]
    spread = statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else None
    low, middle, high = spread or ratios * 3
    ratio = Ratio(middle, low, high, len(ratios))
    line = row(bench, work, "copyagent", f"limit of {limit:.3g} {unit}", ratio)
    line["wanted"] = 1.0
    measured = {unit: statistics.median(figures), **(more or {})}
    line["measured"] = {what: round(figure, 3) for what, figure in measured.items()}
    return line
