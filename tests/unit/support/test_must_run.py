"""The plugin, in a pytest of its own in which a mount is never possible."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

CONFTEST = """\
from tests.support.must_run import MustRun


def pytest_configure(config):
    config.addinivalue_line("markers", "mount: needs a mount")
    why_not = {why_not!r}
    config.pluginmanager.register(MustRun(in_ci={in_ci}, needs={{"mount": lambda: why_not}}))
"""

TESTS = """\
import pytest


@pytest.mark.mount
def test_mounted():
    assert True


@pytest.mark.mount
@pytest.mark.xfail(reason="known")
def test_known_failure():
    assert False


@pytest.mark.skip(reason="not a matter of mounts")
def test_other():
    assert True
"""


def run_inner_pytest(
    directory: Path, *, in_ci: bool, why_not: str | None
) -> subprocess.CompletedProcess[str]:
    (directory / "conftest.py").write_text(
        CONFTEST.format(in_ci=in_ci, why_not=why_not), encoding="utf-8"
    )
    (directory / "test_inner.py").write_text(TESTS, encoding="utf-8")
    (directory / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-rs", "-p", "no:cacheprovider", str(directory)],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


def test_what_cannot_run_is_skipped_with_the_reason(tmp_path: Path) -> None:
    result = run_inner_pytest(tmp_path, in_ci=False, why_not="no /dev/fuse")
    assert result.returncode == pytest.ExitCode.OK, result.stdout
    assert "no /dev/fuse" in result.stdout


def test_in_ci_a_skipped_mount_test_fails_the_run_and_is_named(tmp_path: Path) -> None:
    result = run_inner_pytest(tmp_path, in_ci=True, why_not="no /dev/fuse")
    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout
    assert "skipped in CI: the run fails" in result.stdout
    assert "test_inner.py::test_mounted\n" in result.stdout


def test_in_ci_other_skips_and_expected_failures_are_no_failure(tmp_path: Path) -> None:
    result = run_inner_pytest(tmp_path, in_ci=True, why_not=None)
    assert result.returncode == pytest.ExitCode.OK, result.stdout
    assert "1 passed, 1 skipped, 1 xfailed" in result.stdout
