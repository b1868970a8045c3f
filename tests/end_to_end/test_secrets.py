"""A host's password, in a real agent that is logged on with it and dies."""

import os
import signal
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nonstop import TREE, NonStop
from tests.support.processes import Program
from tests.support.site import Site

PASSWORD = b"Tape.4Two"
LINK_UP = 220101


@pytest.fixture
def site(scratch: Path) -> Iterator[Site]:
    with NonStop(scratch / "host") as host, Site(scratch / "site") as site:
        assert PASSWORD in host.password_file.read_bytes()
        site.use_host(host)
        # The limit is raised as far as it goes, and the agent started where cores go.
        cwd = site.root / "cwd"
        cwd.mkdir()
        command = " ".join(site.command("copyagent", "run"))
        raised = f"ulimit -c $(ulimit -H -c); export PYTHONPATH={TREE}; exec {command}"
        site.agent = Program(["/bin/sh", "-c", raised], site.root / "agent.log", cwd=cwd)
        site.start()
        site.wait(lambda: site.events(LINK_UP), "the agent is logged on")
        yield site


def assert_no_secret_is_given_to_helpers(site: Site) -> None:
    output = site.root / "bundle.tar.gz"
    site.must("copyagent", "support-bundle", "--output", str(output))
    with tarfile.open(output) as tar:
        parts = {e.name: file.read() for e in tar if (file := tar.extractfile(e)) is not None}
    assert any(b"DEV2" in data for data in parts.values())
    assert [name for name, data in parts.items() if PASSWORD.lower() in data.lower()] == []


def test_an_agent_that_is_logged_on_dies_without_a_core_and_tells_nobody(site: Site) -> None:
    assert site.agent is not None
    process = Path(f"/proc/{site.agent.pid}")
    limits = (process / "limits").read_text(encoding="ascii").splitlines()
    (core,) = [line for line in limits if "core file size" in line]
    assert core.split()[4:6] == ["0", "0"]
    for name in ("environ", "cmdline", "comm", "maps"):
        assert PASSWORD not in (process / name).read_bytes()
    assert_no_secret_is_given_to_helpers(site)
    os.kill(site.agent.pid, signal.SIGABRT)
    assert site.agent.wait(20.0) == -signal.SIGABRT
    assert list((site.root / "cwd").iterdir()) == []
    written = [path for path in site.root.rglob("*") if path.is_file()]
    assert any(path.name == "agent.sqlite" for path in written)
    assert [path for path in written if PASSWORD.lower() in path.read_bytes().lower()] == []


def test_a_program_without_the_locks_would_have_left_one(tmp_path: Path) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii").strip()
    if pattern.startswith(("|", "/")):
        pytest.skip("this machine's cores go elsewhere")
    raised = f"ulimit -c $(ulimit -H -c); exec {sys.executable} -c 'import os; os.abort()'"
    with Program(["/bin/sh", "-c", raised], tmp_path / "output", cwd=tmp_path) as program:
        assert program.wait(20.0) == -signal.SIGABRT
    assert [path for path in tmp_path.iterdir() if path.name.startswith("core")]
