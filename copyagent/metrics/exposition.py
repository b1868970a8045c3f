"""From figures to what is sent: the text formats of Prometheus and OpenMetrics.

A `Sheet` holds plain numbers that nobody changes any more, so it is written out in a thread, beside
the engine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from copyagent.core.counters import Histogram
from copyagent.metrics import catalogue

_OPENMETRICS = "application/openmetrics-text; version=1.0.0"
#: The kinds of text that can be asked for, and whether each is OpenMetrics.
_KINDS = {"application/openmetrics-text": True, "text/plain": False}


@dataclass(slots=True)
class Sheet:
    """Figures of one moment: for each metric its values, by the values of its labels."""

    values: dict[catalogue.Metric, dict[tuple[str, ...], float]] = field(default_factory=dict)
    histograms: dict[catalogue.Metric, dict[tuple[str, ...], Histogram]] = field(
        default_factory=dict
    )

    def put(self, metric: catalogue.Metric, value: float, *labels: str) -> None:
        """Enter one value; *labels* are in the order of the metric's, or it is a `ValueError`."""
        _match(metric, labels)
        self.values.setdefault(metric, {})[labels] = value

    def put_histogram(self, metric: catalogue.Metric, seen: Histogram, *labels: str) -> None:
        """Enter a histogram as it is now."""
        _match(metric, labels)
        self.histograms.setdefault(metric, {})[labels] = seen.copy()


class _Written(Collector):
    """A sheet, as the library wants to collect it."""

    def __init__(self, sheet: Sheet) -> None:
        self._sheet = sheet

    def collect(self) -> Iterator[Metric]:
        for metric, rows in self._sheet.values.items():
            yield _family(metric, rows)
        for metric, seen in self._sheet.histograms.items():
            yield _histogram(metric, seen)


def encode(sheet: Sheet, accept: str) -> tuple[bytes, str]:
    """Return the text that *accept*, a request's header, asks for, and its content type.

    Who asks for neither format gets the older, which everybody reads.
    """
    # The library is handed only what it knows: it stumbles over versions that are no numbers.
    encoder, content_type = choose_encoder(_OPENMETRICS if _prefers_openmetrics(accept) else "")
    return encoder(_Written(sheet)), content_type


def _prefers_openmetrics(accept: str) -> bool:
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        if kind in _KINDS and "q=0" not in parameters:
            return _KINDS[kind]
    return False


def _match(metric: catalogue.Metric, labels: tuple[str, ...]) -> None:
    if len(labels) != len(metric.labels):
        raise ValueError(f"{metric.name} has the labels {metric.labels}, not {labels}")


def _family(metric: catalogue.Metric, rows: dict[tuple[str, ...], float]) -> Metric:
    help_text, labels = f"{metric.meaning}.", metric.labels
    if metric.kind == "info":
        info = InfoMetricFamily(metric.name.removesuffix("_info"), help_text)
        for values in rows:
            info.add_metric([], dict(zip(labels, values, strict=True)))
        return info
    if metric.kind == "counter":
        counter = CounterMetricFamily(metric.name, help_text, labels=labels)
        for values, value in rows.items():
            counter.add_metric(values, value)
        return counter
    gauge = GaugeMetricFamily(metric.name, help_text, labels=labels)
    for values, value in rows.items():
        gauge.add_metric(values, value)
    return gauge


def _histogram(metric: catalogue.Metric, rows: dict[tuple[str, ...], Histogram]) -> Metric:
    family = HistogramMetricFamily(metric.name, f"{metric.meaning}.", labels=metric.labels)
    for values, seen in rows.items():
        family.add_metric(values, _buckets(seen), seen.total)
    return family


def _buckets(seen: Histogram) -> Sequence[tuple[str, float]]:
    """Each bucket holds what is below its bound, so it holds what is in the lower ones, too."""
    below, buckets = 0, []
    for bound, count in zip((*map(str, seen.bounds), "+Inf"), seen.counts, strict=True):
        below += count
        buckets.append((bound, float(below)))
    return buckets
