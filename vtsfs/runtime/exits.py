"""The one place where an error becomes an exit status and a text on standard error."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence

import click

from vtsfs.contract.errors import SettingsError, VtsError

#: What a shell reports for a program ended by SIGINT (128 + signal number).
INTERRUPTED = 130
#: Whoever read our output went away (`| head`); click ends with this status too.
PIPE_CLOSED = 1

_logger = logging.getLogger(__name__)


def exit_codes() -> dict[int, tuple[type[VtsError], ...]]:
    """Return every exit status of an error of ours and the classes that cause it, from the tree."""
    table: dict[int, tuple[type[VtsError], ...]] = {}
    for kind in _tree(VtsError):
        table[kind.exit_code] = (*table.get(kind.exit_code, ()), kind)
    return dict(sorted(table.items()))


def run_cli(command: click.Command, *, program: str, args: Sequence[str] | None = None) -> int:
    """Run *command* and return the exit status; *args* are the process's own unless given.

    An error of ours is told in its own words, without a traceback, each problem of a settings file
    on its own line. A wrong command line is click's to tell (status 2). Whatever nobody foresaw is
    logged with its traceback (status 70). Call it as ``sys.exit(run_cli(...))``.
    """
    try:
        result = command.main(args=args, prog_name=program, standalone_mode=False)
        sys.stdout.flush()
    except BaseException as error:  # noqa: BLE001  # the edge: every end gets its exit status
        return _status_of(error, program)
    return result if isinstance(result, int) and not isinstance(result, bool) else 0


def _status_of(error: BaseException, program: str) -> int:
    causes = list(_leaves(error))
    if any(isinstance(cause, KeyboardInterrupt | click.Abort) for cause in causes):
        return INTERRUPTED
    if all(isinstance(cause, BrokenPipeError) for cause in causes):
        # The interpreter flushes once more at exit and must not complain about it either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    if isinstance(error, SystemExit | GeneratorExit):
        raise error
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    foreseen = [cause for cause in causes if isinstance(cause, VtsError)]
    if len(foreseen) < len(causes):
        _logger.critical("%s ends by an unforeseen error", program, exc_info=error)
        return VtsError.exit_code
    for cause in foreseen:
        _tell(cause, program)
    return foreseen[0].exit_code


def _tell(error: VtsError, program: str) -> None:
    if isinstance(error, SettingsError) and error.problems:
        for problem in error.problems:
            click.echo(problem, err=True)
    elif str(error):
        click.echo(f"{program}: {error}", err=True)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    """A trio nursery wraps what its tasks raise in groups, also a single error."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _tree(kind: type[VtsError]) -> Iterator[type[VtsError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _tree(child)
