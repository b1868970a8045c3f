from tests.support.signal_sink import TAPE
from vtsfs.contract.naming import TapeId
from vtsfs.encryption.refusals import INTERVAL_S, Refusals


def test_one_message_an_hour_and_every_refusal_counted() -> None:
    refusals = Refusals()
    told = [refusals.count(TAPE, "K", float(second)) for second in range(int(INTERVAL_S) + 1)]
    assert told[0] == 0
    assert told[1:-1] == [None] * (int(INTERVAL_S) - 1)
    assert told[-1] == INTERVAL_S - 1, "as many as were not told"
    assert refusals.total == INTERVAL_S + 1


def test_another_tape_and_another_key_have_messages_of_their_own() -> None:
    refusals = Refusals()
    other = TapeId("VAULT00", "BILL", "X00002")
    assert [refusals.count(tape, key, 1.0) for tape in (TAPE, other) for key in "KL"] == [0] * 4


def test_a_reader_of_the_whole_vault_does_not_fill_the_log() -> None:
    refusals = Refusals(interval_s=10, most=3)
    tapes = [TapeId("VAULT00", "BILL", f"X{number:05}") for number in range(100)]
    told = [refusals.count(tape, "K", 1.0) for tape in tapes]
    assert told == [0, 0, 0] + [None] * 97
    assert refusals.total == 100
    assert [refusals.count(tape, "K", 11.0) for tape in tapes[50:]] == [0, 0, 0] + [None] * 47


def test_what_was_not_told_is_kept_over_a_quiet_time() -> None:
    refusals = Refusals(interval_s=10)
    assert [refusals.count(TAPE, "K", at) for at in (0.0, 1.0, 2.0)] == [0, None, None]
    other = TapeId("VAULT00", "BILL", "X00002")
    assert refusals.count(other, "K", 500.0) == 0
    assert refusals.count(TAPE, "K", 1000.0) == 2
