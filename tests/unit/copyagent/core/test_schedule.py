"""What starts first, and how much at once: priorities, age, fairness, and nobody left waiting for ever."""

from collections import Counter
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core.owed import Way
from copyagent.core.queues import CopyKey, Queues
from copyagent.core.schedule import Rules, choose, to_give_way
from tests.support.histories import OTHER_TARGET, TAPE, TARGET
from vtsfs.contract.naming import PoolId, TapeId

HOUR = 3600 * 10**9
BILL, PAY = PoolId("VAULT00", "BILL"), PoolId("VAULT00", "PAY")


def tape(number: int, pool: PoolId = BILL) -> TapeId:
    return TapeId(pool.vault, pool.pool, f"T{number:05}")


def nobody(_: CopyKey) -> bool:
    return False


def rules(parallel: int = 2, to: int = 2, **priority: int) -> Rules:
    ways = {
        (PoolId("VAULT00", pool), target): steps
        for pool, steps in priority.items()
        for target in (TARGET, OTHER_TARGET)
    }
    return Rules(parallel, {TARGET: to, OTHER_TARGET: to}, ways)


def filled(*copies: tuple[TapeId, str, int]) -> Queues:
    queues = Queues()
    for one, target, since_ns in copies:
        queues.put(one, target, since_ns, None)
    return queues


def chosen(
    queues: Queues, by: Rules, running: list[str] | None = None, **more: list[str]
) -> list[CopyKey]:
    return choose(queues, queues.ways(), running or [], by, passed=nobody, **more)


def test_the_oldest_need_comes_first_within_the_limits() -> None:
    queues = filled((tape(1), TARGET, 30), (tape(2), TARGET, 10), (tape(3), TARGET, 20))
    assert chosen(queues, rules()) == [(tape(2), TARGET), (tape(3), TARGET)]
    assert chosen(queues, rules(), [TARGET]) == [(tape(2), TARGET)]
    assert chosen(queues, rules(), [TARGET, TARGET]) == []
    assert chosen(queues, rules(parallel=9), [OTHER_TARGET] * 8) == [(tape(2), TARGET)]
    assert len(chosen(queues, rules(parallel=9, to=9))) == 3
    assert chosen(queues, rules(parallel=9, to=1), [TARGET]) == []
    assert chosen(Queues(), rules()) == []


def test_a_step_of_priority_is_worth_an_hour_of_waiting() -> None:
    low, high = (tape(1, PAY), TARGET, 0), (tape(2), TARGET, 3 * HOUR - 1)
    assert chosen(filled(low, high), rules(1, BILL=3)) == [high[:2]]
    late = (tape(2), TARGET, 3 * HOUR + 1)
    assert chosen(filled(low, late), rules(1, BILL=3)) == [low[:2]]
    assert chosen(filled(low, late), rules(1, BILL=3, PAY=-1)) == [late[:2]]


def test_a_pool_of_low_priority_moves_however_much_comes_before_it() -> None:
    """A preferred pool brings more than can be copied, for ever; the other one's turn still comes."""
    by, queues = rules(1, BILL=5), Queues()
    queues.put(tape(0, PAY), TARGET, 0, None)
    started, hour = [], 0
    while (tape(0, PAY), TARGET) not in started:
        for number in range(3):
            queues.put(tape(hour * 3 + number), TARGET, hour * HOUR + number + 1, None)
        for key in chosen(queues, by):
            started.append(key)
            queues.remove(*key)
        hour += 1
        assert hour < 100
    assert len(started) == 5 * 3 + 1, "all of five hours before it, and nothing of what came later"


def test_between_targets_the_one_with_fewer_copies_comes_first() -> None:
    backlog = [(tape(number), TARGET, number) for number in range(9)]
    fresh = [(tape(number), OTHER_TARGET, HOUR) for number in range(2)]
    assert Counter(target for _, target in chosen(filled(*backlog, *fresh), rules(2))) == {
        TARGET: 1,
        OTHER_TARGET: 1,
    }
    assert chosen(filled(*backlog, *fresh), rules(3), [TARGET, TARGET])[0][1] == OTHER_TARGET
    assert chosen(filled(*backlog), rules(2)) == [(tape(0), TARGET), (tape(1), TARGET)]


def test_with_one_slot_the_more_urgent_copy_goes_first_unless_the_other_waited_for_a_turn() -> None:
    queues = filled((tape(0), TARGET, 0), (tape(0), OTHER_TARGET, HOUR))
    assert chosen(queues, rules(1)) == [(tape(0), TARGET)]
    assert chosen(queues, rules(1), starved=[OTHER_TARGET]) == [(tape(0), OTHER_TARGET)]


def test_who_gives_way_is_the_longest_of_the_busiest() -> None:
    running = {(tape(1), TARGET): 20, (tape(2), TARGET): 10, (tape(3), "third"): 5}
    assert to_give_way(running, {OTHER_TARGET}) == (tape(2), TARGET)
    assert to_give_way(running, set()) is None
    assert to_give_way({(tape(1), OTHER_TARGET): 1}, {OTHER_TARGET}) is None


_COPIES = st.dictionaries(
    st.tuples(
        st.builds(tape, st.integers(0, 5), st.sampled_from([BILL, PAY])),
        st.sampled_from([TARGET, OTHER_TARGET]),
    ),
    st.integers(0, 40).map(lambda hours: hours * HOUR // 4),
)


@given(
    copies=_COPIES,
    running=st.lists(st.sampled_from([TARGET, OTHER_TARGET]), max_size=3),
    parallel=st.integers(1, 4),
    to=st.integers(1, 3),
    priority=st.integers(-3, 3),
    busy=st.sets(st.builds(tape, st.integers(0, 5))),
)
@settings(deadline=None)
def test_no_limit_is_passed_no_slot_left_empty_and_nobody_overtaken(
    copies: dict[CopyKey, int],
    running: list[str],
    parallel: int,
    to: int,
    priority: int,
    busy: set[TapeId],
) -> None:
    by = rules(parallel, to, BILL=priority)
    queues = filled(*((one, target, since) for (one, target), since in copies.items()))
    found = choose(queues, queues.ways(), running, by, passed=lambda key: key[0] in busy)
    assert len(set(found)) == len(found)
    assert not {key[0] for key in found} & busy
    counts = Counter([*running, *(target for _, target in found)])
    assert not found or counts.total() <= parallel
    for target in (TARGET, OTHER_TARGET):
        mine = [key for key in found if key[1] == target]
        assert not mine or counts[target] <= to
        left = [k for k in copies if k[1] == target and k[0] not in busy and k not in found]
        assert not left or counts[target] >= to or counts.total() >= parallel
        rank = {key: _rank(key, since, by) for key, since in copies.items()}
        assert all(rank[key] < rank[other] for key in mine for other in left)
    assert len(list(_all_due(queues))) == len(copies), "choosing takes nothing out"


def _rank(key: CopyKey, since_ns: int, by: Rules) -> tuple[int, CopyKey]:
    return by.rank((since_ns, *key, 0.0))


def _all_due(queues: Queues) -> list[CopyKey]:
    ways: list[Way] = queues.ways()
    return [key for way in ways for key in queues.due(way)]


def test_a_failed_copy_goes_behind_what_waited_meanwhile() -> None:
    """Its place is when its retry became due, so a hundred failing tapes let new ones be tried."""
    queues = filled(*((tape(number), TARGET, 100 + number) for number in range(2)))
    fresh = replace(TAPE, label="FRESH1")
    queues.put(fresh, TARGET, 50, None)
    assert chosen(queues, rules(1)) == [(fresh, TARGET)]
