"""Serve a vault with an overlay that stumbles on demand: a program for test_handler_failure.

The file `fault` in the vault's directory says which handler raises what, such as ``write
MemoryError``, at its next step into the overlay. `background` in the handler's place means every
report of a signal instead, which tasks beside the requests make.
"""

import os
import struct
import sys
import types
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import click

from vtsfs import daemon
from vtsfs.contract.settings_file import read_settings
from vtsfs.overlay.overlay import Overlay, VaultView
from vtsfs.overlay.reports import Clock, SignalSink
from vtsfs.runtime.exits import run_cli
from vtsfs.runtime.logs import configure_logging
from vtsfs.runtime.systemd import Notifier
from vtsfs.runtime.tasks import Starter


class Panic(BaseException):
    """No Exception: libraries that are written in Rust raise such."""


FAULTS: Mapping[str, BaseException] = {
    "KeyError": KeyError("nobody foresaw this"),
    "MemoryError": MemoryError(),
    "RecursionError": RecursionError("too deep"),
    "OverflowError": OverflowError("int too large to convert"),
    "UnicodeError": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "no"),
    "struct": struct.error("unpack requires more"),
    "group": ExceptionGroup("several", [ValueError("one of them")]),
    "panic": Panic("a panic"),
    "odd": OSError(1 << 20, "no errno of this kernel"),
}


class Stumbling:
    """Lets methods of the overlay's rooms raise what the file says."""

    def __init__(self, orders: Path) -> None:
        self._orders = orders

    def into(self, room: Any, only: str | None = None) -> None:
        """Have *room*'s public methods (or *only* that one) look for orders first."""
        found = type(room)
        methods = {
            name: self._stumbling(method, only is not None)
            for base in reversed(found.__mro__[:-1])
            for name, method in vars(base).items()
            if isinstance(method, types.FunctionType)
            and (name == only if only else not name.startswith("_") or name == "__getitem__")
        }
        room.__class__ = type(found.__name__, (found,), {"__slots__": (), **methods})

    def _stumbling(self, method: types.FunctionType, in_background: bool) -> Callable[..., Any]:
        @wraps(method)
        def stumbling(*args: Any, **kwargs: Any) -> Any:
            who, _, what = self._read().partition(" ")
            if who and (in_background if who == "background" else who == _handler()):
                raise FAULTS[what]
            return method(*args, **kwargs)

        return stumbling

    def _read(self) -> str:
        try:
            return self._orders.read_text()
        except FileNotFoundError:
            return ""


def _handler() -> str:
    """Name the request that is being handled."""
    frame, name = sys._getframe(2), ""
    while frame.f_back is not None and not name:
        if frame.f_code.co_filename.endswith("fuse/operations.py"):
            name = frame.f_code.co_name
        frame = frame.f_back
    return name


class FaultyOverlay(Overlay):
    """An overlay that stumbles."""

    def __init__(self, vault: VaultView, sink: SignalSink, clock: Clock, nursery: Starter) -> None:
        super().__init__(vault, sink, clock, nursery)
        stumbling = Stumbling(vault.backing.parent / "fault")
        stumbling.into(self)
        for room in vars(self).values():
            if type(room).__module__.startswith("vtsfs.overlay.") and hasattr(room, "__dict__"):
                stumbling.into(room)
        stumbling.into(self.parts.reporter, only="of_session")


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("vault")
def serve(config: Path, vault: str) -> None:
    configure_logging(sys.stderr, os.environ)
    settings = read_settings(config)
    daemon.run(
        daemon.Attachment(settings, vault, Notifier(), make_overlay=FaultyOverlay, stop_limit_s=1.0)
    )


if __name__ == "__main__":
    sys.exit(run_cli(serve, program="faulty_overlay"))
