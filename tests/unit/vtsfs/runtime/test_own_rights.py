"""On a process of its own, with the rights that the agent's service has."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT = "from vtsfs.runtime.own_rights import keep_rights_from_children\n"
SHOW = """
import subprocess
def rights(text):
    return [line.split()[1] for line in text.splitlines() if line.startswith("CapEff")]
print(*rights(open("/proc/self/status").read()))
status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True).stdout
print(*rights(status))
"""
#: CAP_DAC_READ_SEARCH and CAP_LEASE.
AGENTS = "0000000010000004"
NONE = "0000000000000000"


def rights_shown(text: str) -> list[str]:
    ambient = "+dac_read_search,+lease"
    done = subprocess.run(
        [
            *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
            *(f"--inh-caps=-all,{ambient}", f"--ambient-caps=-all,{ambient}"),
            *(f"--bounding-set=-all,{ambient}", sys.executable, "-c", text),
        ],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can hand out rights"
)


@needs_root
def test_a_service_that_does_nothing_about_it_hands_its_rights_on() -> None:
    assert rights_shown(SHOW) == [AGENTS, AGENTS]


@needs_root
def test_what_it_starts_then_has_no_rights_and_itself_all_of_them() -> None:
    assert rights_shown(f"{IMPORT}keep_rights_from_children()\n{SHOW}") == [AGENTS, NONE]
