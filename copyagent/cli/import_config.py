"""``copyagent import-vts-config``: from an original configuration to the settings of the host links."""

from pathlib import Path
from typing import Final

import click

from copyagent.ems.original_config import Imported, import_config, settings_text
from vtsfs.contract.errors import Unprotected, UsageError

#: More than a hundred times the largest configuration that makes sense.
MAX_BYTES: Final = 1 << 20


@click.command("import-vts-config")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), metavar="NEW", help="Write to NEW.")
@click.option("--overwrite", is_flag=True, help="Let NEW be a file that is there already.")
def import_vts_config(file: Path, output: Path | None, overwrite: bool) -> None:
    """Make the settings' section ems from an original configuration FILE.

    What has to be filled in and what could not be carried over is listed on standard error.
    """
    if overwrite and output is None:
        raise UsageError("--overwrite is about --output; name a file with it")
    imported = import_config(_read(file))
    text = settings_text(imported, str(file))
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text, overwrite=overwrite)
    _tell(file, imported)


def _read(file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{file} has more than {MAX_BYTES} bytes: that is no configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _write(output: Path, text: str, *, overwrite: bool) -> None:
    try:
        with output.open("w" if overwrite else "x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{output} is there already, and was left alone; say --overwrite if it may go"
        ) from error
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error


def _tell(file: Path, imported: Imported) -> None:
    for note in imported.notes:
        where = f"{file}:{note.line}" if note.line else str(file)
        click.echo(f"{where}: {'NOT CARRIED OVER: ' if note.is_lost else ''}{note.text}", err=True)
    lost = sum(note.is_lost for note in imported.notes)
    if lost:
        raise Unprotected(f"{file}: {lost} of its settings could not be carried over, see above")
