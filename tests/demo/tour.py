"""Ten minutes at a kept demonstration: what to type, and what it shows. A test types all of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.demo.place import Place, bad_settings, tape_name

NEW, LATER = "X00010", "X00011"
#: What `explain` says of a copy that is as it should be; its history has the word too.
COPIED = r"(?m)^  drsite: copied\b"


@dataclass(frozen=True)
class Command:
    """A line for the shell, and what it is claimed to do.

    Its output matches every regular expression of *shows*, its exit status is *status*. A line that
    only looks may be typed again for *within_s* seconds until that is so; one that goes on until
    Ctrl-C has *endless* set.
    """

    line: str
    shows: Sequence[str] = ()
    status: int = 0
    within_s: float = 0.0
    endless: bool = False


@dataclass(frozen=True)
class Stop:
    """One stop of the tour: what it is about, and what to type there."""

    title: str
    text: str
    commands: Sequence[Command]


def tour(place: Place) -> Sequence[Stop]:
    """Return the tour of the demonstration in *place*."""
    return (
        *_copying(place),
        *_failing(),
        *_tampering(),
        *_looking_on(),
    )


def _copying(place: Place) -> Sequence[Stop]:
    new = tape_name(NEW)
    return (
        Stop(
            "Look around",
            "Two tapes were copied by the demonstration. The vault is an ordinary file system.",
            (
                Command("copyagent status", (r"Every known tape .* is protected", r"DEV2 +up")),
                Command("vtsfs status", (r"VAULT00 +attached",)),
                Command("ls -l $DEMO/source/VAULT00/BILL $DEMO/target/VAULT00/BILL", ("X00001",)),
            ),
        ),
        Stop(
            "Write a tape",
            "The host mounts it with ring, an archive is written, the host dismounts it. "
            "A few seconds later it is copied; the two digests are equal.",
            (
                Command(f"demo write {NEW}", ("WITH RING", "dismounted")),
                Command(f"copyagent explain {new}", (r"agreed", COPIED), within_s=60),
                Command(
                    f"(cd $DEMO && sha256sum {place.copy(NEW).relative_to(place.root)} "
                    f"{place.tape(NEW).relative_to(place.root)})",
                    (r"(?m)^([0-9a-f]{64}) .*\n\1 ",),
                ),
            ),
        ),
        Stop(
            "Read it without a ring",
            "The verdict is 'agreed, read only', and nothing is copied.",
            (
                Command(f"demo read {NEW}", ("NO RING", "dismounted")),
                Command(f"copyagent explain {new}", ("agreed, read only", "copied"), within_s=30),
            ),
        ),
    )


def _failing() -> Sequence[Stop]:
    later = tape_name(LATER)
    return (
        Stop(
            "Kill the target, watch, start it again",
            "Attempts fail every 3 s, each with its cause. 'status --watch' goes on until Ctrl-C. "
            "Should all 12 attempts be used up meanwhile, one failure message is written, and a "
            "new ladder begins by itself when the target is back.",
            (
                Command("demo target kill", ("killed",)),
                Command(f"demo write {LATER}", ("dismounted",)),
                Command("copyagent status --watch", (rf"{LATER} to drsite: +retry",), endless=True),
                Command("copyagent queue", (LATER, r"\d+/12", "cannot be reached")),
                Command("demo target start", ("listens",)),
                Command(f"copyagent explain {later}", (COPIED,), within_s=90),
            ),
        ),
        Stop(
            "Kill the agent, write meanwhile, start it again",
            "Without an agent 'status' shows the last known state, dated, and exits with 40. "
            "Nothing is forgotten: the overlay keeps its signals, and the host prints again what "
            "it said meanwhile, so the verdict is 'agreed' as ever.",
            (
                Command("demo agent kill", ("killed",)),
                Command(f"demo write {LATER}", ("dismounted",)),
                Command("copyagent status", ("NOT running",), status=40),
                Command("demo agent start", ("answers",)),
                Command(
                    f"copyagent explain {later}",
                    (r"agreed \(.*, generation 2\)", COPIED),
                    within_s=90,
                ),
            ),
        ),
    )


def _tampering() -> Sequence[Stop]:
    new, copy = tape_name(NEW), f"$DEMO/target/VAULT00/BILL/{NEW}"
    return (
        Stop(
            "Tamper with a copy",
            "The next copy is held, and the tampered file stays as it is until somebody answers "
            "for replacing it.",
            (
                Command(f"echo 'not from here' >>{copy}"),
                Command(f"demo write {NEW}", ("dismounted",)),
                Command(f"copyagent explain {new}", (r"held \(target changed\)",), within_s=60),
                Command(f"tail -c 14 {copy}", ("not from here",)),
                Command(
                    f"copyagent release {new} --overwrite-target "
                    '--because "looked at it, not needed"',
                    ("released",),
                ),
                Command(f"copyagent explain {new}", (COPIED,), within_s=90),
                Command(f"tail -c 14 {copy} | grep -c 'not from here'", (r"\A0\n",), status=1),
            ),
        ),
    )


def _looking_on() -> Sequence[Stop]:
    return (
        Stop(
            "Check settings",
            "All problems are told at once, each with file and dotted key; nothing is changed.",
            (
                Command("copyagent check", ("in order",)),
                Command(
                    f"copyagent --config {bad_settings()} check", (r"bad\.yaml: \S+: ",), status=10
                ),
            ),
        ),
        Stop(
            "Read the event log",
            "One line a message: time, severity, ID, model, address, system, user, program, text.",
            (
                Command(
                    "cut -d'|' -f1-3,9 $DEMO/source/event.log",
                    (r"\|224101\|", r"\|424110\|", r"\|624122\|"),
                ),
            ),
        ),
    )
