"""``copyagent licence``: what is licensed, for how long, and what follows from it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from copyagent.cli.asking import as_json_option, confirm, tell
from copyagent.cli.command_list import CommandList
from copyagent.cli.console import LOOK_S, print_answers, print_document, printable
from copyagent.control.client import ask
from copyagent.control.licences import MAX_LICENCE, InstallLicence, RemoveLicence, ShowLicence
from vtsfs.contract.errors import AgentUnreachable, LicenceInvalid, Unprotected, UsageError
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings


@click.group(cls=CommandList)
def licence() -> None:
    """Show, install and remove the licence."""


@licence.command()
@as_json_option
@click.pass_obj
def show(config: Path, *, as_json: bool) -> None:
    """Tell what is licensed, for how long, and whether copies are made."""
    settings = read_settings(config)
    try:
        document = ask(settings.control_socket(), ShowLicence(), timeout=LOOK_S)
    except AgentUnreachable as error:
        from copyagent.cli.licence_offline import OfflineLicence

        document = OfflineLicence(settings).look()
        click.echo(f"copyagent: {error}; what is shown is what the file says", err=True)
    print_document(document, "\n".join(_lines(document)), as_json=as_json)
    if not document["copying"]:
        raise Unprotected(f"{document['why']}. {document['next']}")


@licence.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--because", default="", metavar="TEXT", help="Why; it goes on record.")
@as_json_option
@click.pass_obj
def install(config: Path, file: Path, because: str, *, as_json: bool) -> None:
    """Verify the licence in FILE (- for standard input), and install it instead of the present one.

    What waited for a licence is copied by itself.
    """
    request = InstallLicence(_read(file), because or f"file {file}")
    settings = read_settings(config)
    try:
        tell(config, request, as_json=as_json)
    except AgentUnreachable as error:
        from copyagent.cli.licence_offline import OfflineLicence

        answers = OfflineLicence(settings).install(request)
        _tell_offline(settings, answers, error, as_json=as_json)


@licence.command()
@click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
@click.pass_obj
def remove(config: Path, because: str, *, yes: bool, as_json: bool) -> None:
    """Take the licence away; where one is required, nothing is copied from that moment on."""
    settings = read_settings(config)
    confirm("Remove the licence? Where one is required, copying ends at once.", yes=yes)
    request = RemoveLicence(because)
    try:
        tell(config, request, as_json=as_json)
    except AgentUnreachable as error:
        from copyagent.cli.licence_offline import OfflineLicence

        answers = OfflineLicence(settings).remove(request)
        _tell_offline(settings, answers, error, as_json=as_json)


def _tell_offline(
    settings: Settings, answers: list[str], error: AgentUnreachable, *, as_json: bool
) -> None:
    system = settings.system.name
    note = f"no agent of {system} answers ({error}); it counts, and goes on record, at its start"
    print_answers([*answers, note], as_json=as_json)


def _read(file: Path) -> str:
    """Read the file; one that is no text is no licence, and more than a licence has is not read."""
    try:
        with click.open_file(os.fspath(file), "rb") as opened:
            data: bytes = opened.read(MAX_LICENCE + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > MAX_LICENCE:
        raise LicenceInvalid(f"{file} is no licence: it has more than {MAX_LICENCE} characters")
    try:
        return data.decode("ascii")
    except UnicodeDecodeError as error:
        raise LicenceInvalid(f"{file} is no licence: it is not plain text") from error


def _lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"licence: {document['standing']}: {document['why']}"
    yield f"copies:  {'are made' if document['copying'] else 'NONE are made'}"
    if document["serial"] is not None:
        yield (
            f"serial {document['serial']}, {printable(document['customer'])}: "
            f"{document['feature']} on system {document['system']}"
        )
        yield (
            f"issued {document['issued']}, valid until {document['expires']}, copies are made until "
            f"{document['grace_ends']} (days of UTC)"
        )
    if document["installed"] is not None:
        yield f"installed {document['installed']} by {document['installed_by'] or 'somebody'}"
    if document["clock_behind"]:
        yield (
            f"the clock is behind a time that was already: judged by {document['judged_on']}; "
            "set the clock right"
        )
    yield f"next: {document['next']}"
