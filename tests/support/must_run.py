"""A pytest plugin: tests that need what is not here are skipped with a reason, but never in CI.

A skipped test proves nothing, and nobody reads a list of skips in a green run. So where the
environment variable CI is set, a skipped test with one of these marks fails the run.
"""

import os
from collections.abc import Callable, Mapping

import pytest

from tests.support.former_release import why_no_history
from tests.support.mountpoint import why_no_fuse
from tests.support.sshd import why_no_sshd

NEEDS: Mapping[str, Callable[[], str | None]] = {
    "mount": why_no_fuse,
    "ssh": why_no_sshd,
    "history": why_no_history,
}


class MustRun:
    """Skips what this machine cannot run, and remembers what was skipped."""

    def __init__(self, *, in_ci: bool, needs: Mapping[str, Callable[[], str | None]]) -> None:
        self._in_ci = in_ci
        self._needs = needs
        self._skipped: list[str] = []

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for mark, why_not in self._needs.items():
            needing = [item for item in items if item.get_closest_marker(mark)]
            reason = why_not() if needing else None
            if reason is not None:
                for item in needing:
                    item.add_marker(pytest.mark.skip(reason=reason))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        # An expected failure is reported as skipped too, but it did run.
        was_skipped = report.skipped and not hasattr(report, "wasxfail")
        if was_skipped and any(mark in report.keywords for mark in self._needs):
            self._skipped.append(report.nodeid)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._skipped and self._in_ci:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._skipped and self._in_ci:
            terminalreporter.section("skipped in CI: the run fails", red=True)
            for node in self._skipped:
                terminalreporter.line(node)


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin with what the environment says."""
    in_ci = bool(os.environ.get("CI"))
    config.pluginmanager.register(MustRun(in_ci=in_ci, needs=NEEDS), "must-run")
