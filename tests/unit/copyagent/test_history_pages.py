"""Pages of the history answer what was asked for, whoever finds the entries."""

from copyagent.control.inquiries import History
from copyagent.core.history import Entry
from copyagent.history_pages import WENT_WRONG, history_page
from copyagent.state.history_rows import HistoryWanted
from vtsfs.contract.naming import PoolId, TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")


def entry(number: int) -> Entry:
    return Entry(number, 1, "copied", str(TAPE), "drsite", 1, "")


def test_what_is_looked_for() -> None:
    asked: list[HistoryWanted] = []

    def find(wanted: HistoryWanted) -> list[Entry]:
        asked.append(wanted)
        return [entry(4), entry(5)]

    page = history_page(find, History(TAPE, since_ns=5, until_ns=9, kinds=("held",), most=2))
    assert [found["number"] for found in page["entries"]] == [4, 5]
    assert (page["next"], page["schema"]) == (5, 1)
    assert history_page(find, History(PoolId("VAULT00", "BILL"), failed=True))["next"] is None
    assert asked == [
        HistoryWanted(tape=str(TAPE), kinds=("held",), since_ns=5, until_ns=9, most=2),
        HistoryWanted(pool="/VAULT00/BILL", kinds=WENT_WRONG, most=2000),
    ]
