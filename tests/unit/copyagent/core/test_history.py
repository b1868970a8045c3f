"""What becomes of copies leaves one entry each, decided in the moment in which it becomes so."""

from dataclasses import replace

from copyagent.core import tape as states
from copyagent.core.chain import link
from copyagent.core.copying import CopyDone, HoldReason, PublishedCopy, TargetStamp, WaitReason
from copyagent.core.history import LONGEST_TEXT, History, Kind, document, text_of
from copyagent.core.time import Moment
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

TAPE = TapeId("VAULT00", "BILL", "X00001")
AT = 1_767_225_600_000_000_000
COPY = PublishedCopy(
    generation=4,
    source=Identity(1, 2, 300, AT, AT),
    size=300,
    sha256="aa",
    stamp=TargetStamp(300, 1),
    verified="readback",
    published_ns=AT,
    root="cc",
)


def test_a_finished_copy_says_all_about_itself() -> None:
    history = History("f" * 64, newest=16)
    done = CopyDone(COPY, sent=100, took_s=1.23456, skipped=200, resumed=50, way="digests")
    history.copied(TAPE, "drsite", done, 3, AT)
    (entry,) = history.news()
    assert document(entry) == {
        "number": 17,
        "at": "2026-01-01T00:00:00Z",
        "kind": "copied",
        "tape": "/VAULT00/BILL/X00001",
        "target": "drsite",
        "generation": 4,
        "settings": "f" * 64,
        "chain": link("0" * 64, text_of(entry)),
        "size": 300,
        "sent": 100,
        "skipped": 200,
        "resumed": 50,
        "way": "digests",
        "root": "cc",
        "sha256": "aa",
        "verified": "readback",
        "attempts": 3,
        "took_s": 1.235,
        "modified": "2026-01-01T00:00:00Z",
        "published": "2026-01-01T00:00:00Z",
    }
    assert history.news() == []


def test_giving_up_and_holding_are_entries_and_what_goes_on_by_itself_is_none() -> None:
    history = History()
    soon = Moment(1.0, AT)
    for state in (
        states.Failed(4, 12, "no room", "make some", unreachable=False, at_ns=AT),
        states.Held(5, HoldReason.TARGET_CHANGED, "another file", AT),
        states.Queued(6),
        states.Copied(6, AT),
        states.Waiting(6, 1, WaitReason.FENCED, "in service", soon),
        states.Retrying(6, 1, "no room", "make some", soon),
    ):
        history.became(TAPE, "drsite", state, AT)
    failed, held = history.news()
    assert (failed.kind, failed.generation) == (Kind.FAILED, 4)
    assert failed.facts == {"attempts": 12, "cause": "no room"}
    assert (held.kind, held.generation) == (Kind.HELD, 5)
    assert held.facts == {"reason": "target changed", "cause": "another file"}
    assert [failed.number, held.number] == [1, 2]


def test_no_text_is_endless() -> None:
    history = History()
    held = states.Held(1, HoldReason.CONFLICT, "x" * 5000, AT)
    history.became(TAPE, "drsite", held, AT)
    history.became(TAPE, "drsite", replace(held, detail="short"), AT)
    long, short = history.news()
    assert len(str(long.facts["cause"])) == LONGEST_TEXT + 3
    assert short.facts["cause"] == "short"
