"""What is shown, scene by scene. Each says what it claims and proves it, or ends the whole."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.demo.content import Archive, megabytes, sha256, write_tape
from tests.demo.host import begin_mount, end_mount
from tests.demo.target_watch import TargetWatch
from tests.demo.timeline import NotSo, Timeline
from tests.demo.world import World

#: The large tape, and the small one.
FIRST = "X00001"
SECOND = "X00002"
DRIVE = "$VTAPE0"
REASON = "restored by hand during the drill, no longer needed"
FOREIGN = "RESTORED BY SOMEBODY ELSE"

COPIED, ATTEMPT_FAILED, TARGET_CHANGED, OPERATOR = 224101, 424110, 624122, 224170
#: Attempts that are let fail before the target is started again.
FAILURES = 3
#: How often the host tries to come back during a copy, should the copy be quicker.
TRIES = 3
#: In how many places of a tape a few bytes are changed, and the most that is sent for each.
EDITS = 20
EDIT = b"EDITED IN PLACE " * 64
MOST_FOR_AN_EDIT = 8192


@dataclass
class Play:
    """A demonstration under way: what is known to be on each tape, and how often it was written."""

    world: World
    timeline: Timeline
    written: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    copies: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        """Show everything; raise NotSo at the first claim that is not so."""
        for number, (title, scene) in enumerate(SCENES, start=1):
            self.timeline.heading(number, title)
            scene(self)

    # ---- what the actors do ----------------------------------------------------------------------

    def mount(self, label: str, *, ring: bool) -> None:
        """Have the host ask for a tape and be told that it has it."""
        mode = "WITH RING (read/write)" if ring else "NO RING (read only)"
        request = begin_mount(self.world.host, label, ring=ring, drive=DRIVE)
        self.timeline.tell("host", f"request {request}: mount {label} {mode} on {DRIVE}")

    def dismount(self, label: str) -> None:
        """Have the host give it back."""
        end_mount(self.world.host, label, DRIVE)
        self.timeline.tell("host", f"{label} dismounted")

    def write(self, label: str, archive: Archive) -> None:
        """Write the whole tape through the mount point."""
        number = self.written.get(label, 0) + 1
        begun = self.timeline.elapsed()
        tape = self.world.place.tape(label)
        self.digests[label] = write_tape(tape, archive.path, label, number)
        self.written[label] = number
        seconds = max(self.timeline.elapsed() - begun, 0.001)
        size = tape.stat().st_size
        self.timeline.tell(
            "engine",
            f"writes {self.world.name(label)} through the overlay and closes it: generation "
            f"{number}, {megabytes(size)} at {size / 1e6 / seconds:.0f} MB/s, "
            f"sha256 {self.digests[label][:16]}",
        )

    def arrives(self, label: str, deadline_s: float = 90.0) -> None:
        """Wait until the agent says that *label* is copied; show its event, prove it equal."""
        self.world.site.wait_for_state(self.world.name(label), "copied", deadline_s)
        self.copies[label] = self.copies.get(label, 0) + 1
        self.timeline.tell("agent", f"{label} is copied")
        self.quote_events(COPIED, label, last=1)
        here, there = self.world.tape_digest(label), self.world.copy_digest(label)
        self.timeline.prove(
            f"equal, by their SHA-256: here {here[:16]}, at the target {there[:16]}",
            here == there == self.digests[label],
            f"written was {self.digests[label]}, here is {here}, at the target {there}",
        )

    # ---- what is quoted --------------------------------------------------------------------------

    def events(self, number: int, label: str = "") -> list[str]:
        """Return the event log's lines with one message number, those about *label* if named."""
        return [line for line in self.world.site.events(number) if label in line.split("|")[-1]]

    def quote_events(self, number: int, label: str, *, last: int) -> None:
        """Quote the *last* lines of one kind about a tape."""
        self.timeline.quote_events(self.events(number, label)[-last:])

    def quote_command(
        self, *command: str, part: tuple[str, str] | None = None, last: int = 0
    ) -> None:
        """Run a command and quote its output.

        Or only the *part* from one heading to the next, or of that, the *last* lines.
        """
        done = self.world.command(*command)
        self.timeline.prove_quietly(
            f"{command[0]} {command[1]} succeeds", done.returncode == 0, done.stdout[-400:]
        )
        lines = done.stdout.rstrip().splitlines()
        if part is not None:
            lines = section(lines, *part)
        self.timeline.quote(lines[-last:], command=" ".join(map(_quoted, command)))


def _quoted(word: str) -> str:
    return f'"{word}"' if " " in word else word


def section(lines: Sequence[str], begin: str, end: str) -> list[str]:
    """Return the lines from the one that begins with *begin* to before the next with *end*.

    No *end* means all that follows.
    """
    first = next(number for number, line in enumerate(lines) if line.startswith(begin))
    rest = lines[first:]
    if end:
        rest = rest[: next(number for number, line in enumerate(rest) if line.startswith(end))]
    return [line for line in rest if line]


def with_ring(play: Play) -> None:
    """A tape that was written is copied, but not before the host has given it back."""
    world, say = play.world, play.timeline
    play.mount(FIRST, ring=True)
    play.write(FIRST, world.large)
    world.site.wait_for_state(world.name(FIRST), "awaiting host")
    say.tell("agent", f"{FIRST} is closed, but the host has not dismounted it: awaiting host")
    say.prove("nothing is copied while the host has the tape", not world.place.copy(FIRST).exists())
    play.dismount(FIRST)
    play.arrives(FIRST)
    members = int(world.at_target(f"tar -tf {world.place.copy(FIRST)} | wc -l"))
    say.prove(
        f"the copy is a whole archive: tar lists its {members} members at the target",
        members == world.large.files + 1,
        f"{world.large.files + 1} were written",
    )


def no_ring(play: Play) -> None:
    """A tape that was only read is left alone."""
    world, say = play.world, play.timeline
    before = world.place.copy(FIRST).stat()
    play.mount(FIRST, ring=False)
    read = sha256(world.place.tape(FIRST))
    say.tell("engine", f"reads {FIRST} through the overlay from end to end, sha256 {read[:16]}")
    say.prove_quietly("what was read is what was written", read == play.digests[FIRST], read)
    play.dismount(FIRST)
    name = world.name(FIRST)
    world.site.wait(lambda: _verdict(play, FIRST) == "agreed, read only", f"{name} is judged")
    say.tell("agent", "agreed, read only: both witnesses say that nothing was written")
    play.quote_command("copyagent", "explain", name, part=("Last verdict", "Copies"))
    after = world.place.copy(FIRST).stat()
    say.prove(
        "not copied: the target's file was not touched, and the event log has no new copy",
        (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
        and len(play.events(COPIED, FIRST)) == play.copies[FIRST],
        f"inode and ctime were {before.st_ino}, {before.st_ctime_ns} and are {after.st_ino}, "
        f"{after.st_ctime_ns}; {len(play.events(COPIED, FIRST))} copies in the log",
    )


def _verdict(play: Play, label: str) -> str:
    document = play.world.site.explain(play.world.name(label))
    verdict = None if document is None else document["verdict"]
    return "" if verdict is None else str(verdict["verdict"])


def edited(play: Play) -> None:
    """Of a tape that was changed in a few places, only those are sent."""
    world, say = play.world, play.timeline
    tape = world.place.tape(FIRST)
    play.mount(FIRST, ring=True)
    # Past the first members: the archive stays one, a few of its files read otherwise.
    places = [tape.stat().st_size * part // (EDITS + 1) for part in range(1, EDITS + 1)]
    with tape.open("r+b") as file:
        for at in places:
            file.seek(at)
            file.write(EDIT)
    play.digests[FIRST] = sha256(tape)
    play.written[FIRST] += 1
    say.tell(
        "engine",
        f"writes {EDITS} times {len(EDIT)} bytes into {FIRST}, in places, sha256 "
        f"{play.digests[FIRST][:16]}",
    )
    play.dismount(FIRST)
    name = world.name(FIRST)
    world.site.wait(
        lambda: len(play.events(COPIED, FIRST)) > play.copies[FIRST], f"{name} is copied again"
    )
    play.arrives(FIRST)
    play.quote_command("copyagent", "history", name, "--last", "1")
    [line] = world.command("copyagent", "history", name, "--last", "1", "--json").stdout.split(
        "\n"
    )[:1]
    sent = json.loads(line)["sent"]
    say.prove(
        f"of {megabytes(tape.stat().st_size)} only {sent} bytes were sent, the rest was copied at "
        "the target by itself",
        0 < sent <= EDITS * MOST_FOR_AN_EDIT,
        line,
    )
    play.quote_command("copyagent", "generations", name)


def target_down(play: Play) -> None:
    """A copy that fails is tried again until it succeeds."""
    world, say = play.world, play.timeline
    world.sshd.stop()
    say.tell("target", "its SSH server is stopped")
    play.mount(SECOND, ring=True)
    play.write(SECOND, world.small)
    play.dismount(SECOND)
    for failed in range(1, FAILURES + 1):
        world.site.wait_for_state(world.name(SECOND), f"retry {failed}")
        say.tell("agent", f"attempt {failed} failed")
        play.quote_events(ATTEMPT_FAILED, SECOND, last=1)
        if failed == FAILURES - 1:
            play.quote_command("copyagent", "status", part=("Not protected", ""))
    say.prove(
        f"{FAILURES} attempts failed, each with its cause in the event log; nothing at the target",
        len(play.events(ATTEMPT_FAILED, SECOND)) == FAILURES
        and not world.place.copy(SECOND).exists(),
        f"the log has {len(play.events(ATTEMPT_FAILED, SECOND))}",
    )
    world.sshd.start()
    play.world.record_target()
    say.tell("target", "its SSH server is started again")
    play.arrives(SECOND)


def mounted_again(play: Play) -> None:
    """A tape that is wanted again during its copy is not copied half old and half new."""
    world, say = play.world, play.timeline
    known = {play.digests[FIRST]}
    with TargetWatch(world.place.copy(FIRST)) as watch:
        for _ in range(TRIES):
            _begin_copy(play)
            if _come_back(play):
                break
            # The copy was complete before the host came: it counts, as any other does.
            known.add(play.digests[FIRST])
            play.dismount(FIRST)
            world.site.wait(lambda: _verdict(play, FIRST) == "agreed, unwritten", "it is judged")
            world.site.wait_for_state(world.name(FIRST), "copied")
            play.copies[FIRST] = len(play.events(COPIED, FIRST))
        else:
            raise NotSo(f"{TRIES} copies of {FIRST} ended before the host could mount it again")
        stopped = play.digests[FIRST]
        play.write(FIRST, world.large)
        say.prove(
            "the copy was given up; the target still has the generation before, complete",
            world.copy_digest(FIRST) in known,
            "the target's file is none that was complete before",
        )
        play.dismount(FIRST)
        play.arrives(FIRST)
    known.add(play.digests[FIRST])
    say.prove(
        f"never a mix: in {watch.looks} looks during all this the name at the target held "
        f"{len(watch.digests)} files, each a complete generation, and not the one given up",
        set(watch.digests) == known
        and stopped not in watch.digests
        and not watch.rewritten
        and not watch.missing,
        f"seen {watch.digests}, complete {sorted(known)}, rewritten {watch.rewritten}, "
        f"missing {watch.missing} times",
    )


def _begin_copy(play: Play) -> None:
    world, say = play.world, play.timeline
    enough = world.large.size // 10
    play.mount(FIRST, ring=True)
    play.write(FIRST, world.large)
    play.dismount(FIRST)
    world.site.wait(
        lambda: _bytes_sent(play) > enough or _is_copied(play), f"{FIRST} is being copied"
    )
    say.tell("agent", f"copying {FIRST}: {megabytes(_bytes_sent(play))} sent")


def _come_back(play: Play) -> bool:
    """Mount the tape again; tell whether that was during its copy."""
    world, say = play.world, play.timeline
    play.mount(FIRST, ring=True)
    name = world.name(FIRST)
    with world.place.tape(FIRST).open("r+b"):
        world.site.wait(lambda: not world.site.status()["copies"], f"the copy of {FIRST} ends")
        document = world.site.explain(name)
        last = [] if document is None else [e["what"] for e in document["history"]]
        superseded = [what for what in last if what.endswith("-> superseded")]
        if not superseded:
            say.tell("agent", "that copy was complete before the host came; once more")
            return False
        say.tell("agent", "the tape changes again: the copy is superseded")
        play.quote_command("copyagent", "explain", name, part=("History", ""), last=5)
    return True


def _bytes_sent(play: Play) -> int:
    return sum(int(copy["done"]) for copy in play.world.site.status()["copies"])


def _is_copied(play: Play) -> bool:
    return play.world.site.state_of(play.world.name(FIRST)).startswith("copied")


def target_changed(play: Play) -> None:
    """A file at the target that the agent did not leave there is not replaced without a word."""
    world, say = play.world, play.timeline
    name, copy = world.name(SECOND), world.place.copy(SECOND)
    world.at_target(f"printf '%s' '{FOREIGN}' | dd of={copy} bs=1 seek=4096 conv=notrunc")
    foreign = world.copy_digest(SECOND)
    say.tell("somebody", f"writes into {copy} at the target, sha256 now {foreign[:16]}")
    play.mount(SECOND, ring=True)
    play.write(SECOND, world.small)
    play.dismount(SECOND)
    world.site.wait_for_state(name, "held (target changed)")
    say.tell("agent", f"{SECOND} is held: target changed")
    play.quote_events(TARGET_CHANGED, SECOND, last=1)
    play.quote_command("copyagent", "explain", name, part=("Copies", "History"))
    words = world.at_target(f"dd if={copy} bs=1 skip=4096 count={len(FOREIGN)} 2>/dev/null")
    say.prove(
        f"not overwritten: the target still has somebody's bytes, {words!r}",
        words == FOREIGN and world.copy_digest(SECOND) == foreign,
        f"sha256 is {world.copy_digest(SECOND)}, was {foreign}",
    )
    say.tell("operator", "has looked at it and lets it be replaced")
    play.quote_command("copyagent", "release", name, "--overwrite-target", "--because", REASON)
    play.arrives(SECOND)
    play.quote_events(OPERATOR, SECOND, last=1)
    say.prove("the operator's word is on record", REASON in play.events(OPERATOR, SECOND)[-1])


def end_state(play: Play) -> None:
    """Everything that was shown is to be seen afterwards, too."""
    world, say = play.world, play.timeline
    say.tell("operator", "asks how things stand")
    play.quote_command("copyagent", "status")
    status = world.site.status()
    pool = status["pools"][0]
    say.prove(
        "status: every tape protected, no copy under way, every link up",
        (pool["tapes"], pool["protected"], pool["unprotected"]) == (2, 2, 0)
        and not status["copies"]
        and all(one["up"] for one in (*status["hosts"], *status["targets"]))
        and all(vault["attached"] for vault in status["vaults"]),
        str(status),
    )
    say.tell("operator", f"reads the event log, {world.place.event_log}")
    play.timeline.quote_events(world.site.events())
    _prove_event_log(play)


def _prove_event_log(play: Play) -> None:
    copies = {label: len(play.events(COPIED, label)) for label in play.copies}
    failed = len(play.events(ATTEMPT_FAILED))
    errors = [line for line in play.world.site.events() if line.split("|")[2][0] in "68"]
    play.timeline.prove(
        f"the event log agrees: {sum(copies.values())} copies, {failed} failed attempts, "
        "1 tape held, 1 release, no other error",
        copies == play.copies
        and failed == FAILURES
        and errors == play.events(TARGET_CHANGED)
        and len(errors) == len(play.events(OPERATOR)) == 1,
        f"{copies} copies where {play.copies} were seen, {failed} failed attempts, errors {errors}",
    )
    log = play.world.site.agent_log()
    play.timeline.prove_quietly("the agent met nothing unforeseen", "Traceback" not in log, log)


SCENES: Sequence[tuple[str, Callable[[Play], None]]] = (
    ("A tape mounted with ring is copied after its dismount", with_ring),
    ("A tape mounted with no ring is not copied", no_ring),
    ("A tape is changed in places", edited),
    ("The target is down: attempts fail, then one succeeds", target_down),
    ("A tape is mounted again during its copy", mounted_again),
    ("The target's tape is changed by somebody else", target_changed),
    ("How it all looks in the end", end_state),
)
