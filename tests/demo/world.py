"""Two systems and a host, brought up from nothing; everything in it is a real process."""

import os
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.demo.content import Archive, pack, room, sha256
from tests.demo.ending import record
from tests.demo.place import POOL, VAULT, Place, tape_name
from tests.demo.timeline import QUOTED_WIDTH
from tests.support.nonstop import TREE, NonStop
from tests.support.processes import ProcessId, identify
from tests.support.site import Site
from tests.support.sshd import ADDRESS, Sshd

TARGET = "drsite"
#: How much is archived for a large tape and for a small one, in bytes, where there is room.
LARGE = 300_000_000
SMALL = 20_000_000
#: What the large tape's size can be set with, in MB.
SIZE_VARIABLE = "VTS_DEMO_MB"

_SCRIPT = """#!/bin/sh
PYTHONPATH={tree}${{PYTHONPATH:+:$PYTHONPATH}} exec {python} -P -m {module} "$@"
"""
_MODULES = {"vtsfs": "vtsfs", "copyagent": "copyagent", "demo": "tests.demo.controls"}


@dataclass
class World:
    """A demonstration that is up."""

    place: Place
    site: Site
    sshd: Sshd
    host: NonStop
    large: Archive
    small: Archive

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the commands as an operator would; its exit status is the caller's to judge.

        Tables fit the timeline; what is prose comes in long lines, for the timeline to break.
        """
        columns = QUOTED_WIDTH if "status" in arguments else 1000
        return subprocess.run(
            arguments,
            env=os.environ | self.place.environment() | {"COLUMNS": str(columns)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )

    def at_target(self, command: str) -> str:
        """Run a shell command on the target, over SSH, that has to succeed."""
        done = self.sshd.run(command, deadline_s=60.0)
        if done.returncode:
            raise RuntimeError(f"on the target: {command}: {done.stderr.strip()}")
        return done.stdout

    def copy_digest(self, label: str) -> str:
        """Return the SHA-256 of the target's copy, computed there."""
        return self.at_target(f"sha256sum {self.place.copy(label)}").split()[0]

    def tape_digest(self, label: str) -> str:
        """Return the SHA-256 of the tape here."""
        return sha256(self.place.backing(label))

    def record_target(self) -> None:
        """Write down the target's server anew, after it was started again."""
        _record(self.place, "target", self.sshd.pid)

    def name(self, label: str) -> str:
        """Name the tape with *label*."""
        return tape_name(label)


def build(place: Place, stack: ExitStack, interval: str) -> World:
    """Bring everything up; whatever was begun is ended with *stack*.

    Raises NoContent when the disk has no room, and SshdError, RuntimeError or NotInTime when
    something does not come up.
    """
    wanted = int(os.environ.get(SIZE_VARIABLE) or 0) * 1_000_000 or LARGE
    place.content.mkdir()
    _write_scripts(place)
    limit = room(place.root, wanted)
    large = pack(place.content / "large.tar", Path("/usr"), limit)
    small = pack(place.content / "small.tar", Path("/usr"), min(SMALL, limit))
    sshd = _target(place, stack)
    host = _host(place, stack)
    return World(place, _source(place, stack, sshd, host, interval), sshd, host, large, small)


def _target(place: Place, stack: ExitStack) -> Sshd:
    place.target.mkdir(parents=True)
    sshd = Sshd(place.sshd)
    stack.callback(sshd.stop)
    sshd.start()
    _record(place, "target", sshd.pid)
    return sshd


def _host(place: Place, stack: ExitStack) -> NonStop:
    host = NonStop(place.host)
    stack.callback(host.stop)
    host.start()
    _record(place, "host", host.pid)
    return host


def _source(place: Place, stack: ExitStack, sshd: Sshd, host: NonStop, interval: str) -> Site:
    site = Site(place.source)
    stack.callback(site.end)
    site.settings["retry"]["interval"] = interval
    site.make_pool(POOL)
    site.add_target(TARGET, sshd, {VAULT: place.target})
    site.watch(f"/{VAULT}/{POOL}", TARGET)
    site.use_host(host)
    site.attach()
    site.start()
    if site.agent is not None:
        _record(place, "agent", site.agent.pid)
    host.say("wait 20")
    site.wait(lambda: site.status()["hosts"][0]["up"], "the agent listens to the host", 30.0)
    return site


def _record(place: Place, name: str, pid: int) -> None:
    process = identify(pid)
    if process is None:
        raise RuntimeError(f"the {name} ended at once")
    record(place, name, ProcessId(*process))


def _write_scripts(place: Place) -> None:
    place.bin.mkdir()
    for name, module in _MODULES.items():
        script = place.bin / name
        script.write_text(_SCRIPT.format(tree=TREE, python=sys.executable, module=module))
        script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def banner(sshd: Sshd) -> str:
    """Return the name that an SSH server gives itself."""
    with suppress(OSError), socket.create_connection((ADDRESS, sshd.port), 5.0) as connection:
        return connection.recv(128).decode("ascii", "replace").strip().removeprefix("SSH-2.0-")
    return "sshd"


def fingerprint(sshd: Sshd) -> str:
    """Return the fingerprint of its host key."""
    command = ["ssh-keygen", "-l", "-f", str(sshd.host_key)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.split()[1]
