"""When a pool was last copied to a target, of all that the history has."""

from pathlib import Path

from copyagent.core.history import Entry, Kind
from copyagent.state.store import Changes, open_store
from vtsfs.contract.naming import PoolId


def entry(number: int, tape: str, target: str, kind: Kind = Kind.COPIED) -> Entry:
    return Entry(number, number * 100, kind, tape, target, 1, "", {})


def test_the_newest_copy_counts_of_that_pool_and_target_alone(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    changes = Changes()
    changes.put_history(
        [
            entry(1, "/VAULT00/BILL/X00001", "drsite"),
            entry(2, "/VAULT00/BILL/X00002", "drsite"),
            entry(3, "/VAULT00/BILL/X00001", "attic"),
            entry(4, "/VAULT00/BILL/X00001", "drsite", Kind.FAILED),
            entry(5, "/VAULT00/BILLS/X00001", "drsite"),
            entry(6, "/VAULT00/PAY/X00001", "drsite", Kind.HELD),
        ]
    )
    store.commit(changes)
    bill, pay = PoolId("VAULT00", "BILL"), PoolId("VAULT00", "PAY")
    found = store.last_copies([(bill, "drsite"), (bill, "attic"), (pay, "drsite")])
    assert found == {(bill, "drsite"): 200, (bill, "attic"): 300}
    store.close()
