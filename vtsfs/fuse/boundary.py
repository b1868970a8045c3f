"""The one place where an error below becomes an errno above.

pyfuse3 ends the whole mount for any exception but its own FUSEError, and trio for any in a task
beside it. A failing request must cost one caller an errno, never everybody the vault.
"""

import errno
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, TypeVarTuple

import pyfuse3
import trio

from vtsfs.contract.errors import VtsError

P = ParamSpec("P")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

#: Numbers the kernel takes for an errno (its MAX_ERRNO is 4095, libfuse's limit is lower).
_ERRNOS = range(1, 1000)
#: Said again only after so many seconds: while descriptors are short every request finds out.
_SCARCITY_SAID_S = 3600.0


class Reporting(Protocol):
    """Something that hears of errors nobody foresaw."""

    def unforeseen(self, handler: str, error: BaseException) -> None:
        """Take note of *error* in *handler*; must not raise."""

    def scarce(self, error: OSError) -> None:
        """Take note that this process, or the machine, has no more descriptors; must not raise."""


S = TypeVar("S", bound=Reporting)

_logger = logging.getLogger(__name__)

_SCARCITY = frozenset({errno.EMFILE, errno.ENFILE})


def fuse_handler(
    handler: Callable[Concatenate[S, P], Coroutine[Any, Any, R]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, R]]:
    """Let *handler* raise OSError and VtsError; anything else is EIO for this caller, and logged.

    Only what ends the whole program passes, above all trio.Cancelled. What is no Exception and
    does not end it (a panic in a library that is written in Rust) is an error like any other.
    """

    @wraps(handler)
    async def guarded(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await handler(self, *args, **kwargs)
        except pyfuse3.FUSEError:
            raise
        except OSError as error:
            if error.errno in _SCARCITY:
                self.scarce(error)
            raise pyfuse3.FUSEError(_number_of(error)) from error
        except VtsError as error:
            raise pyfuse3.FUSEError(error.errno) from error
        except BaseException as error:  # the boundary: one caller pays, not the mount
            if _ends_the_program(error):
                raise
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
        except BaseException as error:  # the boundary: see fuse_handler
            if _ends_the_program(error):
                raise
            self.unforeseen(handler.__name__, error)

    return guarded


def _number_of(error: OSError) -> int:
    """Without a number the kernel knows, the caller would wait for an answer for ever."""
    number = error.errno
    return number if isinstance(number, int) and number in _ERRNOS else errno.EIO


def _ends_the_program(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(map(_ends_the_program, error.exceptions))
    return isinstance(error, (trio.Cancelled, GeneratorExit, KeyboardInterrupt, SystemExit))


class Background:
    """Starts tasks beside the requests; one that fails is logged and over, the mount goes on."""

    def __init__(self, nursery: trio.Nursery, errors: Reporting) -> None:
        self._nursery = nursery
        self._errors = errors

    def start_soon(self, work: Callable[[*Ts], Awaitable[object]], *args: *Ts) -> None:
        """Start ``work(*args)``."""
        self._nursery.start_soon(self._guarded, work, args)

    async def _guarded(
        self, work: Callable[..., Awaitable[object]], args: tuple[object, ...]
    ) -> None:
        try:
            await work(*args)
        except BaseException as error:  # the boundary: see fuse_handler
            if _ends_the_program(error):
                raise
            self._errors.unforeseen(getattr(work, "__name__", repr(work)), error)


class UnforeseenErrors:
    """Logs each unforeseen error with its traceback once, and counts the repetitions.

    *report* is told the first time of each: it writes the event.
    """

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self.counts: dict[str, int] = {}
        self._scarcity_said = -_SCARCITY_SAID_S

    def scarce(self, error: OSError) -> None:
        """Say in the log that descriptors are used up, once in a while."""
        now = time.monotonic()
        if now - self._scarcity_said >= _SCARCITY_SAID_S:
            self._scarcity_said = now
            _logger.error(
                "%s: files cannot be opened until others are closed; every open file, and every "
                "file the kernel remembers, takes one: raise the limit (LimitNOFILE=, ulimit -n)",
                error.strerror or error,
            )

    def unforeseen(self, handler: str, error: BaseException) -> None:
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
