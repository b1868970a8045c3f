"""Whose staging directory is it? The file ``AGENT`` in it names the agent that works there.

Two agents of one name would each take the other's stages for rubbish and the other's copies for
foreign files. The ID is derived, not drawn: an agent whose state was lost or restored is the same one
still; on another machine, or over another state directory, it is another, and needs the operator's
word (``copyagent take-over``).
"""

import hashlib
import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from vtsfs.contract.settings import Settings

VERSION = 1

#: The longest mark that is read, in bytes; ours are a quarter of it.
MAX_BYTES = 1024

_MACHINE_ID = Path("/etc/machine-id")


@dataclass(frozen=True, slots=True)
class AgentMark:
    """What stands in the file: *agent* is the ID, empty for nobody's; the rest is for people."""

    agent: str = ""
    system: str = ""
    node: str = ""

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the mark of the agent that runs on this machine with *settings*."""
        node = os.uname().nodename
        agent = agent_id(machine_id() or node, settings.system.name, settings.agent_directory())
        return cls(agent, settings.system.name, node)

    def encode(self) -> bytes:
        """Write the mark as a line of JSON, with a digest that tells damage from another's mark."""
        told = [self.agent, self.system, self.node]
        data = {"version": VERSION, "agent": self.agent, "system": self.system, "node": self.node}
        return json.dumps(data | {"check": _check(told)}).encode("ascii") + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """Read a mark; None for what no agent has written, or what was damaged since."""
        try:
            found = json.loads(data)
            told = [found["agent"], found["system"], found["node"]]
            if found["version"] != VERSION or found["check"] != _check(told):
                return None
            return cls(*told)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


def agent_id(machine: str, system: str, state: Path) -> str:
    """Derive an agent's ID from the machine, the system's name and the directory of its state.

    The machine's own ID must not be shown to others (machine-id(5)), so all three are digested.
    """
    told = "\0".join(["vts-autocopy", machine, system, str(state)])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]


@cache
def machine_id() -> str:
    """Return the ID of this machine, machine-id(5); empty where it has none."""
    try:
        return _MACHINE_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _check(told: list[str]) -> str:
    return hashlib.sha256(json.dumps(told).encode("ascii")).hexdigest()[:16]
