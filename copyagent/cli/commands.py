"""Every ``copyagent`` command. What a state means is decided in the agent; here it is only asked."""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import click

from copyagent.cli.asking import as_json_option, because_option, settings_to_ask_by, tell
from copyagent.cli.command_list import CommandList
from copyagent.cli.console import LOOK_S, console, has_colours, print_document
from copyagent.cli.display import explanation, overview
from copyagent.cli.on_demand import OnDemand
from copyagent.cli.snapshot import last_known
from copyagent.control.client import ask
from copyagent.control.protocol import (
    Explain,
    Request,
    Retry,
    Status,
)
from vtsfs.contract.errors import AgentUnreachable, UsageError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import DEFAULT_PATH, ENVIRONMENT, Settings
from vtsfs.runtime.early_signals import noted
from vtsfs.runtime.logs import configure_logging
from vtsfs.runtime.own_rights import keep_rights_from_children
from vtsfs.runtime.releases import running_release

#: How often ``status --watch`` looks again, in seconds.
WATCH_S = 1.0

#: Commands that have a module of their own, which is imported when they are used.
_ELSEWHERE = {
    "adopt": "copyagent.cli.errands:adopt",
    "audit": "copyagent.cli.audit:audit",
    "cancel": "copyagent.cli.stopping:cancel",
    "check": "copyagent.cli.check:check",
    "check-health": "copyagent.cli.check_health:check_health",
    "config": "copyagent.cli.config:config_commands",
    "doctor": "copyagent.cli.doctor:doctor",
    "drill": "copyagent.cli.drill:drill",
    "ems": "copyagent.cli.ems:ems",
    "events": "copyagent.cli.events:events",
    "fence": "copyagent.cli.fencing:fence",
    "fetch": "copyagent.cli.fetch:fetch",
    "generations": "copyagent.cli.generations:generations",
    "history": "copyagent.cli.history:history",
    "hold": "copyagent.cli.stopping:hold",
    "import-vts-config": "copyagent.cli.import_config:import_vts_config",
    "init": "copyagent.cli.init:init",
    "json-schema": "copyagent.cli.json_schema:json_schema",
    "keys": "copyagent.cli.keys:keys",
    "licence": "copyagent.cli.licence:licence",
    "pause": "copyagent.cli.traffic:pause",
    "queue": "copyagent.cli.listings:queue",
    "release": "copyagent.cli.errands:release",
    "reload": "copyagent.cli.reload:reload",
    "relocate": "copyagent.cli.errands:relocate",
    "report": "copyagent.cli.report:report",
    "resume": "copyagent.cli.traffic:resume",
    "rollback": "copyagent.cli.errands:rollback",
    "support-bundle": "copyagent.cli.support_bundle:support_bundle",
    "sync": "copyagent.cli.traffic:sync",
    "take-over": "copyagent.cli.fencing:take_over",
    "tapes": "copyagent.cli.listings:tapes",
    "unfence": "copyagent.cli.fencing:unfence",
    "verify": "copyagent.cli.verify:verify",
    "version": "copyagent.cli.version:version",
}


@click.group(
    cls=CommandList,
    commands=OnDemand(_ELSEWHERE),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    default=None,
    help=f"Settings file (default: {ENVIRONMENT}, then {DEFAULT_PATH}).",
)
@click.version_option(running_release(), prog_name="copyagent")
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
    with noted(signal.SIGHUP) as early:
        # The SSH library takes most of a second to import, which no other command should wait for.
        from copyagent.checking import look_at
        from copyagent.daemon import run_agent

        configure_logging(sys.stderr, os.environ, quiet=("asyncssh",))
        keep_rights_from_children()
        checked = look_at(config)
        settings = checked.sound()
        for trouble in checked.away:
            logging.getLogger(__name__).warning("%s", trouble)
        run_agent(settings, config, early)


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
    from rich.live import Live

    screen = console()
    with Live(console=screen, auto_refresh=False, screen=sys.stdout.isatty()) as live:
        while True:
            document = ask(settings.control_socket(), Status(), timeout=LOOK_S)
            live.update(overview(document, screen.width), refresh=True)
            time.sleep(WATCH_S)  # noqa: TID251  # a person watches: this is the refresh rate
