"""``copyagent init``: a first settings file, from options or from questions on a terminal."""

import os
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import click

from copyagent.cli.asking import answer_to
from copyagent.cli.first_settings import (
    First,
    FirstVault,
    read_host,
    read_pool,
    read_target,
    read_vault,
    text_of,
)
from vtsfs.contract.errors import StateError, UsageError
from vtsfs.contract.settings import (
    DEFAULT_PATH,
    ENVIRONMENT,
    Paths,
    Settings,
    examine_settings,
)
from vtsfs.contract.settings_check import check_private_files, check_storage, check_users
from vtsfs.runtime.files import fsync_directory, write_atomic

#: The rights of a settings file: it holds no secrets, and says where they are.
MODE = 0o640

#: What a package makes the settings file from. As long as they are equal nobody has edited it.
EXAMPLE = Path("/usr/share/vts-autocopy/vts-autocopy.yaml")

#: The user and group that a package makes.
PACKAGED_USER = "vts-autocopy"

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the file goes; ``-`` is standard output. *packaged*: a package has laid out its directory."""

    path: Path
    overwrite: bool
    mode: int = MODE
    packaged: bool = False

    @property
    def printed(self) -> bool:
        """Whether it is not written to a file at all."""
        return str(self.path) == "-"


@click.command()
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write it there; - prints it (default: the settings file itself).")  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Let FILE be one that is there already.")
@click.option("--system", metavar="NAME", default="", help="This system's name.")
@click.option("--vault", "vaults", multiple=True, metavar="NAME=BACKING:MOUNTPOINT",
              help="A vault (repeatable).")  # fmt: skip
@click.option("--target", "targets", multiple=True, metavar="NAME=USER@HOST[:PORT]",
              help="A receiving system (repeatable).")  # fmt: skip
@click.option("--pool", "pools", multiple=True, metavar="POOL=TARGET[:POOL]",
              help="A pool to be copied, and where to (repeatable).")  # fmt: skip
@click.option("--ems", "hosts", multiple=True, metavar="HOST=[USER@]ADDRESS",
              help="A NonStop host to listen to (repeatable).")  # fmt: skip
@click.option("--no-ems", is_flag=True, help="Listen to no host: the overlay alone decides.")
@click.option("--user", default="", metavar="USER", help="The agent's user, if not root.")
@click.option("--group", default="", metavar="GROUP", help="Who may look.")
@click.option("--operators", default="", metavar="GROUP", help="Who may act, besides root.")
@click.option("--state", default=str(Paths().state), metavar="DIR", help="Where state is kept.")
@click.option("--run", default=str(Paths().run), metavar="DIR", help="Where the sockets are.")
@click.option("--log", default=str(Paths().event_log), metavar="FILE", help="The event log.")
@click.option("--example", type=click.Path(path_type=Path), default=EXAMPLE, hidden=True)
@click.pass_obj
def init(
    config: Path,
    output: Path | None,
    *,
    overwrite: bool,
    system: str,
    vaults: tuple[str, ...],
    targets: tuple[str, ...],
    pools: tuple[str, ...],
    hosts: tuple[str, ...],
    no_ems: bool,
    user: str,
    group: str,
    operators: str,
    state: str,
    run: str,
    log: str,
    example: Path,
) -> None:
    """Write a first settings file, with a line on each key.

    What is not said by options is asked for on a terminal. Nothing is overwritten unless told so, but
    for what the package brought and nobody has edited.
    """
    if no_ems and hosts:
        raise UsageError("--ems names a host to listen to, and --no-ems wants none; choose one")
    place = _place(output or config, overwrite, example)
    _expect_room(place)
    beside = config.parent if place.printed else place.path.absolute().parent
    first = First(
        system=system,
        keys=beside / "keys" if place.packaged else beside,
        pinned=beside,
        vaults=tuple(map(read_vault, vaults)),
        targets=tuple(map(read_target, targets)),
        pools=tuple(map(read_pool, pools)),
        hosts=tuple(map(read_host, hosts)),
        paths=Paths(state=Path(state), run=Path(run), event_log=Path(log)),
        user=user or (PACKAGED_USER if place.packaged else ""),
        group=group or (PACKAGED_USER if place.packaged else ""),
        operators=operators,
    )
    first = _completed(first, no_ems=no_ems)
    text = text_of(first)
    settings = _sound(text)
    if place.printed:
        click.echo(text, nl=False)
        return
    _write(place, text)
    for line in _next_steps(place, settings):
        click.echo(line)


# ---- what was not said -----------------------------------------------------------------------------


def _completed(first: First, *, no_ems: bool) -> First:
    """Ask for what is missing; raise `UsageError` where nobody can be asked."""
    missing = [
        (not first.system, "--system NAME"),
        (not first.vaults, "--vault NAME=BACKING:MOUNTPOINT"),
        (not first.hosts and not no_ems, "--ems HOST=ADDRESS or --no-ems"),
    ]
    wanted = [option for is_missing, option in missing if is_missing]
    if not wanted:
        return first
    if not sys.stdin.isatty():
        raise UsageError(f"say {', '.join(wanted)}: nobody can be asked, input is no terminal")
    click.echo("A first settings file. An empty answer ends a list, or takes what is in brackets.")
    system = first.system or _ask_name()
    return replace(
        first,
        system=system,
        vaults=first.vaults or _ask_vaults(),
        targets=first.targets or _ask_list("Target, as NAME=USER@HOST", read_target),
        pools=first.pools or _ask_list("Pool to be copied, as /VAULT00/BILL=TARGET", read_pool),
        hosts=first.hosts
        or (() if no_ems else _ask_list("NonStop host, as HOST=ADDRESS", read_host)),
    )


def _ask_name() -> str:
    here = os.uname().nodename.split(".")[0].upper()[:15]
    return answer_to(f"Name of this system [{here}]: ") or here


def _ask_vaults() -> tuple[FirstVault, ...]:
    while True:
        found = _ask_list("Vault, as VAULT00=/var/lib/vts/VAULT00:/VAULT00", read_vault)
        if found:
            return found
        click.echo("there has to be one at least", err=True)


def _ask_list(question: str, read: Callable[[str], _T]) -> tuple[_T, ...]:
    """Ask until an empty answer; one that makes no sense is asked for again."""
    found: list[_T] = []
    while line := answer_to(f"{question}{' (one more)' if found else ''}: "):
        try:
            found.append(read(line))
        except UsageError as error:
            click.echo(str(error), err=True)
    return tuple(found)


# ---- the file --------------------------------------------------------------------------------------


def _place(path: Path, overwrite: bool, example: Path) -> Place:
    """Find out how things stand there: what a package brought is as good as not there, till edited."""
    packaged = example.is_file() and (path.parent / "keys").is_dir()
    if packaged and is_unedited(path, example):
        return Place(path, True, path.stat().st_mode & 0o777, packaged)
    # The agent's user, who is not in root's group, has to be able to read it.
    return Place(path, overwrite, 0o644 if packaged else MODE, packaged)


def is_unedited(path: Path, example: Path) -> bool:
    """Tell whether the file *path* still is the *example* that it was made from, byte for byte."""
    try:
        return not path.is_symlink() and path.read_bytes() == example.read_bytes()
    except OSError:
        return False


def _expect_room(place: Place) -> None:
    """Say that a file is there before anybody has answered twenty questions."""
    if not place.printed and not place.overwrite and os.path.lexists(place.path):
        raise UsageError(
            f"{place.path} is there already, and was left alone; say --overwrite if it may go"
        )


def _sound(text: str) -> Settings:
    settings, problems = examine_settings(text, "what was asked for")
    if settings is None or problems:
        raise UsageError("; ".join(problems))
    return settings


def _write(place: Place, text: str) -> None:
    try:
        if place.overwrite:
            write_atomic(place.path, text.encode(), place.mode)
            return
        fd = os.open(place.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            os.fchmod(fd, place.mode)
            file.write(text)
            file.flush()
            os.fsync(fd)
        fsync_directory(place.path.parent)
    except FileExistsError as error:
        raise UsageError(
            f"{place.path} was just made by somebody else; it was left alone"
        ) from error
    except OSError as error:
        raise StateError(f"{place.path} cannot be written: {error.strerror}") from error


def _next_steps(place: Place, settings: Settings) -> Iterator[str]:
    """Name what is still to be made, with the commands that make it."""
    path = place.path
    yield f"{path} is written"
    missing = [*check_users(settings), *check_storage(settings), *check_private_files(settings)]
    if missing:
        yield "What it names and is not there yet:"
        yield from (f"  {each}" for each in missing)
    yield "Then, in this order:"
    if path != DEFAULT_PATH and str(path) != "-":
        yield f"  export {ENVIRONMENT}={shlex.quote(str(path.absolute()))}   # or --config each time"
    # In a package's directory for keys they are root's: the agent's service is handed them.
    owner = f" -o {settings.service.user}" if settings.service.user and not place.packaged else ""
    pools = list(dict.fromkeys(entry.pool for entry in settings.autocopy))
    places = [settings.vaults[pool.vault].backing / pool.pool for pool in pools]
    places += [vault.mountpoint for vault in settings.vaults.values()]
    if absent := [str(place) for place in places if not place.exists()]:
        yield f"  mkdir -p {shlex.join(absent)}   # pools: with the tape engine's owner and mode"
    for host in settings.ems.hosts.values():
        if host.password_file is not None and not host.password_file.exists():
            yield f"  install -m 600{owner} /dev/null {host.password_file}   # and write the password"
    for target in settings.targets:
        yield f"  copyagent keys init {target}"
    yield "  copyagent check"
    for target in settings.targets:
        yield f"  copyagent doctor {target}"
    if place.packaged and path == DEFAULT_PATH:
        for vault in settings.vaults:
            yield f"  systemctl enable --now vtsfs@{vault}.service"
        yield "  systemctl enable --now copyagent.service"
    else:
        for vault in settings.vaults:
            yield f"  vtsfs attach {vault}"
        yield "  copyagent run   # in the foreground, as a service manager wants it"
    for pool in pools:
        yield f"  copyagent sync {pool}   # the tapes that were there before"
