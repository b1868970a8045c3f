"""Build the runtime, stage by stage, and print where it is: what ``packaging/runtime/build`` runs."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from compiling.archive import Archive, ArchiveError
from compiling.assembly import assemble, describe
from compiling.sources import (
    Choice,
    Component,
    Lock,
    LockError,
    SourceGone,
    parse_lock,
    upstream_version,
)
from compiling.stages import NEEDS, Surroundings, digest, runtime_key, stage_keys, tools_key
from compiling.workshop import HERE, BuildError, Stage, Workshop, check_space, say, taken

SCRIPTS: Final = ("compiler", "stage")
ASSEMBLY: Final = ("compiling/assembly.py",)


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Say where downloads and results are kept."""
    if named := environment.get("VTS_PACKAGES_CACHE"):
        return Path(named).absolute()
    home = environment.get("XDG_CACHE_HOME") or f"{environment.get('HOME', '/root')}/.cache"
    return Path(home) / "vts-autocopy"


def main(arguments: list[str]) -> int:
    """Build what is not in the cache; return the exit status."""
    if arguments:
        sys.stderr.write("runtime: there are no arguments: 'packaging/runtime/build'.\n")
        return 2
    cache = cache_directory(os.environ)
    try:
        lock = parse_lock((HERE / "sources.lock").read_text(encoding="utf-8"))
        cache.mkdir(parents=True, exist_ok=True)
        runtime = _built(lock, cache, strict=os.environ.get("STRICT") == "1")
    except LockError as error:
        sys.stderr.write(f"runtime: {HERE / 'sources.lock'} cannot be used: {error}\n")
        return 1
    except (SourceGone, ArchiveError, BuildError) as error:
        sys.stderr.write(f"runtime: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("runtime: interrupted; what is compiled already is kept.\n")
        return 130
    sys.stdout.write(f"{runtime}\n")
    return 0


def _built(lock: Lock, cache: Path, *, strict: bool) -> Path:
    with tempfile.TemporaryDirectory() as scratch:
        archive = Archive(lock, cache / "sources", Path(scratch))
        choices = {
            component.name: archive.obtain(component, strict=strict)
            for component in lock.components
        }
        for choice in choices.values():
            if choice.warning:
                say(f"WARNING: {choice.warning}")
        components = {
            component.name: _as_chosen(component, choices[component.name])
            for component in lock.components
        }
        return _from_sources(lock, cache, archive, components, choices)


def _as_chosen(component: Component, choice: Choice) -> Component:
    return Component(**{**vars(component), "version": upstream_version(choice.revision)})


def _from_sources(
    lock: Lock,
    cache: Path,
    archive: Archive,
    components: Mapping[str, Component],
    choices: Mapping[str, Choice],
) -> Path:
    tools_lock = _text("tools.lock")
    surroundings = Surroundings(
        lock.epoch, tools_key(tools_lock), {name: _text(name) for name in SCRIPTS}
    )
    recipes = {name: _text(f"recipes/{name}") for name in NEEDS}
    keys = stage_keys(components, choices, recipes, surroundings)
    told = {name: [vars(components[name]), choices[name].warning] for name in NEEDS}
    key = runtime_key(keys, {name: _text(name) for name in ASSEMBLY}, {"digest": digest(told)})
    kept = cache / "runtime" / key[:16]
    if kept.is_dir():
        say(f"{kept} is there already")
        return kept
    with taken() as workplace:
        check_space(workplace.place, cache)
        shop = Workshop(workplace, cache, archive, epoch=lock.epoch)
        tools = shop.tools(surroundings.tools)
        results: dict[str, Path] = {}
        for name, needs in NEEDS.items():
            needed = tuple(results[need] for need in needs)
            stage = Stage(components[name], choices[name], keys[name], needed)
            results[name] = shop.result(stage, tools)
        patches = {
            name: json.loads((result / "patches.json").read_text(encoding="utf-8"))
            for name, result in results.items()
        }
        description = describe(components.values(), choices, patches, tools_of(tools_lock))
        with shop.arriving(kept) as arriving:
            assemble(arriving, results, tools, description, lock.epoch)
    return kept


def tools_of(lock: str) -> list[dict[str, str]]:
    """List the tools that a lock names, as ``sources.json`` tells them."""
    return [
        {"name": found[1], "version": found[2], "sha256": found[3]}
        for found in re.finditer(r"^(\S+)==(\S+) --hash=sha256:([0-9a-f]{64})$", lock, re.MULTILINE)
    ]


def _text(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    # Ended like an interruption: what was begun is removed, and what runs is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    status = main(sys.argv[1:])
    if not status:
        say(f"{time.monotonic() - started:.0f} s")
    sys.exit(status)
