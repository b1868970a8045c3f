"""Serve a vault with an overlay that fails on demand: a program for test_handler_failure."""

import os
import sys
from pathlib import Path

import trio

from vtsfs import daemon
from vtsfs.contract.settings_file import read_settings
from vtsfs.overlay.inodes import Inode
from vtsfs.overlay.names import Entry, Names
from vtsfs.overlay.overlay import Overlay, VaultView
from vtsfs.overlay.reports import Clock, SignalSink
from vtsfs.runtime.logs import configure_logging
from vtsfs.runtime.systemd import Notifier


class FaultyNames(Names):
    """Stumbles over one name."""

    def lookup(self, parent: Inode, name: bytes) -> Entry:
        if name == b"bomb":
            raise KeyError(name)
        return super().lookup(parent, name)


class FaultyOverlay(Overlay):
    """An overlay with those names."""

    def __init__(
        self, vault: VaultView, sink: SignalSink, clock: Clock, nursery: trio.Nursery
    ) -> None:
        super().__init__(vault, sink, clock, nursery)
        self.names = FaultyNames(self.parts, vault.name, vault.patterns)


if __name__ == "__main__":
    configure_logging(sys.stderr, os.environ)
    settings = read_settings(Path(sys.argv[1]))
    daemon.run(daemon.Attachment(settings, sys.argv[2], Notifier(), make_overlay=FaultyOverlay))
