"""Very many printed events at once, of several kinds."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.ems_host.clock import PRINTED, HostClock
from tests.support.ems_host.layout import Layout

KINDS = ("mixed", "tape", "other", "garbage", "endless")
BATCH = 500
_PER_SECOND = 1000

_TAPE = (
    (600, "$ZSVR: {request:04d} MOUNT F{n:05d} ON $VTAPE7 WITH RING NIGHTLY BACKUP {n}"),
    (648, "$ZSVR: {request:04d} VOLUME F{n:05d} MOUNTED"),
    (638, "$ZSVR: STATUS 1504 - F{n:05d} TAPE OPENED ON $VTAPE7"),
    (659, "STATUS 1512 - F{n:05d} TAPE DISMOUNTED FROM DRIVE $VTAPE7"),
)
_OTHER = (
    ("$ZDSK", "TANDEM.STORAGE.G06", 2001, "$DISC3: PATH SWITCH TO CPU 3, ATTEMPT {n}"),
    ("$ZLM02", "TANDEM.NETWORK.G06", 2003, "$LINE7: RECEIVED FRAME {n} OUT OF SEQUENCE"),
    ("04,211", "CUSTOMER.1.J00", 4, "Program: MYPROG of application: PAYROLL, BATCH RUN {n} done"),
)


def flood(layout: Layout, clock: HostClock, count: int, kind: str) -> Iterator[str]:
    """Print *count* events of *kind* in batches; every tape event is of a label F00000 and up.

    *garbage* are lines that are no events, *endless* one line that never ends. The host's clock
    goes on a second per thousand.
    """
    if kind not in KINDS:
        raise ValueError(f"no such flood: {kind}; there are {', '.join(KINDS)}")
    for start in range(0, count, BATCH):
        if start % _PER_SECOND == 0:
            clock.step(1)
        at = clock.now().strftime(PRINTED)
        numbers = range(start, min(start + BATCH, count))
        yield "".join(_print(layout, at, n, kind) for n in numbers)


def _print(layout: Layout, at: str, n: int, kind: str) -> str:
    if kind == "endless":
        return "0123456789abcdef" * 5
    if kind == "garbage":
        return f"{n * 2654435761 % 2**32:08x} >>> \x00\xff\x1b[2J ???? MOUNT WITH NO RING {n}\r\n"
    if kind == "tape" or (kind == "mixed" and n % 4 == 0):
        job = n if kind == "tape" else n // 4
        number, text = _TAPE[job % 4]
        text = text.format(n=job // 4 % 100_000, request=job // 4 % 10_000)
        lines = layout.lines(at, number, text)
    else:
        process, ssid, number, text = _OTHER[n % 3]
        lines = layout.of(process, ssid).lines(at, number, text.format(n=n))
    return "".join(f"{line}\r\n" for line in lines)
