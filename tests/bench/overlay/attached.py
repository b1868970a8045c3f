"""The same directory tree, reached in four ways: as it is, and through three FUSE file systems.

All of them stand on one backing directory, so disk, page cache and tapes are the same for each.

- `vtsfs/pyfuse3`: our overlay, as a daemon of its own with default settings.
- `backing`: the directory itself, which is what an overlay can cost nothing against.
- `passthrough_ll`: libfuse's example in C, compiled with ``gcc -O2`` from the source that Debian ships
  as documentation. It reports nothing and keeps no account: what the kernel's FUSE costs in C. Its
  defaults (``cache=auto``, ``timeout=1``, no writeback) are the overlay's own.
- `mergerfs`: Debian's, with one branch and default caching, a file system that people use.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

from tests.support.mountpoint import mounts_under, remove_tree, unmount_under, unmounted_after
from tests.support.processes import Program
from tests.support.waiting import wait_until
from vtsfs.contract.settings import Settings, parse_settings
from vtsfs.inquiry import state_of

OURS = "vtsfs/pyfuse3"
BACKING = "backing"
PASSTHROUGH = "passthrough_ll"
MERGERFS = "mergerfs"

VAULT = "VAULT00"
POOL = "BILL"

#: Seconds between two questions to the overlay, which has work to do to answer them.
_ASK_S = 0.25
_CONFIG = "vts-autocopy.yaml"

_EXAMPLES = Path("usr/share/doc/libfuse3-dev/examples")
_SOURCES = ("passthrough_ll.c", "passthrough_helpers.h")


class BenchError(Exception):
    """A peer cannot be had on this machine; says what to do about it."""


@dataclass(frozen=True)
class Way:
    """One way to the tapes: its name, and where the pool is on it."""

    name: str
    pool: Path


@dataclass(frozen=True)
class Attached:
    """The ways to one tree, ours first, and the process that serves ours."""

    ways: Sequence[Way]
    backing: Path
    overlay: Program
    settings: Settings

    @property
    def ours(self) -> Way:
        """Our own way."""
        return self.ways[0]

    def ask(self) -> Mapping[str, Any] | None:
        """Return what the overlay says of itself (`vtsfs status`), or None if it does not answer."""
        return state_of(self.settings, VAULT).daemon

    def rest(self) -> None:
        """Wait until the overlay has told the end of every tape, so that it disturbs nobody."""
        asked = 0.0

        def told() -> bool:
            nonlocal asked
            if monotonic() < asked + _ASK_S:
                return False
            asked = monotonic()
            daemon = self.ask()
            return daemon is not None and not daemon["open_tapes"]

        wait_until(told, 60.0, "the overlay comes to rest")
        os.sync()


@contextmanager
def attached(directory: Path, wrapper: Sequence[str | Path] = ()) -> Iterator[Attached]:
    """Bring up all four ways to a tree with one empty pool; raise BenchError if one cannot be had.

    *wrapper* is put between the interpreter and ``-m vtsfs``: the options with which Python runs a
    profiler around a module.
    """
    backing = directory / "backing"
    (backing / POOL).mkdir(parents=True)
    with ExitStack() as stack:
        stack.enter_context(_left_clean(directory / VAULT))
        stack.enter_context(unmounted_after(directory))
        overlay = stack.enter_context(_overlay(directory, wrapper))
        ways = [Way(OURS, directory / VAULT / POOL), Way(BACKING, backing / POOL)]
        for name, command in _peers(directory, backing).items():
            stack.enter_context(_served(command, directory / name))
            ways.append(Way(name, directory / name / POOL))
        yield Attached(ways, backing / POOL, overlay, _settings(directory))


@contextmanager
def overlay_alone(directory: Path, wrapper: Sequence[str | Path] = ()) -> Iterator[Attached]:
    """Bring up our way only."""
    backing = directory / "backing"
    (backing / POOL).mkdir(parents=True)
    with (
        _left_clean(directory / VAULT),
        unmounted_after(directory),
        _overlay(directory, wrapper) as overlay,
    ):
        ways = [Way(OURS, directory / VAULT / POOL)]
        yield Attached(ways, backing / POOL, overlay, _settings(directory))


@contextmanager
def _left_clean(mountpoint: Path) -> Iterator[None]:
    """Let the mount point be removed: an overlay makes it immutable."""
    try:
        yield
    finally:
        remove_tree(mountpoint)


def _overlay(directory: Path, wrapper: Sequence[str | Path]) -> AbstractContextManager[Program]:
    paths = {"state": "state", "run": "run", "event_log": "event.log"}
    backing, mountpoint = directory / "backing", directory / VAULT
    # The least settings with which an overlay can be attached; JSON is YAML too.
    settings = {
        "system": {"name": "BENCH"},
        "paths": {name: str(directory / path) for name, path in paths.items()},
        "vaults": {VAULT: {"backing": str(backing), "mountpoint": str(mountpoint)}},
    }
    config = directory / _CONFIG
    config.write_text(json.dumps(settings), encoding="utf-8")
    command: list[str | Path] = [sys.executable, *wrapper, "-m", "vtsfs", "--config", config]
    return _served([*command, "attach", "--foreground", VAULT], mountpoint)


def _settings(directory: Path) -> Settings:
    config = directory / _CONFIG
    return parse_settings(config.read_text(encoding="utf-8"), str(config))


def _peers(directory: Path, backing: Path) -> Mapping[str, Sequence[str | Path]]:
    everybody = ["allow_other"] if os.geteuid() == 0 else []
    passthrough = ",".join([f"source={backing}", "default_permissions", *everybody])
    # Nothing is kept free of what a small disk has: the others keep nothing free either.
    mergerfs = ",".join(["minfreespace=0", *everybody])
    program = _compiled_passthrough(directory)
    return {
        PASSTHROUGH: [program, "-f", "-o", passthrough, directory / PASSTHROUGH],
        MERGERFS: [_mergerfs(), "-f", "-o", mergerfs, backing, directory / MERGERFS],
    }


@contextmanager
def _served(command: Sequence[str | Path], mountpoint: Path) -> Iterator[Program]:
    mountpoint.mkdir()
    with Program(command, mountpoint.with_name(f"{mountpoint.name}.log")) as program:

        def is_there() -> bool:
            if not program.is_running():
                raise BenchError(f"what should serve {mountpoint} ended: see its output above")
            return mounts_under(mountpoint) != [] and (mountpoint / POOL).is_dir()

        wait_until(is_there, 30.0, f"{mountpoint} is served")
        try:
            yield program
        finally:
            unmount_under(mountpoint)
            with suppress(subprocess.TimeoutExpired):
                program.wait(10.0)


def _mergerfs() -> str:
    found = shutil.which("mergerfs")
    if found is None:
        raise BenchError("there is no mergerfs: run 'apt-get install mergerfs' as root")
    return found


def _compiled_passthrough(directory: Path) -> Path:
    """Compile libfuse's example in *directory*."""
    sources = directory / "passthrough_ll.d"
    sources.mkdir()
    for name in _SOURCES:
        (sources / name).write_bytes(example(name, _tops(sources)))
    flags = _output_of(["pkg-config", "--cflags", "--libs", "fuse3"], sources).split()
    _output_of(["gcc", "-O2", "-o", "passthrough_ll", "passthrough_ll.c", *flags], sources)
    return sources / "passthrough_ll"


def example(name: str, tops: Iterable[Path]) -> bytes:
    """Return a file of libfuse's examples, found below one of *tops*; raise BenchError if not."""
    for top in tops:
        plain, packed = top / _EXAMPLES / name, top / _EXAMPLES / f"{name}.gz"
        if plain.exists():
            return plain.read_bytes()
        if packed.exists():
            return gzip.decompress(packed.read_bytes())
    raise BenchError(f"libfuse3-dev holds no {name}: is it Debian's?")


def _tops(scratch: Path) -> Iterator[Path]:
    """Look where Debian installs it; where documentation is left out, fetch the package itself."""
    yield Path("/")
    unpacked = scratch / "package"
    if not unpacked.exists():
        _output_of(["apt-get", "-q", "download", "libfuse3-dev"], scratch)
        (package,) = scratch.glob("libfuse3-dev_*.deb")
        _output_of(["dpkg-deb", "--extract", package, unpacked], scratch)
    yield unpacked


def _output_of(command: Sequence[str | Path], directory: Path) -> str:
    try:
        ended = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise BenchError(f"there is no {command[0]}: run packaging/setup/prepare") from error
    if ended.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command))}: {ended.stderr.strip()[-2000:]}")
    return ended.stdout
