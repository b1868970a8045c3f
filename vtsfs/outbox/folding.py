"""Which signals of one tape become one while nobody listens: pure.

A signal may only be folded away as long as no subscriber was sent it; otherwise the receiver would
wait for the end of a session whose beginning it has seen. The caller passes only such signals.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.signals import Access, Kind, Signal, all_companions, merge

#: Kinds of which the latest says all that the earlier said.
_REPEATABLE = frozenset({Kind.CHANGED, Kind.REMOVED, Kind.RECEIVED})


@dataclass(frozen=True, slots=True)
class Earlier:
    """The undelivered signals of one tape, so that a new one costs no more the more there are.

    *newest_first* is read only as far as need be; *of_session* returns those of one session, in
    their order.
    """

    newest_first: Iterable[Signal]
    of_session: Callable[[str], Sequence[Signal]]


@dataclass(frozen=True, slots=True)
class Folded:
    """What to commit instead, and the numbers of the signals that it replaces."""

    signal: Signal
    replaced: tuple[int, ...] = ()


def fold(earlier: Earlier, new: Signal) -> Folded:
    """Fold *new* with *earlier*, the undelivered signals of the same tape."""
    if new.kind is Kind.DISMOUNTED:
        return _fold_dismounted(earlier, new)
    if new.kind in _REPEATABLE:
        last = next(iter(earlier.newest_first), None)
        if last is not None and last.kind is new.kind:
            return _fold_repeated(last, new)
    return Folded(new)


def _fold_dismounted(earlier: Earlier, new: Signal) -> Folded:
    """Two finished sessions become one, if nothing but sessions of that access lies between."""
    # A reader's beginning says nothing once its end is known; a writer's is kept, so that sessions
    # stay pairs for whoever reads along.
    reading = new.access is Access.READ
    dropped = tuple(s.seq for s in earlier.of_session(new.session)) if reading else ()
    others = (
        signal
        for signal in earlier.newest_first
        if signal.session != new.session and not _is_reader_beside(signal, new)
    )
    last = next(others, None)
    if last is None or last.kind is not Kind.DISMOUNTED or last.access != new.access:
        return Folded(new, dropped)
    if not _of_one_file(last, new):
        return Folded(new, dropped)
    begun = [s.seq for s in earlier.of_session(last.session) if s.kind is Kind.MOUNTED]
    if not begun and new.access is Access.WRITE:
        return Folded(new, dropped)
    return Folded(merge(last, new), (*begun, last.seq, *dropped))


def _of_one_file(last: Signal, new: Signal) -> bool:
    """Two files can have had the name, the first of them unlinked while it was still open."""
    if last.identity is None or new.identity is None:
        return False
    return (last.identity.dev, last.identity.ino) == (new.identity.dev, new.identity.ino)


def _is_reader_beside(signal: Signal, new: Signal) -> bool:
    return new.access is Access.WRITE and bool(signal.session) and signal.access is Access.READ


def _fold_repeated(last: Signal, new: Signal) -> Folded:
    if new.kind is not Kind.CHANGED:
        return Folded(new, (last.seq,))
    extents = None
    contiguous = last.identity is not None and last.identity == new.opened
    if contiguous and last.extents is not None and new.extents is not None:
        extents = tuple(ExtentSet.union(last.extents, new.extents))
    wrote = last.wrote or new.wrote
    cause = last.cause if last.wrote and not new.wrote else new.cause
    both = replace(
        new,
        opened=last.opened,
        extents=extents,
        wrote=wrote,
        cause=cause,
        companions=all_companions(last.companions, new.companions),
    )
    return Folded(both, (last.seq,))
