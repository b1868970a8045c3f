"""The one place where an error below becomes an errno above.

pyfuse3 ends the whole mount for any exception but its own FUSEError. A failing request must cost
one caller an errno, never everybody the vault.
"""

import errno
import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyfuse3

from vtsfs.contract.errors import VtsError

P = ParamSpec("P")
R = TypeVar("R")


class Reporting(Protocol):
    """Something that hears of errors nobody foresaw."""

    def unforeseen(self, handler: str, error: Exception) -> None:
        """Take note of *error* in *handler*; must not raise."""


S = TypeVar("S", bound=Reporting)

_logger = logging.getLogger(__name__)


def fuse_handler(
    handler: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Let *handler* raise OSError and VtsError; anything else is EIO for this caller, and logged.

    trio.Cancelled is no Exception and passes.
    """

    @wraps(handler)
    async def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(self, *args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except OSError as error:
            raise pyfuse3.FUSEError(error.errno or errno.EIO) from error
        except VtsError as error:
            raise pyfuse3.FUSEError(error.errno) from error
        except Exception as error:  # the boundary: one caller pays, not the mount
            self.unforeseen(handler.__name__, error)
            raise pyfuse3.FUSEError(errno.EIO) from error

    return guarded


def fuse_notice(
    handler: Callable[Concatenate[S, P], Coroutine[Any, Any, None]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, None]]:
    """Guard a handler whose caller expects no answer (forget): not even an errno may leave it."""

    @wraps(handler)
    async def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> None:
        try:
            await handler(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001  # the boundary: see fuse_handler
            self.unforeseen(handler.__name__, error)

    return guarded


class UnforeseenErrors:
    """Logs each unforeseen error with its traceback once, and counts the repetitions.

    *report* is told the first time of each: it writes the event.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self.counts: dict[str, int] = {}

    def unforeseen(self, handler: str, error: Exception) -> None:
        """Take note of *error*, by handler, class and the line that raised it."""
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "?" if trace is None else f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}"
        kind = f"{handler}: {type(error).__name__} in {where}"
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if self.counts[kind] == 1:
            _logger.error("unforeseen error in %s", handler, exc_info=error)
            self._report(kind)
