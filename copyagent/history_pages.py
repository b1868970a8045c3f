"""A page of the history for who asked: by a running agent, or from its file where none runs."""

from collections.abc import Callable
from typing import Any

from copyagent.control.inquiries import History
from copyagent.core import history
from copyagent.core.history import Entry, Kind
from copyagent.state.history_rows import HistoryWanted
from vtsfs.contract.naming import PoolId, TapeId

#: Version of the answer.
SCHEMA = 1

#: What ``--failed`` shows.
WENT_WRONG = (Kind.FAILED, Kind.HELD, Kind.DOUBTED)


def history_page(find: Callable[[HistoryWanted], list[Entry]], request: History) -> dict[str, Any]:
    """Answer *request* with what *find* finds; ``next`` is where the next page begins, or None."""
    where = request.where
    entries = find(
        HistoryWanted(
            tape=str(where) if isinstance(where, TapeId) else "",
            pool=str(where) if isinstance(where, PoolId) else "",
            kinds=WENT_WRONG if request.failed else request.kinds,
            since_ns=request.since_ns,
            after=request.after,
            last=request.last,
            most=request.most,
            until_ns=request.until_ns,
        )
    )
    return {
        "schema": SCHEMA,
        "entries": [history.document(entry) for entry in entries],
        "next": entries[-1].number if len(entries) == request.most else None,
    }
