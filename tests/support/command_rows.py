"""Every command on a copy in every state, carried out on a real book: what became of it.

``python -m tests.support.command_rows`` writes the table into ``copyagent/core/command_table.py`` and,
as the manual shows it, into ``man/vts-autocopy.7``, between the markers; tests compare both.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from copyagent.core import errands, operator, pausing, stopping
from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.command_table import COMMANDS, MEANINGS, OF_A_TAPE, OF_MANY, Effect, row_of
from copyagent.core.copying import (
    CopyWaits,
    HoldReason,
    PublishedCopy,
    TargetStamp,
    WaitReason,
)
from copyagent.core.engine import Engine
from copyagent.core.events import CopyEnded
from copyagent.core.pausing import PauseWanted
from copyagent.core.records import CopyRecord, OperatorHold, TapeRecord
from copyagent.core.stopping import StopWanted
from copyagent.core.syncing import SyncWanted, Which, sync
from tests.support.histories import OTHER_TARGET, START_NS, TAPE, TARGET, make_settings
from tests.support.playbook import START
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.signals import Identity

ROOT = Path(__file__).parents[2]
CODE = ROOT / "copyagent" / "core" / "command_table.py"
PAGE = ROOT / "man" / "vts-autocopy.7"
BEGIN, END = "# begin of the table made by", "# end of the table made by"
PAGE_BEGIN, PAGE_END = '.\\" begin of the table of commands', '.\\" end of the table of commands'

FILE = Identity(1, 2, 4096, 3, 4)
STAMP = TargetStamp(4096, 7)
OLD = PublishedCopy(1, replace(FILE, mtime_ns=2), 4096, "", STAMP, "size", published_ns=1)
FORMER = replace(OLD, generation=0, name="kept-0")
PLACE = "dr.example.com:/VAULT00/BILL"
WHY = "because"
HOLD = OperatorHold("ann", WHY, START_NS)

#: Done to a book whose only tape is `TAPE`.
Deed = Callable[[Book], object]


def every_state() -> Iterator[tuple[states.State, OperatorHold | None]]:
    """Return one state for each line of the table, and whether an operator keeps the copy back."""
    yield states.Clean(), None
    yield states.Unsynced(), None
    yield states.Queued(2), None
    yield states.Copying(2, 0, START_NS), None
    yield states.Retrying(2, 1, "full", "make room", START.after(60.0)), None
    for wait in WaitReason:
        yield states.Waiting(2, 0, wait, "why", START.after(60.0)), None
    yield states.Failed(2, 12, "full", "make room", unreachable=False, at_ns=START_NS), None
    for reason in HoldReason:
        hold = HOLD if reason is HoldReason.BY_OPERATOR else None
        elsewhere = "/VAULT00/PAY/X00001" if reason is HoldReason.LABEL_ELSEWHERE else ""
        yield states.Held(2, reason, "why", START_NS, STAMP, elsewhere), hold
    yield states.Cancelled(2, "ann", WHY, START_NS), None
    yield states.Superseded(2), None
    yield states.Copied(2, START_NS), None
    yield states.Copied(2, START_NS), HOLD
    yield states.Kept("erased", START_NS), None
    yield states.Unmonitored(), None


def deeds() -> Mapping[str, Deed]:
    """Return what carries out each command, but for those that take more than one call."""
    wanted = StopWanted(TAPE, WHY)

    def overwrite(book: Book) -> object:
        return operator.release(book, TAPE, WHY, "root", START, overwrite_target=True)

    def synced(which: Which) -> Deed:
        return lambda book: sync(book, SyncWanted(TAPE.pool_id, which), "root", START)

    def at_target(action: str) -> Deed:
        return lambda book: errands.done_at_target(
            book, errands.Act(action, TARGET, WHY), "root", START
        )

    return {
        "retry": lambda book: operator.retry(book, TAPE, "root", START),
        "sync TAPE": lambda book: sync(book, SyncWanted(TAPE), "root", START),
        "cancel": lambda book: stopping.cancel(book, wanted, "root", START),
        "hold": lambda book: stopping.hold(book, wanted, "root", START),
        "release": lambda book: operator.release(book, TAPE, WHY, "root", START),
        "release --overwrite-target": overwrite,
        "relocate": lambda book: errands.relocate(book, TAPE, WHY, "root", START),
        "adopt": lambda book: errands.adopt(book, TAPE, None, "root", START),
        "rollback": lambda book: errands.roll_back(
            book, errands.FormerGeneration(TAPE, 0), WHY, "root", START
        ),
        "retry --failed": lambda book: operator.retry_failed(book, "root", START),
        "sync POOL": synced(Which.PLAIN),
        "sync --missing POOL": synced(Which.MISSING),
        "sync --stale POOL": synced(Which.STALE),
        "sync --all POOL": synced(Which.ALL),
        "pause": lambda book: pausing.pause(book, PauseWanted(TARGET, WHY), "root", START),
        "resume": lambda book: pausing.resume(book, TARGET, "root", START),
        "fence": at_target("fence"),
        "unfence": at_target("unfence"),
        "take-over": at_target("take-over"),
    }


def book_with(state: states.State, hold: OperatorHold | None) -> Engine:
    """Return an engine that knows one tape, which stands so."""
    settings = make_settings(pools=("BILL",), targets=(TARGET, OTHER_TARGET))
    asked = OTHER_TARGET if isinstance(state, states.Unmonitored) else TARGET
    entries = tuple(entry for entry in settings.autocopy if entry.target == asked)
    book = Book(settings.model_copy(update={"autocopy": entries}))
    protected = isinstance(state, states.PROTECTED)
    base = OLD
    if isinstance(state, states.Copied):
        base = replace(OLD, generation=2, source=FILE)
    never = isinstance(state, states.Clean | states.Unsynced)
    copy = CopyRecord(state, None if never else base, place=PLACE, hold=hold)
    copy.kept = () if never else (FORMER,)
    copy.owed_ns = 0 if protected else START_NS
    record = TapeRecord(TAPE, 2, FILE, copies={TARGET: copy})
    record.behind_ns = 0 if protected else START_NS
    book.records[TAPE] = record
    book.record(TAPE)
    if isinstance(state, states.Copying):
        book.running[TAPE, TARGET] = 2
    return Engine(book)


def effect(command: str, state: states.State, hold: OperatorHold | None) -> Effect:
    """Carry *command* out on a copy that stands so, and say what became of it."""
    engine = book_with(state, hold)
    book = engine.book
    if command == "resume":
        pausing.pause(book, PauseWanted(TARGET, WHY), "root", START)
    copy = book.records[TAPE].copies[TARGET]
    before = copy.state
    try:
        deeds()[command](book)
    except RequestFailed:
        assert copy.state is before, "what is refused changes nothing"
        assert copy.hold == hold, "what is refused changes nothing"
        return Effect.REFUSED
    if command in ("pause", "resume"):
        return _what_starts(engine, command, state, hold)
    if command == "fence":
        _meet_the_fence(engine)
    return _what_became(copy, before, hold)


def _what_starts(
    engine: Engine, command: str, state: states.State, hold: OperatorHold | None
) -> Effect:
    """Say what a pause, or its end, makes of a copy that would start when it is due."""
    running = (TAPE, TARGET) in engine.book.running
    ordinary = book_with(state, hold)
    if running:
        engine.due(START)
        stopped = isinstance(engine.book.records[TAPE].copies[TARGET].state, states.Queued)
        return Effect.STOPPED if stopped else Effect.NOTHING
    if not _starts(ordinary):
        assert not _starts(engine), "no end of a pause starts what would not start without one"
        return Effect.NOTHING
    started = _starts(engine)
    assert started == (command == "resume"), f"{command} of {state}"
    return Effect.LET_GO if started else Effect.WAITS


def _starts(engine: Engine) -> bool:
    """Tell whether the copy is started within ten minutes."""
    for seconds in (0.0, 600.0):
        engine.due(START.after(seconds))
    return (TAPE, TARGET) in engine.book.running


def _meet_the_fence(engine: Engine) -> None:
    """Let time pass until the next attempt; what it meets is what the copier says of a fence."""
    for seconds in (0.0, 600.0):
        now = START.after(seconds)
        engine.due(now)
        if (TAPE, TARGET) in engine.book.running:
            fenced = CopyWaits(WaitReason.FENCED, "IN-SERVICE")
            engine.take(CopyEnded(TAPE, TARGET, fenced), now)
            return


def _what_became(copy: CopyRecord, before: states.State, hold: OperatorHold | None) -> Effect:
    match copy.state:
        case states.Cancelled() if copy.state is not before:
            return Effect.CANCELLED
        case states.Held(reason=HoldReason.BY_OPERATOR) if copy.state is not before:
            return Effect.HELD
        case states.Waiting() if copy.state is not before:
            return Effect.STOPPED if isinstance(before, states.Copying) else Effect.WAITS
        case states.Queued() if copy.state is not before:
            return Effect.QUEUED
    assert copy.state is before, f"{before} became {copy.state}, which has no letter"
    if copy.hold != hold:
        return Effect.KEPT_BACK if copy.hold is not None else Effect.LET_GO
    return Effect.NOTHING


def table() -> dict[str, dict[str, Effect]]:
    """Return what every command does in every state."""
    return {
        row_of(CopyRecord(state, hold=hold)): {
            command: effect(command, state, hold) for command in COMMANDS
        }
        for state, hold in every_state()
    }


def as_code(rows: Mapping[str, Mapping[str, Effect]]) -> str:
    """Write the table as the module has it."""
    width = max(map(len, rows)) + 1
    lines = [f"{name:{width}}{''.join(letters.values())}" for name, letters in rows.items()]
    return 'TABLE: Final = """\\\n' + "\n".join(lines) + '\n"""\n'


def as_page(rows: Mapping[str, Mapping[str, Effect]]) -> str:
    """Write the table as the manual has it: the letters explained, then both halves."""
    lines = [".Bl -tag -width Ds -compact"]
    for each, meaning in MEANINGS.items():
        lines += [f".It Li {each.value}", meaning]
    lines += [".El"]
    for commands in (OF_A_TAPE, OF_MANY):
        lines += [".Pp", _headings(commands), ".Bd -literal -offset 2n"]
        width = max(map(len, rows)) + 1
        lines.append(f"{'':{width}}{' '.join(commands.values())}")
        for name, letters in rows.items():
            cells = "  ".join(letters[command].value for command in commands)
            lines.append(f"{name:{width}} {cells}")
        lines.append(".Ed")
    return "\n".join(lines)


def _headings(commands: Mapping[str, str]) -> str:
    said = [f"{heading} is {command}" for command, heading in commands.items()]
    return ",\n".join(said).replace("--", "\\-\\-") + ":"


def write() -> None:
    """Put the table into the module and the page."""
    rows = table()
    code = CODE.read_text(encoding="utf-8")
    before, rest = code.split(BEGIN, 1)
    head, rest = rest.split("\n", 1)
    after = END + rest.split(END, 1)[1]
    CODE.write_text(f"{before}{BEGIN}{head}\n{as_code(rows)}{after}", encoding="utf-8")
    page = PAGE.read_text(encoding="ascii")
    before, rest = page.split(PAGE_BEGIN, 1)
    after = PAGE_END + rest.split(PAGE_END, 1)[1]
    PAGE.write_text(f"{before}{PAGE_BEGIN}\n{as_page(rows)}\n{after}", encoding="ascii")


if __name__ == "__main__":
    write()
