"""``copyagent sync``, ``pause`` and ``resume``: copies that are asked for, or put off."""

import time
from datetime import datetime, timedelta
from pathlib import Path

import click

from copyagent.cli.asking import as_json_option, because_option, tell
from copyagent.control.protocol import parse_where
from copyagent.control.traffic import Pause, Resume, Sync
from vtsfs.contract.errors import UsageError
from vtsfs.contract.units import parse_duration


@click.command()
@click.argument("where", metavar="TAPE|POOL")
@click.option("--missing", "which", flag_value="missing", help="What has no copy there on record.")
@click.option(
    "--stale", "which", flag_value="stale", help="What has an older copy there, or was given up."
)
@click.option(
    "--all", "which", flag_value="all", help="Everything; what counts as copied is compared again."
)
@click.option("--target", default="", metavar="TARGET", help="To this target alone.")
@click.option("--dry-run", is_flag=True, help="Only tell what would be queued, and its bytes.")
@because_option
@as_json_option
@click.pass_obj
def sync(
    config: Path,
    where: str,
    which: str | None,
    target: str,
    *,
    dry_run: bool,
    because: str,
    as_json: bool,
) -> None:
    """Copy what has no copy yet: a TAPE, or a whole POOL.

    For tapes that were there before AutoCopy, and to mend what an audit found; the same bytes are not
    sent twice.
    """
    wanted = Sync(parse_where(where), which or "", target, dry_run, because)
    tell(config, wanted, as_json=as_json)


@click.command()
@click.argument("about", metavar="POOL|TARGET")
@click.option(
    "--for", "length", metavar="TIME", help="For so long, such as 2h, whatever the clock."
)
@click.option(
    "--until", metavar="WHEN", help="Until 06:00, or 2026-11-23T06:00, by this system's clock."
)
@click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")
@click.option("--finish-running", is_flag=True, help="Let copies that run go on to their end.")
@as_json_option
@click.pass_obj
def pause(
    config: Path,
    about: str,
    length: str | None,
    until: str | None,
    because: str,
    *,
    finish_running: bool,
    as_json: bool,
) -> None:
    """Copy nothing of POOL, or to TARGET, for the time being.

    What is to be copied meanwhile waits and counts as unprotected; no attempt is used up. Running
    copies are stopped and go on from where they were.
    """
    if length is not None and until is not None:
        raise UsageError("say --for or --until, not both")
    until_ns = 0 if until is None else moment_of(until, time.time())
    wanted = Pause(about, because, until_ns, _seconds(length), finish_running)
    tell(config, wanted, as_json=as_json)


@click.command()
@click.argument("about", metavar="POOL|TARGET")
@because_option
@as_json_option
@click.pass_obj
def resume(config: Path, about: str, *, because: str, as_json: bool) -> None:
    """Let a paused POOL or TARGET go on before its time."""
    tell(config, Resume(about, because), as_json=as_json)


def moment_of(text: str, now: float) -> int:
    """Return the nanoseconds since the epoch that *text* means at *now* (seconds since it).

    A time of day is the next one; what names no zone is local. Raises `UsageError` for anything else.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = _next_time_of_day(text, now)
    # Without a zone that is local time, by the rules of that day: summer time may end before it.
    return int(at.timestamp()) * 1_000_000_000


def _next_time_of_day(text: str, now: float) -> datetime:
    try:
        shown = datetime.strptime(text, "%H:%M")  # noqa: DTZ007  # local time has no zone here
    except ValueError:
        raise UsageError(
            f"--until takes a time such as 06:00 or 2026-11-23T06:00, not {text!r}"
        ) from None
    local = datetime.fromtimestamp(now)  # noqa: DTZ006  # local time has no zone here
    at = local.replace(hour=shown.hour, minute=shown.minute, second=0, microsecond=0)
    return at if at > local else at + timedelta(days=1)


def _seconds(length: str | None) -> int:
    if length is None:
        return 0
    try:
        seconds = round(parse_duration(length))
    except ValueError as error:
        raise UsageError(f"--for {error}") from error
    if seconds < 1:
        raise UsageError("--for takes a second or more")
    return seconds
