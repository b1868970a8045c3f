"""Pending copies in the order in which they start, whatever came and went meanwhile."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.queues import CopyKey, Queues
from tests.support.histories import SECOND, TAPE, TARGET, TWIN
from vtsfs.contract.naming import TapeId

WAY = (TAPE.pool_id, TARGET)


def nobody(_: CopyKey) -> bool:
    return False


def order(queues: Queues) -> list[CopyKey]:
    """Take all that is due out, one after the other."""
    taken: list[CopyKey] = []
    while queues.ways():
        entry = queues.first(WAY, nobody)
        assert entry is not None
        taken.append((entry[1], entry[2]))
        queues.remove(entry[1], entry[2])
    return taken


def test_the_oldest_need_comes_first_and_equal_ones_by_name() -> None:
    queues = Queues()
    queues.put(TWIN if TWIN.pool_id == TAPE.pool_id else SECOND, TARGET, 30, None)
    queues.put(TAPE, TARGET, 30, None)
    third = replace(TAPE, label="X00009")
    queues.put(third, TARGET, 10, None)
    assert [key[0] for key in order(queues)] == [third, TAPE, SECOND]


def test_what_is_due_later_comes_in_time_and_once() -> None:
    queues = Queues()
    queues.put(TAPE, TARGET, 10, 5.0)
    queues.put(SECOND, TARGET, 20, None)
    assert queues.next_due() == 5.0
    assert queues.first(WAY, nobody) == (20, SECOND, TARGET, float("-inf"))
    queues.ripen(4.9)
    queues.put(TAPE, TARGET, 10, 5.0)
    assert list(queues.due(WAY)) == [(SECOND, TARGET)]
    queues.ripen(5.0)
    queues.put(TAPE, TARGET, 10, 5.0)
    assert queues.next_due() is None
    assert order(queues) == [(TAPE, TARGET), (SECOND, TARGET)]


def test_what_is_passed_over_keeps_its_place() -> None:
    queues = Queues()
    queues.put(TAPE, TARGET, 10, None)
    queues.put(SECOND, TARGET, 20, None)
    first = queues.first(WAY, lambda key: key[0] == TAPE)
    assert first is not None
    assert first[1] == SECOND
    assert order(queues) == [(TAPE, TARGET), (SECOND, TARGET)]


_TAPES = [replace(TAPE, label=f"T{number:05}") for number in range(6)]
_ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from(_TAPES), st.integers(0, 9), st.none()),
        st.tuples(st.just("put"), st.sampled_from(_TAPES), st.integers(0, 9), st.integers(0, 20)),
        st.tuples(st.just("remove"), st.sampled_from(_TAPES), st.just(0), st.none()),
        st.tuples(st.just("ripen"), st.just(TAPE), st.integers(0, 20), st.none()),
    ),
    max_size=400,
)


@given(_ACTS)
def test_any_coming_and_going_leaves_what_a_list_would(
    acts: list[tuple[str, TapeId, int, int | None]],
) -> None:
    queues, mono = Queues(), 0.0
    known: dict[TapeId, tuple[int, int | None]] = {}
    for act, tape, number, due in acts:
        match act:
            case "put":
                queues.put(tape, TARGET, number, due)
                known[tape] = (number, due)
            case "remove":
                queues.remove(tape, TARGET)
                known.pop(tape, None)
            case _:
                mono = max(mono, float(number))
                queues.ripen(mono)
    queues.ripen(mono)
    ripe = {tape: since for tape, (since, due) in known.items() if due is None or due <= mono}
    later = [due for due in (due for _, due in known.values()) if due is not None and due > mono]
    assert queues.next_due() == min(later, default=None)
    assert {key[0] for key in queues.due(WAY)} == set(ripe)
    wanted = sorted(ripe, key=lambda tape: (ripe[tape], tape))
    assert [key[0] for key in order(queues)] == wanted
