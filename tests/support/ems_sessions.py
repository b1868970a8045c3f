"""Whole sessions of printed events, made up, and what each event of the tape server means.

Deterministic: everything of chance comes from the number that is given. Used where many
different events in a likely order are wanted: the golden sessions and the benchmarks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random

from copyagent.core.host_events import HostEvent
from tests.support.ems_host.layout import Layout
from tests.support.ems_templates import MOUNTS, NOTICES, REFUSALS, REQUESTS, USES, Template, Words

_TEMPLATES = {
    template.number: template for template in reversed((*REQUESTS, *USES, *REFUSALS, *NOTICES))
}
_COMMENTS = (
    *("", "", "", "NIGHTLY BACKUP", "NO RING", "PLEASE MOUNT WITH RING OFF", "CALL OPS, EXT. 4711"),
    *("TAPE DISMOUNTED FROM DRIVE $VTAPE0", "06-09-14 22:00:01 \\DEV2.$ZSVR", "SAVE 30 DAYS"),
)
_OTHERS = (
    (
        "$ZDSK",
        "TANDEM.STORAGE.G06",
        2001,
        "$DISC{0}: PATH SWITCH TO CPU {0}, REASON OPERATOR REQUEST",
    ),
    ("$ZNET", "TANDEM.SCP.D20", 12, "OBJECT $LINE{0} STARTED"),
    (
        "02,171",
        "CUSTOMER.1.J00",
        4,
        "Program: MYPROG{0} of application: PAYROLL, BATCH RUN started",
    ),
    (
        "$FTI1",
        "TANDEM.MHS.G01",
        23,
        "$ZL1 MR.\\NET.MRGRP1 $RL11: OSI resource problem, MOUNT X00001 NO RING",
    ),
    (
        "$NCP",
        "TANDEM.NETWORK.G06",
        -12,
        "COMMON EVENT: STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $T{0}",
    ),
)


@dataclass
class Night:
    """Tape jobs of one night; *printed* grows event by event.

    *quiet* leaves out other subsystems. Each entry of *printed* is its lines and, for an event of
    the tape server, its meaning.
    """

    seed: int
    layout: Layout = field(default_factory=Layout)
    prefix: str = "$ZSVR: "
    quiet: bool = False
    spell: Callable[[str], str] = str
    printed: list[tuple[list[str], HostEvent | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = Random(self.seed)
        self._second = 22 * 3600
        self._request = self._chance.choice((40, 9990))
        self._volume = 0

    def jobs(self, count: int) -> None:
        """Print what *count* jobs do, one after the other."""
        kinds = (self.labelled, self.labelled, self.labelled, self.scratch, self.unlabelled)
        rare = (self.rejected, self.refused, self.substituted, self.forgotten, self.told)
        for _ in range(count):
            self._chance.choice((*kinds, *kinds, *rare))()

    def labelled(self) -> None:
        """A volume is asked for, mounted, used and dismounted."""
        words = self._next()
        self._say(self._chance.choice([t for t in MOUNTS if t.number not in {602, 605}]), words)
        self._say(_TEMPLATES[648], words)
        self._use(words)

    def scratch(self) -> None:
        """Any scratch tape is asked for; what is mounted has a name."""
        words = self._next()
        self._say(self._chance.choice([t for t in MOUNTS if t.number in {602, 605}]), words)
        self._say(_TEMPLATES[648], words)
        self._use(words)

    def unlabelled(self) -> None:
        """A drive is asked for, and given."""
        words = self._next()
        self._say(_TEMPLATES[self._chance.choice((606, 607, 608))], words)
        self._say(_TEMPLATES[652], words)

    def rejected(self) -> None:
        """A request comes to nothing."""
        words = self._next()
        self._say(self._chance.choice(MOUNTS), words)
        self._say(_TEMPLATES[self._chance.choice((649, 650, 651, 653, 634))], words)

    def refused(self) -> None:
        """The wrong tape is found before the right one."""
        words = self._next()
        self._say(MOUNTS[0], words)
        self._say(self._chance.choice(REFUSALS), words)
        self._say(_TEMPLATES[648], words)
        self._use(words)

    def substituted(self) -> None:
        """Another tape is used than was asked for."""
        words = self._next()
        self._say(MOUNTS[1], words)
        self._say(_TEMPLATES[703], words)
        self._use(replace(words, volume=words.other))

    def forgotten(self) -> None:
        """The tape server's backup takes over."""
        self._say(MOUNTS[1], self._next())
        self._say(_TEMPLATES[702], Words())

    def told(self) -> None:
        """A tape nobody asked for is there, and some message is printed."""
        words = self._next()
        self._say(_TEMPLATES[self._chance.choice((639, 640, 641, 642, 643, 644, 704))], words)
        self._say(self._chance.choice(NOTICES), words)

    def _use(self, words: Words) -> None:
        self._say(_TEMPLATES[638], words)
        self._say(_TEMPLATES[699], words)
        self._say(_TEMPLATES[659], words)

    def _next(self) -> Words:
        self._request = (self._request + 1) % 10_000
        self._volume += 1
        drive = f"$VTAPE{self._chance.randrange(4)}"
        return Words(
            request=self._request,
            volume=f"X{self._volume:05}",
            other=f"N{self._volume:05}",
            drive=drive,
            reel=self._chance.choice((None, None, 1, 2)),
            density=self._chance.choice((None, None, 6250)),
            on=self._chance.choice((None, drive)),
            comment=self._chance.choice(_COMMENTS),
            process=f"{self.layout.node}.$Z{self._volume:03X}",
        )

    def _say(self, template: Template, words: Words) -> None:
        number, text, meant = template.case(words)
        text = self.spell(text)
        self._print(self.layout, number, self.prefix + text, meant)
        while not self.quiet and self._chance.random() < 0.5:
            process, ssid, number, text = self._chance.choice(_OTHERS)
            text = text.format(self._chance.randrange(9))
            self._print(self.layout.of(process, ssid), number, text, None)

    def _print(self, layout: Layout, number: int, text: str, meant: HostEvent | None) -> None:
        self._second += self._chance.choice((0, 0, 1, 7, 60))
        day, second = divmod(self._second, 86_400)
        printed_at = (
            f"26-11-{22 + day:02} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
        )
        critical = self._chance.random() < 0.1
        lines = layout.lines(printed_at, number, text, critical=critical)
        if meant is not None:
            meant = replace(meant, node=layout.node, printed_at=printed_at)
        self.printed.append((lines, meant))

    def meanings(self) -> Iterator[HostEvent]:
        """Go through what the tape server's events mean."""
        yield from (meant for _, meant in self.printed if meant is not None)

    def text(self, end: str = "\r\n") -> str:
        """Give all lines as the session prints them."""
        return "".join(line + end for lines, _ in self.printed for line in lines)
