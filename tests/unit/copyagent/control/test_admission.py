from itertools import product

import pytest

from copyagent.control.admission import REFUSAL_QUIET_S, Doorkeeper, Places, RefusalLog, Right

ROOT, OWNER, SERVICE, SOMEBODY = 0, 100, 200, 300
LOOKERS, OPERATORS, OTHERS = 50, 60, 70

KEEPER = Doorkeeper(OWNER, SERVICE, LOOKERS, OPERATORS)
EVERYTHING = frozenset(Right)
LOOK = frozenset({Right.LOOK})


@pytest.mark.parametrize(
    ("uid", "groups"),
    list(product((ROOT, OWNER, SERVICE, SOMEBODY), (set[int](), {LOOKERS}, {OPERATORS}, {OTHERS}))),
)
def test_the_four_kinds_of_peers(uid: int, groups: set[int]) -> None:
    expected = EVERYTHING if OPERATORS in groups else LOOK if LOOKERS in groups else frozenset()
    if uid != SOMEBODY:
        expected = EVERYTHING
    assert KEEPER.rights(uid, groups) == expected
    for right in Right:
        assert KEEPER.allows(right, uid, groups) == (right in expected)


def test_who_is_in_both_groups_acts() -> None:
    assert KEEPER.rights(SOMEBODY, {LOOKERS, OPERATORS}) == EVERYTHING


def test_without_names_in_the_settings_nobody_gains() -> None:
    keeper = Doorkeeper(OWNER)
    assert keeper.rights(SOMEBODY, {0, LOOKERS, OPERATORS}) == frozenset()
    assert keeper.rights(OWNER, set()) == EVERYTHING


@pytest.mark.parametrize(
    ("keeper", "socket"),
    [
        (Doorkeeper(OWNER), (0o600, None)),
        (Doorkeeper(OWNER, SERVICE, LOOKERS), (0o660, LOOKERS)),
        (Doorkeeper(OWNER, SERVICE, None, OPERATORS), (0o660, OPERATORS)),
        (Doorkeeper(OWNER, SERVICE, LOOKERS, LOOKERS), (0o660, LOOKERS)),
        (Doorkeeper(OWNER, SERVICE, LOOKERS, OPERATORS), (0o666, LOOKERS)),
    ],
)
def test_everybody_can_connect_who_has_business_there(
    keeper: Doorkeeper, socket: tuple[int, int | None]
) -> None:
    assert keeper.socket() == socket


def test_one_who_looks_cannot_keep_those_out_who_act() -> None:
    places = Places(total=6, reserved=2, of_one=3)
    for uid in (1, 1, 1, 2):
        assert not places.refusal(uid, LOOK, owns=False)
        places.take(uid)
    assert "this user has 3 connections" in places.refusal(1, LOOK, owns=False)
    assert "too many" in places.refusal(2, LOOK, owns=False)
    for _ in range(2):
        assert not places.refusal(3, EVERYTHING, owns=False)
        places.take(3)
    assert "too many" in places.refusal(4, EVERYTHING, owns=False)
    places.give_back(1)
    assert not places.refusal(ROOT, EVERYTHING, owns=True)
    assert "too many" in places.refusal(2, LOOK, owns=False)


def test_root_is_limited_by_the_total_alone_and_given_back_places_are_free() -> None:
    places = Places(total=5, reserved=2, of_one=1)
    for _ in range(5):
        assert not places.refusal(ROOT, EVERYTHING, owns=True)
        places.take(ROOT)
    assert places.refusal(ROOT, EVERYTHING, owns=True)
    for _ in range(5):
        places.give_back(ROOT)
    assert not places.taken


def test_refusals_do_not_fill_the_journal() -> None:
    log = RefusalLog()
    assert [log.is_news(7, at) for at in (0.0, 1.0, REFUSAL_QUIET_S, 61.0)] == [
        True, False, True, False,
    ]  # fmt: skip
    assert log.is_news(8, 61.0)
    for uid in range(10_000):
        log.is_news(uid, 62.0)
    assert len(log.told) <= 1000
