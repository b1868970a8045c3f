"""A source system, a target behind a real sshd and perhaps a host: what most whole-way tests need.

One world serves several tests, each with tapes of its own: bringing it up takes seconds, a copy
takes a fraction of one.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.nonstop import NonStop
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import Sshd

#: The pool that every world watches.
POOL = "/VAULT00/BILL"

#: The events that tests count: their numbers in the log.
COPIED, ATTEMPT_FAILED, GAVE_UP = 224101, 424110, 624111


@dataclass
class World:
    """See `open_world`. A tape is called by its label; it lies in pool BILL of VAULT00."""

    root: Path
    site: Site
    sshd: Sshd
    far: Path
    ems: NonStop | None = None

    @property
    def host(self) -> NonStop:
        """The host, in a world that has one."""
        assert self.ems is not None, "this world was opened without a host"
        return self.ems

    def name(self, label: str) -> str:
        """Name the tape as operators do."""
        return f"{POOL}/{label}"

    def tape(self, label: str) -> Path:
        """Return where the tape engine finds the tape."""
        return self.site.mountpoint() / "BILL" / label

    def backing(self, label: str) -> Path:
        """Return where the tape really lies."""
        return self.site.backing() / "BILL" / label

    def copy(self, label: str) -> Path:
        """Return where the tape lies at the target."""
        return self.far / "BILL" / label

    def staging(self) -> Path:
        """Return our directory at the target."""
        return self.far / ".vts-autocopy" / self.site.name

    def stages(self) -> list[Path]:
        """List the unfinished files at the target."""
        return sorted(self.staging().glob("*.stage"))

    def events(self, message_id: int, label: str = "") -> list[str]:
        """Return the event log's lines of one message, about one tape if a label is given."""
        lines = self.site.events(message_id)
        return [line for line in lines if not label or self.name(label) in line]

    def on_record(self, label: str, kind: str) -> list[dict[str, Any]]:
        """Return the history's entries of one kind about the tape: each tape has its own.

        The event log names one of many that have the same cause, and counts the others.
        """
        return self.site.history(self.name(label), kind)

    def failed_attempts(self, label: str) -> int:
        """Count the attempts of the tape's copies that failed and are to be repeated."""
        notes = self.explain(label).get("history", [])
        return sum("-> retry" in note["what"] for note in notes)

    def mount(self, label: str, content: bytes, *, ring: bool = True) -> None:
        """Let the host mount the tape, the engine write *content*, and the host dismount it."""
        self.host.begin_mount(label, ring=ring)
        self.tape(label).write_bytes(content)
        self.host.end_mount(label)

    def protect(self, label: str, content: bytes) -> dict[str, Any]:
        """Write a tape and see it copied; return its explanation."""
        before = self.explain(label).get("generation", 0)
        if self.ems is None:
            self.tape(label).write_bytes(content)
        else:
            self.mount(label, content)

        def arrived() -> bool:
            document = self.explain(label)
            return document.get("generation", 0) > before and self.state(label) == "copied"

        self.site.wait(arrived, f"{label} is copied")
        assert self.copy(label).read_bytes() == content
        return self.explain(label)

    def explain(self, label: str) -> dict[str, Any]:
        """Return what is known of the tape, nothing if nobody has seen it."""
        return self.site.explain(self.name(label)) or {}

    def state(self, label: str) -> str:
        """Return the state of the tape's copy in words."""
        return self.site.state_of(self.name(label))

    def why(self, label: str) -> str:
        """Return why the tape's copy is as it is."""
        return str(self.explain(label)["copies"][0]["why"])

    def why_when(self, label: str, state: str) -> str:
        """Wait until the tape is in *state*; return why, even if another attempt begins meanwhile."""
        return str(self.wait_for(label, state)["copies"][0]["why"])

    def wait_for(self, label: str, state: str) -> dict[str, Any]:
        """Wait until the tape is in *state* (the beginning of its words)."""
        return self.site.wait_for_state(self.name(label), state)

    def pool_status(self) -> dict[str, Any]:
        """Return the pool's line of the status."""
        pools: list[dict[str, Any]] = self.site.status()["pools"]
        return next(pool for pool in pools if pool["pool"] == POOL)

    def target_status(self) -> dict[str, Any]:
        """Return the target's line of the status."""
        target: dict[str, Any] = self.site.status()["targets"][0]
        return target

    def kill_agent(self) -> None:
        """Kill the agent (SIGKILL), as a crash would."""
        assert self.site.agent is not None, "no agent was started"
        self.site.agent.kill()

    def restart_agent(self) -> None:
        """End the agent properly and start it with the settings as they stand; wait for a sweep."""
        self.site.stop()
        self.start_agent()

    def start_agent(self) -> None:
        """Start the agent, and wait until it has compared every tape."""
        self.site.start()
        self.site.wait(
            lambda: all(v["swept"] for v in self.site.status()["vaults"]), "every vault is swept"
        )


def assert_no_bug_was_met(site: Site) -> None:
    """Fail if the agent met what nobody foresaw, whatever it made of it."""
    told = [
        line
        for line in site.agent_log().splitlines()
        if "makers" in line or "Traceback" in line or "this is a bug" in line
    ]
    assert told == []


def settle_quickly(site: Site) -> None:
    """Have nobody wait longer than a test needs."""
    site.settings["cross_check"] = {"grace": "1s", "settle": "50ms"}
    site.settings["retry"] = {"attempts": 3, "interval": "300ms"}


@contextmanager
def open_world(
    *,
    with_host: bool = False,
    adjust: Callable[[Site], None] = lambda _: None,
    serve: Callable[[Path], Sshd] = Sshd,
) -> Iterator[World]:
    """Bring up a world whose overlay is attached and whose agent runs; take it down afterwards.

    *adjust* may change the settings before anything is started. The host, if there is one, has the
    agent logged on when the world is given. *serve* makes the target's server in a directory.
    """
    with ExitStack() as stack:
        root = stack.enter_context(scratch_directory())
        far = root / "far" / "VAULT00"
        far.mkdir(parents=True)
        sshd = stack.enter_context(serve(root / "sshd"))
        site = stack.enter_context(Site(root / "src"))
        settle_quickly(site)
        site.make_pool("BILL")
        site.add_target("drsite", sshd, {"VAULT00": far})
        site.watch(POOL, "drsite")
        host = stack.enter_context(NonStop(root / "host")) if with_host else None
        if host is not None:
            site.use_host(host)
        adjust(site)
        site.attach()
        world = World(root, site, sshd, far, host)
        world.start_agent()
        if host is not None:
            host.say("wait 20")
            site.wait(lambda: site.status()["hosts"][0]["up"], "the EMS link is up")
        yield world
        assert_no_bug_was_met(site)


def content(size: int = 300_000) -> bytes:
    """Make up what is on a tape: never the same twice."""
    return os.urandom(size)
