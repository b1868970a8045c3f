import os
import time
from pathlib import Path

import pytest

from tests.bench.overlay.crew import together
from tests.support.processes import identify, is_alive
from tests.support.waiting import wait_until


def test_all_are_at_work_at_the_same_time(tmp_path: Path) -> None:
    def meet(number: int) -> None:
        (tmp_path / str(number)).touch()
        wait_until(lambda: len(os.listdir(tmp_path)) == 3, 10.0, "the others are there")

    assert 0 < together([lambda: meet(1), lambda: meet(2), lambda: meet(3)]) < 10.0


def test_those_beside_the_work_end_with_it(tmp_path: Path) -> None:
    trace = tmp_path / "pid"

    def go_on() -> None:
        os.rename(_written(tmp_path / "begun", str(os.getpid())), trace)
        wait_until(lambda: False, 60.0, "it is killed")

    together([lambda: wait_until(trace.exists, 10.0, "it began")], beside=[go_on])
    with pytest.raises(ProcessLookupError):
        os.kill(int(trace.read_text(encoding="ascii")), 0)


def test_only_the_work_is_timed(tmp_path: Path) -> None:
    begun = time.perf_counter()
    took = together([lambda: None])
    assert took < time.perf_counter() - begun


def test_a_job_that_fails_is_no_measurement(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(AssertionError, match="failed"):
        together([lambda: None, lambda: 1 // 0])
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_company_that_leaves_early_is_no_measurement(tmp_path: Path) -> None:
    trace = tmp_path / "pid"

    def leave() -> None:
        os.rename(_written(tmp_path / "begun", str(os.getpid())), trace)

    def outlast() -> None:
        wait_until(trace.exists, 10.0, "the company has begun")
        company = identify(int(trace.read_text(encoding="ascii")))
        wait_until(lambda: not company or not is_alive(company), 10.0, "it has left")

    with pytest.raises(AssertionError, match="ended before"):
        together([outlast], beside=[leave])


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="ascii")
    return path
