"""The command line: attach, detach and status of vaults."""

import faulthandler
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from vtsfs import launch
from vtsfs.contract.errors import AttachError, Unprotected, VaultBusy
from vtsfs.contract.messages import one_line
from vtsfs.contract.releases import other_release
from vtsfs.contract.settings import DEFAULT_PATH, ENVIRONMENT, Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count, format_duration, format_size
from vtsfs.fuse import mounting
from vtsfs.inquiry import Cover, VaultState, known_vault, layers_left, state_of
from vtsfs.on_record import NO_REASON, Actor, announce_detach, withdraw_detach
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.late_acts import who
from vtsfs.runtime.logs import configure_logging
from vtsfs.runtime.releases import installed_release, running_release
from vtsfs.runtime.systemd import Notifier

#: Seconds a detached daemon has to commit what is queued and end.
END_LIMIT_S = 30.0

#: Seconds for which a tape may still count as open that was just closed, and how often to look.
CLOSING_S, LOOK_AGAIN_S = 1.0, 0.05

#: Why a vault is attached or detached: on record, whether or not there is anything to say.
_BECAUSE = click.option(
    "--because", default=NO_REASON, metavar="TEXT", help="Why; it goes on record."
)

_AS_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Say what was done as a JSON document."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar=ENVIRONMENT,
    default=DEFAULT_PATH,
    help=f"Settings file (default: {ENVIRONMENT}, then {DEFAULT_PATH}).",
)
@click.version_option(running_release(), prog_name="vtsfs")
@click.pass_context
def cli(context: click.Context, config: Path) -> None:
    """Put the overlay over the vaults of virtual tapes, and take it off."""
    context.obj = config.absolute()


@cli.command()
@click.argument("vault")
@click.option("--foreground", is_flag=True, help="Do not return; for service managers.")
@click.option(
    "--guard/--no-guard",
    default=True,
    show_default=True,
    help="Make the bare mount point immutable first (chattr +i); it stays so after a detach.",
)
@_BECAUSE
@_AS_JSON
@click.pass_obj
def attach(
    config: Path, vault: str, *, foreground: bool, guard: bool, because: str, as_json: bool
) -> int:
    """Attach VAULT; return when it is served."""
    settings = read_settings(config)
    known_vault(settings, vault)
    _refuse_if_attached(settings, vault)
    if foreground:
        _serve(settings, vault, Actor(who(os.environ), one_line(because)), guard=guard)
        return 0
    entry = settings.vaults[vault]
    mounting.check_mountpoint(vault, entry.backing, entry.mountpoint)
    log = settings.paths.run / f"vtsfs-{vault}.log"
    log.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    options = ["--because", because] if guard else ["--because", because, "--no-guard"]
    status = launch.start_in_background(vault, config, log, options)
    if status == 0:
        _say(f"{vault} attached at {entry.mountpoint}; its messages go to {log}", as_json=as_json)
    return status


@cli.command()
@click.argument("vault")
@_BECAUSE
@_AS_JSON
@click.pass_obj
def detach(config: Path, vault: str, *, because: str, as_json: bool) -> None:
    """Take the overlay off VAULT, unless tapes are open.

    Return when its process has ended.
    """
    settings = read_settings(config)
    state = state_of(settings, known_vault(settings, vault))
    _refuse_if_silent(state)
    if state.cover is Cover.BURIED:
        raise AttachError(_buried(state))
    if state.attached:
        state = _when_closed(settings, state)
        _refuse_if_open(state)
        _unmount(settings, state, Actor(who(os.environ), one_line(because)))
        _wait_for_end(settings, state)
        state = state_of(settings, vault)
        _refuse_if_silent(state)
    elif not state.dead:
        raise AttachError(f"vault {vault} is not attached at {state.mountpoint}")
    if state.dead:
        mounting.remove_dead_layers(vault, state.mountpoint)
    if left := layers_left(vault, state.mountpoint):
        raise AttachError(
            f"vault {vault} is not detached: {left} of its mounts are still at {state.mountpoint}; "
            f"see: vtsfs status {vault}, and: findmnt {state.mountpoint}"
        )
    _say(f"{vault} detached from {state.mountpoint}", as_json=as_json)


def _say(what: str, *, as_json: bool) -> None:
    click.echo(json.dumps({"schema": 1, "answers": [what]}) if as_json else what)


@cli.command()
@click.argument("vault", required=False)
@click.option("--json", "as_json", is_flag=True, help="Write JSON: a list with one object a vault.")
@click.pass_obj
def status(config: Path, vault: str | None, *, as_json: bool) -> None:
    """Show the state of VAULT, or of all vaults.

    The exit status is 50 if one of them is not attached, or does not answer.
    """
    settings = read_settings(config)
    wanted = list(settings.vaults) if vault is None else [known_vault(settings, vault)]
    states = [state_of(settings, name) for name in wanted]
    if as_json:
        click.echo(json.dumps([state.to_json() for state in states], indent=2))
    else:
        for state in states:
            _show(state)
    if not all(state.attached for state in states):
        raise Unprotected("" if as_json else _complaint(states))


def _unmount(settings: Settings, state: VaultState, by: Actor) -> None:
    """Unmount the vault; its overlay, which ends by that, finds out from a note by whom."""
    try:
        announce_detach(settings, state.vault, by)
    except OSError as error:
        click.echo(f"the record will not name who detached {state.vault}: {error}", err=True)
    try:
        mounting.unmount_vault(state.vault, state.mountpoint)
    except AttachError:
        withdraw_detach(settings, state.vault)
        raise


def _serve(settings: Settings, vault: str, by: Actor, *, guard: bool) -> None:
    # What serves a vault takes longer to import than any other command takes altogether.
    from vtsfs import daemon

    configure_logging(sys.stderr, os.environ)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    notifier = Notifier.from_environment(os.environ, os.getpid())
    # Nobody whom the daemon starts (fusermount3) may speak in its name.
    os.environ.pop("NOTIFY_SOCKET", None)
    daemon.run(daemon.Attachment(settings, vault, notifier, guard=guard, by=by))


def _refuse_if_attached(settings: Settings, vault: str) -> None:
    state = state_of(settings, vault)
    if state.daemon is not None:
        raise AttachError(
            f"vault {vault} is already attached at {state.mountpoint} by process "
            f"{state.daemon.get('pid')}; see: vtsfs status {vault}"
        )
    _refuse_if_silent(state)


def _refuse_if_silent(state: VaultState) -> None:
    if state.silent:
        raise AttachError(
            f"the overlay of vault {state.vault} does not answer ({_holder(state)}); nothing was "
            f"changed at {state.mountpoint}; {_way_out(state)}"
        )


def _holder(state: VaultState) -> str:
    return f"process {state.holder or 'unknown'}"


def _way_out(state: VaultState) -> str:
    """SIGTERM is the kind way: the overlay then detaches by itself when the tapes are closed."""
    pid = str(state.holder or "PID")
    find = "" if state.holder else f"find it: pgrep -af 'vtsfs.*attach {state.vault}'; "
    return (
        f"{find}if it is stopped: kill -CONT {pid}; to detach when no tape is open: kill {pid}; "
        f"if it hangs: kill -KILL {pid}, then: vtsfs attach {state.vault}"
    )


def _buried(state: VaultState) -> str:
    return (
        f"something else is mounted over the overlay of vault {state.vault} at "
        f"{state.mountpoint}; take that off first; see: findmnt {state.mountpoint}"
    )


def _complaint(states: list[VaultState]) -> str:
    silent = [state.vault for state in states if state.silent]
    missing = [state.vault for state in states if not state.attached and not state.silent]
    told = (("not attached", missing), ("does not answer", silent))
    return "; ".join(f"{what}: {', '.join(vaults)}" for what, vaults in told if vaults)


def _when_closed(settings: Settings, state: VaultState) -> VaultState:
    """Return the vault's state once no tape is open, or as it is after `CLOSING_S`.

    Who has closed a tape may be told so before the overlay is (RELEASE comes after close(2) has
    returned), and is not to be told that the tape is open.
    """
    deadline = time.monotonic() + CLOSING_S
    while state.attached and _open_tapes(state) and time.monotonic() < deadline:
        time.sleep(LOOK_AGAIN_S)  # noqa: TID251  # a command; there is no loop to block
        state = state_of(settings, state.vault)
    return state


def _open_tapes(state: VaultState) -> list[Any]:
    told = [] if state.daemon is None else state.daemon["open_tapes"]
    return [tape for tape in told if not tape["settling"]]


def _refuse_if_open(state: VaultState) -> None:
    tapes = _open_tapes(state)
    if tapes:
        names = ", ".join(
            f"{tape['tape']} ({tape['access']}, by process {_pids(tape)})" for tape in tapes
        )
        raise VaultBusy(
            f"vault {state.vault} stays attached, tapes are open: {names}; "
            "end what uses them, then detach again"
        )


def _wait_for_end(settings: Settings, state: VaultState) -> None:
    pid = 0 if state.daemon is None else int(state.daemon["pid"])
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Readable when the process has ended (pidfd_open(2)), also while nobody has collected it.
        ended, _, _ = select.select([process], [], [], END_LIMIT_S)
    finally:
        os.close(process)
    if not ended:
        raise AttachError(
            f"vault {state.vault} is off {state.mountpoint}, but its daemon (process {pid}) has "
            f"not ended within {END_LIMIT_S:g} s; see its messages in {settings.paths.run}"
        )


def _show(state: VaultState) -> None:
    told = state.daemon
    if state.silent:
        click.echo(f"{state.vault}  does not answer ({_holder(state)})\n  next: {_way_out(state)}")
        return
    if told is None or not state.attached:
        if state.cover is Cover.BURIED:
            click.echo(f"{state.vault}  NOT ATTACHED: {_buried(state)}")
            return
        what = (
            f"NOT ATTACHED: its overlay died, {state.mountpoint} is covered by a dead mount"
            if state.dead
            else "NOT ATTACHED"
        )
        click.echo(f"{state.vault}  {what}\n  next: vtsfs attach {state.vault}")
        return
    age = format_duration((wall_ns() - told["since_ns"]) / 1e9)
    click.echo(f"{state.vault}  attached at {state.mountpoint} for {age} (backing {state.backing})")
    click.echo(f"  process {told['pid']}, version {told['version']}")
    if other := other_release(str(told["version"]), installed_release()):
        click.echo(f"  {other}: it takes over when the vault is attached anew")
    outbox = told["outbox"]
    trouble = f"; FAILING: {outbox['failure']}" if outbox["failure"] else ""
    unclean = "; unclean: a sweep is due" if told["unclean"] else ""
    click.echo(
        f"  outbox: {format_count(outbox['depth'], 'signal waits', 'signals wait')}, "
        f"{format_count(told['subscribers'], 'subscriber')}"
        f"{unclean}{trouble}"
    )
    # An overlay that was attached by an earlier release says nothing of it.
    for line in _gate_lines(told["encryption"]) if "encryption" in told else ():
        click.echo(f"  {line}")
    for tape in told["open_tapes"]:
        click.echo(f"  {_tape_line(tape)}")
    if all(tape["settling"] for tape in told["open_tapes"]):
        click.echo("  no tape is open")


def _gate_lines(gate: Mapping[str, Any]) -> list[str]:
    if gate["gate"] == "off":
        return ["encryption gate: off, no signature is configured"]
    servers = ", ".join(gate["key_servers"])
    if not gate["enabled"]:
        keys = "encryption is not enabled here"
    else:
        keys = f"key servers: {servers}" if servers else "no key server is configured"
    last = gate["last_refused"]
    which = f", the last {last['tape']} (key {last['key']})" if last else ""
    lines = [f"encryption gate: on, {keys}; {gate['refused']} opens refused{which}"]
    lines += [f"key server {name} FAILING: {why}" for name, why in gate["failures"].items()]
    return lines


def _tape_line(tape: Mapping[str, Any]) -> str:
    age = format_duration((wall_ns() - tape["since_ns"]) / 1e9)
    if tape["access"] == "read":
        return f"{tape['tape']} open for reading for {age} by process {_pids(tape)}"
    size = format_size(tape["bytes_written"])
    if tape["settling"]:
        return f"{tape['tape']} closed and settling, {size} written within {age}"
    return f"{tape['tape']} open for writing for {age}, {size} written, by process {_pids(tape)}"


def _pids(tape: Mapping[str, Any]) -> str:
    return ", ".join(f"{pid}{_program(pid)}" for pid in tape["pids"]) or "unknown"


def _program(pid: int) -> str:
    """The one that opened it may have ended; a descriptor outlives it where it was handed on."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return " (ended)"
    return f" ({name})"
