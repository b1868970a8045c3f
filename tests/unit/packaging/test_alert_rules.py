"""The alert rules ask for figures that exist, by labels and values that exist, and the manual has them.

What they mean in PromQL is tried by Prometheus' own promtool where that is installed.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from copyagent.core.census import SHOWN
from copyagent.core.shown_states import REASONS, Word
from copyagent.core.witness import Verdict
from copyagent.metrics.catalogue import CATALOGUE, HELD, WAITING, Metric
from vtsfs.contract.messages import CATALOGUE as MESSAGES
from vtsfs.contract.messages import Severity

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "packaging" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "vts-autocopy.rules.yaml").read_text())[
    "groups"
][0]["rules"]
SERIES = {f"{name}{end}": metric for name, metric in CATALOGUE.items() for end in ("", "_bucket")}

#: A metric's name, and the conditions that may follow it.
SELECTOR = re.compile(r"\b(up|vts_autocopy_\w+)(?:\{([^}]*)\})?")
CONDITION = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')


def selectors(expr: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each metric that *expr* names, with the label values that it asks for."""
    return [
        (name, [(label, value) for label, _, value in CONDITION.findall(conditions)])
        for name, conditions in SELECTOR.findall(expr)
    ]


def values_of(metric: Metric, label: str) -> set[str] | None:
    """Return what *label* can be; None where that is up to the settings."""
    if label == "reason":
        return set(REASONS[{HELD: Word.HELD, WAITING: Word.WAITING}[metric]])
    known = {
        "state": set(SHOWN),
        "verdict": {verdict.value for verdict in Verdict},
        "id": {f"{number:06}" for number in MESSAGES},
        "severity": {severity.name.lower() for severity in Severity},
    }
    return known.get(label)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_asks_for_what_exists(rule: dict[str, Any]) -> None:
    asked = selectors(rule["expr"])
    assert asked
    for name, conditions in asked:
        if name == "up":
            assert conditions == [("job", "vts-autocopy")]
            continue
        assert name in SERIES, f"{rule['alert']} asks for {name}, which nobody offers"
        metric = SERIES[name]
        assert name.endswith("_bucket") == (metric.kind == "histogram")
        for label, value in conditions:
            assert label in metric.labels
            known = values_of(metric, label)
            assert known is None or set(value.split("|")) <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_counter_is_asked_for_its_increase(rule: dict[str, Any]) -> None:
    for name, _ in selectors(rule["expr"]):
        if name != "up" and SERIES[name].kind in {"counter", "histogram"}:
            assert re.search(rf"(increase|rate)\({name}[^)]*\[\d+[mh]\]\)", rule["expr"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_says_how_bad_it_is_what_it_means_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["alert"].startswith("VtsAutocopy")
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    labels = {label for n, _ in selectors(rule["expr"]) if n != "up" for label in SERIES[n].labels}
    shown = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", shown)) <= labels
    where = re.match(r"man 7 vts-autocopy, (ALERTS|MESSAGES), (\S+?)(;|$| )", shown_runbook(rule))
    assert where
    if where[1] == "ALERTS":
        assert where[2] in documented()
    elif where[2].isdigit():
        assert int(where[2]) in MESSAGES


def shown_runbook(rule: dict[str, Any]) -> str:
    text: str = rule["annotations"]["runbook"]
    return text


def documented() -> list[str]:
    """Return the alerts of the manual, in order."""
    text = (ROOT / "man" / "vts-autocopy.7").read_text(encoding="ascii")
    section = text[text.index("\n.Sh ALERTS") :]
    section = section[: section.index("\n.Sh ", 1)]
    return re.findall(r"^\.It Li (VtsAutocopy\w+)$", section, re.MULTILINE)


def test_the_manual_has_every_alert_in_order() -> None:
    assert documented() == [rule["alert"] for rule in RULES]


def test_every_alert_is_tried() -> None:
    tried = (FOLDER / "vts-autocopy.test.yaml").read_text()
    assert [rule["alert"] for rule in RULES if f'"{rule["alert"]}"' not in tried] == []


def test_every_series_that_is_tried_exists() -> None:
    tests = yaml.safe_load((FOLDER / "vts-autocopy.test.yaml").read_text())["tests"]
    for series in (each["series"] for test in tests for each in test["input_series"]):
        ((name, conditions),) = selectors(series)
        if name != "up":
            metric = SERIES[name]
            labels = {label for label, _ in conditions} - {"le"}
            assert labels == set(metric.labels), series
            for label, value in conditions:
                known = values_of(metric, label)
                assert known is None or value in known, series


@pytest.mark.parametrize(
    "command",
    [("check", "rules", "vts-autocopy.rules.yaml"), ("test", "rules", "vts-autocopy.test.yaml")],
)
def test_prometheus_own_tool_agrees(command: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: package prometheus)")
    ended = subprocess.run(
        [promtool, *command], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
