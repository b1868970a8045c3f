"""The overlay of one vault: its rooms put together. Raises OSError and VtsError, nothing of FUSE."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.overlay import store
from vtsfs.overlay.attributes import Attributes
from vtsfs.overlay.closing import Closing
from vtsfs.overlay.companions import Companions
from vtsfs.overlay.descriptors import most_held
from vtsfs.overlay.directories import Directories
from vtsfs.overlay.files import Files, Parts
from vtsfs.overlay.gate import Gate
from vtsfs.overlay.inodes import Inode, InodeTable
from vtsfs.overlay.links import Links
from vtsfs.overlay.names import Names
from vtsfs.overlay.places import ELSEWHERE, Companion, Place, place_of
from vtsfs.overlay.readers import Readers
from vtsfs.overlay.renamed import RenamedFiles
from vtsfs.overlay.reports import Clock, Reporter, SignalSink
from vtsfs.overlay.sessions import Sessions
from vtsfs.runtime.tasks import Starter


@dataclass(frozen=True, slots=True)
class VaultView:
    """What the overlay must know of its vault."""

    name: str
    backing: Path
    patterns: NamePatterns
    #: Seconds for which a tape must stay closed until its session is over.
    settle_s: float = 0.0
    refuse: bool = False
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class OpenTape:
    """A tape that is open through the overlay, for `vtsfs status`."""

    tape: TapeId
    access: str
    since_ns: int
    pids: tuple[int, ...]
    bytes_written: int = 0
    #: Nobody has it open any more: it is made durable, and may be opened again within its session.
    settling: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values. Field by field: hundreds are asked for between two requests."""
        return {
            "tape": str(self.tape),
            "access": self.access,
            "since_ns": self.since_ns,
            "pids": self.pids,
            "bytes_written": self.bytes_written,
            "settling": self.settling,
        }


class Overlay:
    """One vault: files, names and attributes over one backing directory."""

    def __init__(self, vault: VaultView, sink: SignalSink, clock: Clock, nursery: Starter) -> None:
        self._vault = vault
        closing = Closing(nursery)
        self.inodes = InodeTable(
            vault.backing,
            lambda fd: self.tape_of(fd) is not None,
            most_held(),
            closing.close,
        )
        self.directories = Directories(self.inodes)
        reporter = Reporter(vault.name, sink, clock, refuse=vault.refuse)
        links = Links(self.inodes.root.fd, vault.name, vault.patterns)
        self.sessions = Sessions(
            reporter,
            nursery,
            self.tape_of,
            links,
            settle_s=vault.settle_s,
            close=closing.close,
        )
        self.readers = Readers(reporter)
        self.parts = parts = Parts(
            self.inodes,
            reporter,
            self.sessions,
            self.readers,
            clock,
            self.tape_of,
            RenamedFiles(nursery),
            links,
            Companions(reporter, nursery, self.sessions, self.companion_of, self.inodes.root.fd),
            vault.gate,
        )
        self.files = Files(parts)
        self.names = Names(parts, vault.name, vault.patterns, self.files.adopt)
        self.attributes = Attributes(parts)

    def tape_of(self, fd: int) -> TapeId | None:
        """Say which tape an open regular file is by its present name, None if it is none."""
        return self._place_of(fd).tape

    def companion_of(self, fd: int) -> Companion | None:
        """Say which companion an open regular file is by its present name, None if it is none."""
        return self._place_of(fd).companion if self._vault.patterns.companions else None

    def _place_of(self, fd: int) -> Place:
        path = store.relative_path(fd, self.inodes.root.fd)
        if path is None:
            return ELSEWHERE
        return place_of(self._vault.name, path, self._vault.patterns)

    def read_link(self, inode: Inode) -> bytes:
        """Return what a symbolic link holds."""
        return store.read_link(inode)

    def statfs(self) -> os.statvfs_result:
        """Return the room on the file system below."""
        return os.fstatvfs(self.inodes.root.fd)

    def open_tapes(self) -> list[OpenTape]:
        """List the tapes that have a session now, writers first."""
        writers = [
            OpenTape(
                s.tape, "write", s.since_ns, tuple(sorted(s.pids)), s.bytes_written, s.settling
            )
            for s in self.sessions
        ]
        readers = [
            OpenTape(s.tape, "read", s.since_ns, tuple(sorted(s.pids)))
            for s in self.readers.sessions()
        ]
        return [*sorted(writers, key=lambda t: t.tape), *sorted(readers, key=lambda t: t.tape)]

    def close(self) -> None:
        """Close the descriptors of files the kernel never forgot; call it after the last request."""
        self.inodes.close()
