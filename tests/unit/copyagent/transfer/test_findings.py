"""Findings are told as they are made, and failures of the target become some."""

import pytest

from copyagent.transfer.findings import Finding, Findings, Result
from copyagent.transfer.target import LinkLost, TargetFull


def test_each_is_told_at_once_and_failures_are_counted() -> None:
    told: list[Finding] = []
    findings = Findings(told.append)
    findings.ok("name", "there")
    findings.warn("clock", "late", "set it")
    findings.skip("speed", "no room")
    findings.fail("port", "closed", "open it")
    assert told == findings.all
    assert [one.result for one in told] == [
        Result.OK,
        Result.WARNING,
        Result.SKIPPED,
        Result.FAILED,
    ]
    assert findings.failed == 1


def test_a_failure_of_the_target_is_a_finding_with_its_advice() -> None:
    findings = Findings()

    def fail() -> None:
        raise TargetFull("no space left")

    with findings.trying("space"):
        fail()
    assert findings.all == [Finding("space", Result.FAILED, "no space left", TargetFull.advice)]


def test_a_lost_link_ends_everything() -> None:
    findings = Findings()
    with pytest.raises(LinkLost), findings.trying("space"):
        raise LinkLost("gone")
    assert findings.all == []
