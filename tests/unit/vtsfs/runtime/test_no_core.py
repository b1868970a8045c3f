"""On a process of its own: what it may never take back cannot be tried on this one."""

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT = "from vtsfs.runtime.no_core import forbid_core_dumps\n"
LOCKED = f"{IMPORT}forbid_core_dumps()\n"
# A process that changes its user is locked by the kernel, which would show nothing here.
ORDINARY = f"""{IMPORT}import ctypes, os, subprocess, socket, threading
os.setgroups([]), os.setgid(65534), os.setuid(65534)
assert ctypes.CDLL(None).prctl(4, 1, 0, 0, 0) == 0
"""
LOOK = """
if os.fork() == 0:
    os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY)
    print("open", flush=True)
    os._exit(0)
os.wait()
"""
SAY = "print(open('/proc/self/limits').read(), open('/proc/self/stat').read())\n"
# What a service does with itself: descriptors, threads, a connection from itself, a program.
LIVE = """
os.listdir("/proc/self/fd"), os.readlink("/proc/self/fd/0")
open("/proc/self/mountinfo").read()
fd = os.open("/proc/self/fd/0", os.O_PATH)
a, b = socket.socketpair(socket.AF_UNIX)
a.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
thread = threading.Thread(target=int); thread.start(); thread.join()
subprocess.run(["true"], check=True)
print("lives")
"""
ABORT = "import os; os.abort()\n"


def run(text: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[4])}
    return subprocess.run(
        [sys.executable, "-c", text],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=_allow_cores,
    )


def _allow_cores() -> None:
    soft_and_hard = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    if os.geteuid() == 0:
        resource.setrlimit(resource.RLIMIT_CORE, soft_and_hard)


def test_the_limit_is_nothing_and_stays_so(tmp_path: Path) -> None:
    ended = run(LOCKED + SAY, tmp_path)
    assert ended.returncode == 0, ended.stderr
    (line,) = [line for line in ended.stdout.splitlines() if "core file size" in line]
    assert line.split()[4:6] == ["0", "0"]


def test_an_abort_leaves_no_core(tmp_path: Path) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text(encoding="ascii").strip()
    ended = run(ABORT, tmp_path)
    assert ended.returncode == -signal.SIGABRT
    leaves_one = bool(list(tmp_path.iterdir()))
    # Where cores go into the directory, the test can tell; it fails if it could and did not.
    assert leaves_one or pattern.startswith(("|", "/")) or os.geteuid() != 0
    for core in tmp_path.iterdir():
        core.unlink()
    ended = run(LOCKED + ABORT, tmp_path)
    assert ended.returncode == -signal.SIGABRT
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_go_on_working_and_its_others_cannot_look_in(tmp_path: Path) -> None:
    ended = run(ORDINARY + "forbid_core_dumps()\n" + LIVE, tmp_path)
    assert (ended.returncode, ended.stdout) == (0, "lives\n"), ended.stderr
    assert run(ORDINARY + LOOK, tmp_path).stdout == "open\n"
    refused = run(ORDINARY + "forbid_core_dumps()\n" + LOOK, tmp_path)
    assert refused.stdout == ""
    assert "PermissionError" in refused.stderr
