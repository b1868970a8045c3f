"""The names keep to the rules that others' tools rest on, and the manual has every one of them."""

import re
from pathlib import Path

import pytest

from copyagent.core.counters import RESULTS
from copyagent.metrics.catalogue import CATALOGUE, Metric

PAGE = Path(__file__).parents[4] / "man" / "vts-autocopy.7"
ALL = sorted(CATALOGUE.values(), key=lambda metric: metric.name)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.base)
def test_a_name_keeps_to_the_conventions(metric: Metric) -> None:
    """Prometheus' naming conventions: base units, ``_total`` for counters and nothing else."""
    assert re.fullmatch(r"vts_autocopy_[a-z][a-z_]*[a-z]", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.name.endswith("_info") == (metric.kind == "info")
    assert not re.search(r"_(ms|minutes|hours|kb|mb|percent|count|sum|bucket)$", metric.name)
    assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in metric.labels)
    assert "le" not in metric.labels
    assert not metric.meaning.endswith(".")
    if metric.name.endswith("_timestamp_seconds"):
        assert metric.kind == "gauge"


def test_no_figure_has_a_tape_for_a_label() -> None:
    labels = {label for metric in ALL for label in metric.labels}
    assert labels & {"tape", "label", "generation", "user", "cause"} == set()


def documented() -> dict[str, tuple[str, str, str]]:
    """Return the figures of the manual: type, labels and meaning by name."""
    text = PAGE.read_text(encoding="ascii")
    section = text[text.index(".Sh METRICS") :]
    section = section[: section.index("\n.Sh ", 1)]
    found = {}
    for name, body in re.findall(
        r"^\.It Li (vts_autocopy_\w+)\n(.*?)(?=^\.It|^\.El)", section, re.DOTALL | re.MULTILINE
    ):
        kind, _, meaning = body.partition("\n")
        shown = re.fullmatch(r"(gauge|counter|histogram|info)(?: by (.*))?:", kind)
        assert shown, f"{name} should say its type and labels first, not {kind!r}"
        found[name] = shown[1], shown[2] or "", " ".join(meaning.split())
    return found


def test_the_manual_has_every_result() -> None:
    text = PAGE.read_text(encoding="ascii")
    section = text[text.index(".Sh METRICS") : text.index(".It Li vts_autocopy_")]
    told = section[section.index(".Em result") : section.index(".Em outcome")]
    assert tuple(re.findall(r"^\.Li ([a-z ]+?)(?: [;,:])?$", told, re.MULTILINE)) == RESULTS


def test_the_manual_has_every_figure_in_order() -> None:
    wanted = {
        metric.name: (metric.kind, ", ".join(metric.labels), f"{metric.meaning}.")
        for metric in CATALOGUE.values()
    }
    assert documented() == wanted
    assert list(documented()) == list(wanted)
