"""What is sent can be read by the parsers that Prometheus' own library brings."""

import pytest
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from copyagent.core.counters import Histogram
from copyagent.metrics.catalogue import (
    BATCHES,
    BUILD,
    COPIES,
    DURATION,
    LAST_COPY,
    PREFIX,
    UNPROTECTED,
)
from copyagent.metrics.exposition import Sheet, encode

OPENMETRICS = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2"


def sheet() -> Sheet:
    made = Sheet()
    made.put(BUILD, 1, "1.2", "3.11")
    made.put(UNPROTECTED, 3, "/VAULT00/BILL", "drsite")
    made.put(LAST_COPY, 1_795_000_000.25, "/VAULT00/BILL", "drsite")
    made.put(COPIES, 7, "/VAULT00/BILL", "drsite", "source changed")
    seen = Histogram((1.0, 5.0))
    for value in (0.5, 2.0, 2.0, 99.0):
        seen.add(value)
    made.put_histogram(DURATION, seen, "/VAULT00/BILL", "drsite")
    made.put_histogram(BATCHES, Histogram((0.1,)))
    return made


@pytest.mark.parametrize(
    ("accept", "begins"),
    [
        ("", "text/plain; version=0.0.4"),
        ("*/*", "text/plain; version=0.0.4"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0"),
        ("application/openmetrics-text;version=\x00;;,,=;", "application/openmetrics-text"),
        ("application/openmetrics-text;version=\xff", "application/openmetrics-text"),
        ("text/html, application/openmetrics-text;q=0, text/plain", "text/plain; version=0.0.4"),
        (";;,,q=0", "text/plain; version=0.0.4"),
    ],
)
def test_the_format_is_the_askers_choice(accept: str, begins: str) -> None:
    text, content_type = encode(sheet(), accept)
    assert content_type.startswith(begins)
    parse = parse_openmetrics if begins.startswith("application") else parse_text
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in parse(text.decode())
        for sample in family.samples
    }
    way = (("pool", "/VAULT00/BILL"), ("target", "drsite"))
    assert samples[f"{PREFIX}unprotected_tapes", *way] == 3
    assert samples[f"{PREFIX}last_copy_timestamp_seconds", *way] == 1_795_000_000.25
    assert samples[f"{PREFIX}copies_total", *way[:1], ("result", "source changed"), way[1]] == 7
    assert samples[f"{PREFIX}build_info", ("python", "3.11"), ("version", "1.2")] == 1
    below = [
        samples[f"{PREFIX}copy_duration_seconds_bucket", ("le", bound), *way]
        for bound in ("1.0", "5.0", "+Inf")
    ]
    assert below == [1, 3, 4]
    assert samples[f"{PREFIX}copy_duration_seconds_sum", *way] == 103.5
    assert samples[f"{PREFIX}copy_duration_seconds_count", *way] == 4


def test_a_value_with_wrong_labels_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="labels"):
        Sheet().put(UNPROTECTED, 3, "/VAULT00/BILL")
    with pytest.raises(ValueError, match="labels"):
        Sheet().put_histogram(BATCHES, Histogram((0.1,)), "drsite")
