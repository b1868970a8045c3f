"""Imports that come after the start are told of, each once; what is not there hurts nobody."""

import importlib
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.expected_logs import ExpectedLogs
from tests.support.nonstop import TREE
from vtsfs.runtime.late_imports import LATE_IMPORT, import_now, told_if_late

#: What a year may bring: errors with tracebacks, dates, names of machines in any script.
_A_YEAR = """
import datetime, logging, socket, sys, time
logging.basicConfig(stream=sys.stdout)
import copyagent.daemon, vtsfs.daemon
import trio
from pydantic import BaseModel, ValidationError
from vtsfs.runtime.late_imports import import_now, told_if_late

class Model(BaseModel):
    number: int

def fail():
    Model.nmber

import_now()
with told_if_late():
    for happens in (
        fail,
        lambda: Model(number="x"),
        lambda: 1 / 0,
        lambda: ''.encode("no-such-encoding"),
        lambda: trio.run(trio.run_process, ["false"]),
    ):
        try:
            happens()
        except Exception as error:
            logging.exception("it happened: %r", error)
    datetime.datetime.strptime("2026", "%Y"), time.strptime("2026", "%Y")
    for host in ("b\u00fccher.invalid", "127.0.0.1", "::1"):
        try:
            socket.getaddrinfo(host, 22)
        except OSError:
            pass
    for name in ("utf-8", "utf-8-sig", "ascii", "us-ascii", "latin-1", "iso8859-1", "unicode_escape"):
        b"a".decode(name).encode(name)
print("all of it")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module that nobody has imported."""
    (tmp_path / "quite_unknown.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "quite_unknown", raising=False)
    return "quite_unknown"


def test_an_import_that_comes_late_is_told_once_and_works(
    module: str, expect_log: ExpectedLogs, caplog: pytest.LogCaptureFixture
) -> None:
    expect_log(f"{module} {LATE_IMPORT}", level=logging.WARNING)
    with told_if_late():
        importlib.import_module(module)
        del sys.modules[module]
        importlib.import_module(module)
    assert len(caplog.records) == 1


def test_what_was_imported_before_and_what_comes_afterwards_is_not_told(module: str) -> None:
    with told_if_late():
        importlib.import_module("json")
    importlib.import_module(module)


def test_what_is_wanted_now_is_there_afterwards(module: str) -> None:
    import_now([module])
    assert module in sys.modules
    assert "encodings.idna" in sys.modules


def test_what_a_library_could_use_need_not_be_installed() -> None:
    import_now(["module_that_nobody_has"])


def test_a_part_of_ours_has_to_be_there() -> None:
    with pytest.raises(ModuleNotFoundError, match="nothing_of_that_name"):
        import_now(["copyagent.nothing_of_that_name"])


def test_a_library_that_is_there_and_misses_something_is_no_choice(module: str) -> None:
    found = sys.path[0]
    Path(found, f"{module}.py").write_text("import module_that_nobody_has\n")
    with pytest.raises(ModuleNotFoundError, match="module_that_nobody_has"):
        import_now([module])


def test_what_goes_wrong_once_a_year_imports_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _A_YEAR], cwd=TREE, capture_output=True, text=True, check=False
    )
    assert done.stdout.endswith("all of it\n"), done.stdout + done.stderr
    late = [line for line in done.stdout.splitlines() if LATE_IMPORT in line]
    # Python looks for it, and there is none.
    assert [line for line in late if "no_such_encoding" not in line] == []
    assert len(late) == 1
