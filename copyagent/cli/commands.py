"""Every ``copyagent`` command. What a state means is decided in the agent; here it is only asked."""

import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.live import Live

from copyagent.checking import look_at
from copyagent.cli.asking import as_json_option, because_option, settings_to_ask_by, tell
from copyagent.cli.audit import audit
from copyagent.cli.check import check
from copyagent.cli.check_health import check_health
from copyagent.cli.config import config_commands
from copyagent.cli.console import LOOK_S, console, has_colours, print_document
from copyagent.cli.display import explanation, overview
from copyagent.cli.doctor import doctor
from copyagent.cli.drill import drill
from copyagent.cli.ems import ems
from copyagent.cli.errands import adopt, release, relocate, rollback
from copyagent.cli.events import events
from copyagent.cli.fencing import fence, take_over, unfence
from copyagent.cli.fetch import fetch
from copyagent.cli.generations import generations
from copyagent.cli.history import history
from copyagent.cli.import_config import import_vts_config
from copyagent.cli.init import init
from copyagent.cli.json_schema import json_schema
from copyagent.cli.keys import keys
from copyagent.cli.licence import licence
from copyagent.cli.listings import queue, tapes
from copyagent.cli.reload import reload
from copyagent.cli.report import report
from copyagent.cli.snapshot import last_known
from copyagent.cli.stopping import cancel, hold
from copyagent.cli.support_bundle import support_bundle
from copyagent.cli.traffic import pause, resume, sync
from copyagent.cli.verify import verify
from copyagent.control.client import ask
from copyagent.control.protocol import (
    Explain,
    Request,
    Retry,
    Status,
)
from vtsfs import __version__
from vtsfs.contract.errors import AgentUnreachable, UsageError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import DEFAULT_PATH, ENVIRONMENT, Settings
from vtsfs.runtime.logs import configure_logging

#: How often ``status --watch`` looks again, in seconds.
WATCH_S = 1.0


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Settings file (default: {ENVIRONMENT}, then {DEFAULT_PATH}).",
)
@click.version_option(__version__, prog_name="copyagent")
@click.pass_context
def copyagent(ctx: click.Context, config: Path | None) -> None:
    """Copy changed virtual tapes to another system, and tell how they are protected."""
    # For what is printed by click itself; everything else asks `console`.
    ctx.color = None if has_colours() else False
    ctx.obj = config or Path(os.environ.get(ENVIRONMENT) or DEFAULT_PATH)


@copyagent.command()
@click.pass_obj
def run(config: Path) -> None:
    """Run the agent in the foreground until SIGTERM."""
    # The SSH library takes most of a second to import, which no other command should wait for.
    from copyagent.daemon import run_agent

    configure_logging(sys.stderr, os.environ, quiet=("asyncssh",))
    checked = look_at(config)
    settings = checked.sound()
    for trouble in checked.away:
        logging.getLogger(__name__).warning("%s", trouble)
    run_agent(settings, config)


@copyagent.command()
@click.option("--watch", is_flag=True, help="Keep showing it, with running copies' progress.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def status(config: Path, watch: bool, as_json: bool) -> None:
    """Show what is protected, what is not, since when and why."""
    settings = settings_to_ask_by(config)
    if watch and as_json:
        raise UsageError("--watch shows a screen and --json prints a document; choose one")
    if watch:
        _watch(settings)
        return
    try:
        document = ask(settings.control_socket(), Status(), timeout=LOOK_S)
    except AgentUnreachable as error:
        known = last_known(settings)
        if known is not None:
            _show_old(known, as_json=as_json)
            raise AgentUnreachable(f"{error}; what is shown is of {known['at']}") from error
        raise
    print_document(document, overview(document, console().width), as_json=as_json)


@copyagent.command()
@click.argument("tape")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def explain(config: Path, tape: str, as_json: bool) -> None:
    """Tell everything about one TAPE.

    The witnesses' evidence, the verdict, what was done and why, and what comes next.
    """
    document = _ask(config, Explain(TapeId.parse(tape)))
    print_document(document, explanation(document, console().width), as_json=as_json)


@copyagent.command()
@click.argument("tape", required=False)
@click.option("--failed", is_flag=True, help="Every copy that has used up its attempts.")
@because_option
@as_json_option
@click.pass_obj
def retry(config: Path, tape: str | None, *, failed: bool, because: str, as_json: bool) -> None:
    """Start a new ladder of attempts for TAPE, or for all that failed."""
    if (tape is None) != failed:
        raise UsageError("name either one TAPE or --failed")
    named = TapeId.parse(tape) if tape is not None else None
    tell(config, Retry(named, because), as_json=as_json)


def _ask(config: Path, request: Request) -> Any:
    return ask(settings_to_ask_by(config).control_socket(), request)


def _show_old(known: Any, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(known | {"stale": True}, indent=1))
        return
    screen = console()
    screen.print(f"The agent is NOT running. Its last known state, of {known['at']}:\n")
    screen.print(overview(known, screen.width))


def _watch(settings: Settings) -> None:
    screen = console()
    with Live(console=screen, auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while True:
            document = ask(settings.control_socket(), Status(), timeout=LOOK_S)
            live.update(overview(document, screen.width), refresh=True)
            time.sleep(WATCH_S)  # noqa: TID251  # a person watches: this is the refresh rate


copyagent.add_command(events)
copyagent.add_command(ems)
for command in (release, relocate, adopt, rollback, fence, unfence, take_over):
    copyagent.add_command(command)
for command in (sync, pause, resume, cancel, hold, tapes, queue):
    copyagent.add_command(command)
copyagent.add_command(import_vts_config)
copyagent.add_command(json_schema)
copyagent.add_command(keys)
copyagent.add_command(doctor)
copyagent.add_command(verify)
copyagent.add_command(history)
copyagent.add_command(licence)
copyagent.add_command(report)
copyagent.add_command(drill)
copyagent.add_command(support_bundle)
copyagent.add_command(fetch)
copyagent.add_command(generations)
copyagent.add_command(audit)
copyagent.add_command(check_health)
copyagent.add_command(reload)
copyagent.add_command(check)
copyagent.add_command(config_commands)
copyagent.add_command(init)
