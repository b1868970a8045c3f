"""What is collected for those who help: each part by itself, so that one that fails costs no other."""

import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import yaml

from copyagent.cli.console import LOOK_S
from copyagent.cli.history import entries
from copyagent.cli.snapshot import last_known
from copyagent.control.client import ask
from copyagent.control.inquiries import History
from copyagent.control.protocol import Events, Explain, Status
from copyagent.state.history_file import sqlite_version
from vtsfs.contract.errors import AgentUnreachable, StateError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.redaction import redact
from vtsfs.contract.settings import Settings
from vtsfs.runtime.interpreter import own_command, own_environment
from vtsfs.runtime.releases import installed_release, running_release

#: How much of each list goes in.
EXPLAINED: Final = 30
EVENTS: Final = 1000
ENTRIES: Final = 2000
LOG_BYTES: Final = 2 * 1024 * 1024
LISTED: Final = 2000

#: How long a program may take that is asked for its version or state, in seconds.
_PROGRAM_S: Final = 10.0

#: What our programs stand on.
_LIBRARIES: Final = (
    *("pyfuse3", "trio", "trio-asyncio", "asyncssh", "PyYAML", "pydantic", "click", "rich"),
    *("blake3", "cryptography", "prometheus-client"),
)


def status(settings: Settings) -> Any:
    """Return the agent's status, or its last known one."""
    try:
        return ask(settings.control_socket(), Status(), timeout=LOOK_S)
    except AgentUnreachable as error:
        known = last_known(settings)
        if known is None:
            raise
        return {"stale": str(error), **known}


def explained(settings: Settings) -> list[Any]:
    """Return all that is known of the first tapes that need attention."""
    document: Any = ask(settings.control_socket(), Status(), timeout=LOOK_S)
    tapes = list(dict.fromkeys(entry["tape"] for entry in document["attention"]))[:EXPLAINED]
    return [
        ask(settings.control_socket(), Explain(TapeId.parse(tape)), timeout=LOOK_S)
        for tape in tapes
    ]


def events(settings: Settings) -> list[Any]:
    """Return what hosts and overlays told last."""
    request = Events(overlay=True, most=EVENTS)
    found: Any = ask(settings.control_socket(), request, timeout=LOOK_S)
    return list(found["events"])


def history(settings: Settings) -> list[Any]:
    """Return the last entries of the history, also without an agent."""
    return list(entries(settings, History(last=ENTRIES), tell=False))


def event_log(settings: Settings) -> bytes:
    """Return the end of the event log, from the beginning of a line on."""
    return tail(settings.paths.event_log, LOG_BYTES)


def tail(path: Path, most: int) -> bytes:
    """Return the last lines of a file, *most* bytes at the most."""
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(length - most, 0))
        data = file.read(most)
    return data if length <= most else data.partition(b"\n")[2]


def versions() -> dict[str, Any]:
    """Return the releases of our programs and of what they stand on."""
    release = platform.freedesktop_os_release() if Path("/etc/os-release").exists() else {}
    return {
        "vts_autocopy": running_release(),
        "installed": installed_release(),
        "python": sys.version,
        "executable": sys.executable,
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "sqlite": sqlite_version(),
        "kernel": " ".join(os.uname()[i] for i in (0, 2, 3, 4)),
        "system": release.get("PRETTY_NAME", ""),
        "ssh": _told_by("ssh", "-V"),
        "fusermount3": _told_by("fusermount3", "--version"),
        "systemd": _told_by("systemctl", "--version").partition("\n")[0],
        "processors": os.cpu_count(),
        "memory": _memory(),
    }


def overlays(config: Path) -> str:
    """Return what ``vtsfs status --json`` prints."""
    command = own_command("vtsfs", "--config", str(config), "status", "--json")
    return _run(command, own_environment(os.environ))


def mounts(settings: Settings) -> str:
    """Return the kernel's mounts on, above and below our vaults (proc(5), mountinfo)."""
    ours = [
        path for vault in settings.vaults.values() for path in (vault.mountpoint, vault.backing)
    ]
    lines = []
    # Other ends of lines stand in names as they are, and names need not be UTF-8.
    table = Path("/proc/self/mountinfo").read_bytes().decode(errors="replace")
    for line in table.removesuffix("\n").split("\n"):
        at = Path(line.split(" ")[4])
        if any(at == path or at in path.parents or path in at.parents for path in ours):
            lines.append(line)
    return "\n".join(lines) + "\n"


def sizes(settings: Settings) -> list[Any]:
    """Return what lies in our directories, with owner, mode and size, and the room that is left."""
    places = [settings.paths.state, settings.paths.run, settings.paths.event_log.parent]
    found: list[Any] = [_room(place) for place in places]
    found += [_room(vault.backing) for vault in settings.vaults.values()]
    for place in (settings.paths.state, settings.paths.run):
        below = [_listed(path) for path in _walk(place)]
        found += below[:LISTED]
        found.append({"path": str(place), "files": len(below), "bytes": _total(below)})
    return found


def redacted_settings(text: str) -> str:
    """Return the settings with their comments and secrets left out; raises `StateError` if unread."""
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StateError("it is no YAML, so nobody knows what in it is secret") from error
    shown = redact(document)
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=1000)


def secrets_of(settings: Settings | None, text: str) -> Iterator[str]:
    """Go through what must never be told: what stands in files of secrets, and in place of one."""
    if settings is not None:
        for path in secret_files(settings):
            try:
                content = path.read_bytes()[:65536].decode("utf-8", "replace")
            except OSError:
                continue  # nothing that could not be read can have been told by us
            yield content
            yield from content.splitlines()
    try:
        yield from _withheld(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return


def secret_files(settings: Settings) -> list[Path]:
    """Return the files that hold keys and passwords."""
    found = [target.key for target in settings.targets.values()]
    for host in settings.ems.hosts.values():
        found += [path for path in (host.password_file, host.key) if path is not None]
    return found


def _withheld(value: Any, key: str = "") -> Iterator[str]:
    """Go through the values of keys that name secrets, wherever they stand in the settings."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _withheld(inner, str(name))
    elif isinstance(value, list):
        for inner in value:
            yield from _withheld(inner)
    elif isinstance(value, str) and key and redact("x", key) != "x":
        yield value


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed as a distribution"


def _told_by(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return "not found"
    try:
        return _run(command).strip()
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {error}"


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    ended = subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=_PROGRAM_S,
        check=False,
    )
    return f"{ended.stdout}{ended.stderr}"


def _memory() -> str:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return "unknown"
    return "; ".join(" ".join(line.split()) for line in lines[:3])


def _room(place: Path) -> dict[str, Any]:
    try:
        found = os.statvfs(place)
    except OSError as error:
        return {"path": str(place), "trouble": error.strerror}
    return {
        "path": str(place),
        "free": found.f_bavail * found.f_frsize,
        "total": found.f_blocks * found.f_frsize,
        "files_free": found.f_favail,
    }


def _walk(place: Path) -> Iterator[Path]:
    for directory, _, names in os.walk(place):
        yield Path(directory)
        for name in sorted(names):
            yield Path(directory, name)


def _listed(path: Path) -> dict[str, Any]:
    try:
        found = path.lstat()
    except OSError as error:
        return {"path": str(path), "trouble": error.strerror}
    return {
        "path": str(path),
        "mode": stat.filemode(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "bytes": found.st_size,
        "mtime": int(found.st_mtime),
    }


def _total(listed: list[dict[str, Any]]) -> int:
    return sum(one.get("bytes", 0) for one in listed)
