from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.support.signal_sink import a_signal, earlier, identity
from vtsfs.contract.signals import Access, Kind, Signal
from vtsfs.outbox.folding import Earlier, fold


def numbered(*signals: Signal) -> list[Signal]:
    return [signal.with_seq(n) for n, signal in enumerate(signals, 1)]


def session(name: str, before: int, after: int, *extents: tuple[int, int]) -> list[Signal]:
    return [
        a_signal(Kind.MOUNTED, name, before=identity(before), after=identity(before)),
        a_signal(
            Kind.DISMOUNTED,
            name,
            before=identity(before),
            after=identity(after),
            extents=extents,
        ),
    ]


def changed(before: int, after: int, *extents: tuple[int, int]) -> Signal:
    return a_signal(Kind.CHANGED, before=identity(before), after=identity(after), extents=extents)


def test_two_finished_sessions_become_one() -> None:
    *before, new = numbered(*session("a", 1, 2, (0, 5)), *session("b", 2, 3, (5, 9)))
    folded = fold(earlier(before), new)
    assert folded.replaced == (1, 2)
    assert folded.signal.extents == ((0, 9),)
    assert folded.signal.opened == identity(1)
    assert folded.signal.merged == 1


def test_something_in_between_makes_the_extents_unknown() -> None:
    *before, new = numbered(*session("a", 1, 2, (0, 5)), *session("b", 7, 8, (5, 9)))
    assert fold(earlier(before), new).signal.extents is None


def test_no_session_is_folded_over_another_signal() -> None:
    for kind in (Kind.CHANGED, Kind.REMOVED, Kind.MOVED, Kind.INTERRUPTED, Kind.RECEIVED):
        *before, new = numbered(
            *session("a", 1, 2, (0, 5)), a_signal(kind), *session("b", 2, 3, (5, 9))
        )
        assert fold(earlier(before), new).replaced == ()


def test_a_session_whose_beginning_was_delivered_keeps_its_end() -> None:
    _, *before, new = numbered(*session("a", 1, 2, (0, 5)), *session("b", 2, 3, (5, 9)))
    assert fold(earlier(before), new).replaced == ()


def test_readers_fold_among_themselves_and_leave_writers_alone() -> None:
    read = [
        a_signal(kind, name, access=Access.READ, before=identity(2), after=identity(2))
        for name in ("r", "s")
        for kind in (Kind.MOUNTED, Kind.DISMOUNTED)
    ]
    *before, new = numbered(*session("a", 1, 2, (0, 5)), *read)
    folded = fold(earlier(before), new)
    assert set(folded.replaced) == {3, 4, 5}
    assert folded.signal.access is Access.READ
    *before, new = numbered(*session("a", 1, 2, (0, 5)), *read, *session("b", 2, 3, (5, 9)))
    assert fold(earlier(before), new).replaced == (1, 2)


def test_repeated_changes_are_one() -> None:
    *before, new = numbered(
        changed(1, 2, (0, 5)),
        changed(2, 3, (9, 12)),
    )
    folded = fold(earlier(before), new)
    assert folded.replaced == (1,)
    assert folded.signal.opened == identity(1)
    assert folded.signal.extents == ((0, 5), (9, 12))
    assert fold(earlier(before), changed(7, 8, (9, 12))).signal.extents is None, (
        "something in between"
    )
    *before, new = numbered(a_signal(Kind.CHANGED, extents=None), new)
    assert fold(earlier(before), new).signal.extents is None


def test_companions_are_folded_together() -> None:
    *before, new = numbered(
        replace(a_signal(Kind.CHANGED), companions=("X00001.meta",)),
        replace(a_signal(Kind.CHANGED), companions=("X00001.idx",)),
    )
    assert fold(earlier(before), new).signal.companions == ("X00001.idx", "X00001.meta")


def test_no_more_is_read_than_is_needed() -> None:
    def looked_at() -> Iterator[Signal]:
        yield a_signal(Kind.MOVED).with_seq(9)
        raise AssertionError("read too far")

    for new in (a_signal(Kind.REMOVED), a_signal(Kind.CHANGED), *session("b", 2, 3)):
        assert fold(Earlier(looked_at(), lambda _: []), new.with_seq(10)).replaced == ()


@given(st.lists(st.sampled_from("wrcmd"), max_size=30))
def test_what_wrote_is_never_folded_away(history: list[str]) -> None:
    """Whatever is folded, the last state and the fact that bytes changed survive."""
    rows: list[Signal] = []
    seq = 0
    for number, step in enumerate(history):
        made = {
            "w": session(f"s{number}", number, number + 1, (number, number + 1)),
            "r": [a_signal(Kind.DISMOUNTED, f"s{number}", access=Access.READ, after=identity(1))],
            "c": [a_signal(Kind.CHANGED, extents=((number, number + 1),))],
            "m": [a_signal(Kind.MOVED)],
            "d": [a_signal(Kind.REMOVED)],
        }[step]
        for signal in made:
            seq += 1
            folded = fold(earlier(rows), signal.with_seq(seq))
            rows = [row for row in rows if row.seq not in folded.replaced]
            rows.append(folded.signal)
            assert rows[-1].seq == seq
    assert any(row.wrote for row in rows) == any(step in "wc" for step in history)
