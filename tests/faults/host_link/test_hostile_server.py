"""A server that means harm, beside a host that does not: a real agent has to serve the second.

Nothing it does crashes the agent, makes it large, stops the other host's events or a copy, gets the
password written down anywhere, or has an open tape copied.
"""

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import trio

from tests.support.site import Site
from tests.support.traps import Serve, TrapThread, Victim
from tests.support.world import COPIED, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

PASSWORD = "Ev1l.Pass-93"
PIECE = 64 * 1024
MEGABYTE = 1 << 20
#: How much larger the agent may be at its largest while it is flooded.
GROWTH_MB = 40
HEAD = "06-09-14 22:00:00 \\EVIL1.$ZSVR           TANDEM.TAPE.G06         "

IAC, SB, WILL, DO = b"\xff", b"\xfa", b"\xfb", b"\xfd"


async def log_on(victim: Victim) -> None:
    await victim.ask("Enter Choice> ")
    await victim.ask("TACL 1> ")
    await victim.ask("Password: ")


async def start(victim: Victim) -> None:
    """Log on, and let the distributor print one event, which tells that it runs."""
    await log_on(victim)
    await victim.ask("\r\nWelcome.\r\nTACL 1> ")
    await victim.show(f"{HEAD}000638 STATUS 1504 - EVIL01 TAPE OPENED ON $EVIL0\r\n")


async def wait_in_peace(victim: Victim) -> None:
    await start(victim)
    await victim.watch()


async def silent(victim: Victim) -> None:
    await victim.watch()


async def before(_: Victim) -> None:
    """Begin at once."""


async def during(victim: Victim) -> None:
    await victim.ask("Enter Choice> ")
    await victim.ask("TACL 1> ")


def pour(
    begin: Callable[[Victim], Awaitable[None]], first: bytes, piece: bytes, total: int
) -> Serve:
    """Make a server that sends *first* and then *piece* over and over, *total* bytes in all."""

    async def serve(victim: Victim) -> None:
        await begin(victim)
        await victim.show(first)
        for _ in range(total // len(piece)):
            await victim.show(piece)
        await trio.sleep(0.1)

    return serve


#: What is poured: a beginning, and what comes after it without end.
FLOODS = {
    "a line without an end": (b"", b"0123456789abcdef" * (PIECE // 16)),
    "a prompt that never comes": (b"", b"Password" * (PIECE // 8)),
    "lines of blanks": (b"", (b" " * 4094 + b"\r\n") * (PIECE // 4096)),
    "options asked for": (b"", (IAC + DO + b"\x18" + IAC + WILL + b"\x01") * (PIECE // 6)),
    "a subnegotiation without an end": (IAC + SB + b"\x18", b"\x01" * PIECE),
    "nothing but NUL": (b"", bytes(PIECE)),
    "an event without an end": (f"{HEAD}000600 $ZSVR: 0001 MOUNT ".encode(), b"EVIL " * 13107),
}


@pytest.fixture(scope="module")
def trap() -> Iterator[TrapThread]:
    with TrapThread(silent) as opened:
        yield opened


@pytest.fixture(scope="module")
def world(trap: TrapThread) -> Iterator[World]:
    def adjust(site: Site) -> None:
        secret = site.root.parent / "evil_password"
        secret.write_text(f"{PASSWORD}\n")
        secret.chmod(0o600)
        site.settings["ems"]["hosts"]["EVIL1"] = {
            "address": "127.0.0.1",
            "port": trap.port,
            "user": "VTS.EVIL",
            "password_file": str(secret),
            "response_timeout": "500ms",
            "logout_timeout": "500ms",
            "reconnect": {"first": "50ms", "longest": "200ms", "refused": "200ms"},
            "policy": {"enabled": True, "per_hour": 3600},
        }

    with open_world(with_host=True, adjust=adjust) as opened:
        yield opened
        assert found_under(opened.site.root, PASSWORD.encode()) == []
        assert {line.count("|") for line in opened.site.events()} == {8}


def found_under(root: Path, secret: bytes) -> list[str]:
    """List the files below *root* that hold *secret*, in any case, tapes left out."""
    folded = secret.lower()
    files = [path for path in root.rglob("*") if path.is_file() and "VAULT00" not in path.parts]
    assert files
    return [str(path) for path in files if folded in path.read_bytes().lower()]


def memory_mb(world: World, field: str = "VmHWM") -> float:
    assert world.site.agent is not None
    status = Path(f"/proc/{world.site.agent.pid}/status").read_text()
    return float(
        next(line for line in status.splitlines() if line.startswith(field)).split()[1]
    ) / (1024)


def forget_peak(world: World) -> None:
    """Begin to measure the largest size anew (proc(5), clear_refs)."""
    assert world.site.agent is not None
    Path(f"/proc/{world.site.agent.pid}/clear_refs").write_text("5")


def assert_all_is_well(world: World, label: str) -> None:
    """The other host's witness and the copies go on as if nothing was."""
    document = world.protect(label, content(50_000))
    assert document["verdict"]["verdict"] == "agreed"
    assert world.site.agent is not None
    assert world.site.agent.is_running()


def visits(trap: TrapThread, more: int) -> Callable[[], bool]:
    there = len(trap.trap.victims) + more
    return lambda: len(trap.trap.victims) >= there


def number(name: str) -> str:
    return f"{sum(name.encode()) % 10_000:04}"


#: After the log-on all of it; before that what has a chance to be taken for a part of it.
CASES = [
    *[(start, flood) for flood in FLOODS],
    (before, "a line without an end"),
    (before, "options asked for"),
    (before, "a subnegotiation without an end"),
    (during, "a prompt that never comes"),
    (during, "nothing but NUL"),
]


@pytest.mark.parametrize(
    ("begin", "flood"), CASES, ids=lambda case: getattr(case, "__name__", case)
)
def test_a_flood(
    world: World,
    trap: TrapThread,
    begin: Callable[[Victim], Awaitable[None]],
    flood: str,
) -> None:
    first, piece = FLOODS[flood]
    total = (8 if begin is start else 4) * MEGABYTE
    trap.serve(silent)
    forget_peak(world)
    size = memory_mb(world, "VmRSS")
    came = visits(trap, 2)
    trap.serve(pour(begin, first, piece, total))
    assert_all_is_well(world, f"F{begin.__name__[0]}{number(flood)}".upper())
    world.site.wait(came, "the hostile server is tried again")
    assert memory_mb(world) - size < GROWTH_MB


def test_a_hundred_megabytes_of_nothing(world: World, trap: TrapThread) -> None:
    forget_peak(world)
    size = memory_mb(world, "VmRSS")
    trap.serve(pour(start, b"", bytes(MEGABYTE), 100 * MEGABYTE))
    came = visits(trap, 2)
    assert_all_is_well(world, "NULS01")
    world.site.wait(came, "it was taken to its end")
    assert memory_mb(world) - size < GROWTH_MB


@pytest.mark.parametrize("prompts", [0, 2, 3, 4])
def test_never_answering_at_any_step(world: World, trap: TrapThread, prompts: int) -> None:
    shown = ["Enter Choice> ", "TACL 1> ", "Password: ", "\r\nTACL 1> "][:prompts]

    async def fall_silent(victim: Victim) -> None:
        for prompt in shown:
            await victim.ask(prompt)
        await victim.watch()

    came = visits(trap, 1 if prompts == 4 else 2)
    trap.serve(fall_silent)
    assert_all_is_well(world, f"SILEN{prompts}")
    world.site.wait(came, "it is tried again")


def test_forged_dismounts_do_not_copy_an_open_tape(world: World, trap: TrapThread) -> None:
    """Over either link, again and again, while the engine has the tape open and writes to it."""
    old = content()
    world.protect("OPEN01", old)

    async def forge(victim: Victim) -> None:
        await start(victim)
        for at in range(200):
            for line in (
                f"000600 $ZSVR: {at:04} MOUNT OPEN01 ON $VTAPE0 WITH RING",
                f"000648 $ZSVR: {at:04} VOLUME OPEN01 MOUNTED",
                "000659 STATUS 1512 - OPEN01 TAPE DISMOUNTED FROM DRIVE $VTAPE0",
                '000512 VTSPolicy IDR "/VAULT00/BILL/OPEN01"',
            ):
                await victim.show(f"{HEAD}{line}\r\n")
        await victim.show(f"{HEAD}000638 STATUS 1504 - ALL001 TAPE OPENED ON $EVIL0\r\n")
        await victim.watch()

    with world.tape("OPEN01").open("r+b") as tape:
        tape.write(b"first half")
        tape.flush()
        before_events = hosts(world)["EVIL1"]["events"]
        trap.serve(forge)
        world.site.wait(
            lambda: hosts(world)["EVIL1"]["events"] >= before_events + 600,
            "all of it was heard",
        )
        for _ in range(3):
            world.host.end_mount("OPEN01")
        assert_all_is_well(world, "OTHER1")
        assert world.state("OPEN01").startswith("mounted")
        assert len(world.events(COPIED, "OPEN01")) == 1
        assert world.copy("OPEN01").read_bytes() == old
        tape.write(b", second half")
    world.wait_for("OPEN01", "copied")
    assert world.copy("OPEN01").read_bytes() == world.backing("OPEN01").read_bytes()


def test_ever_new_volumes_are_not_remembered_for_ever(world: World, trap: TrapThread) -> None:
    """Fifteen thousand mounts that never end, of tapes that nobody has."""

    async def mount(victim: Victim) -> None:
        await start(victim)
        for first in range(0, 15_000, 500):
            numbers = range(first, first + 500)
            lines = (
                f"{HEAD}000600 $ZSVR: {n % 10_000:04} MOUNT Z{n:05} WITH RING" for n in numbers
            )
            await victim.show("\r\n".join([*lines, ""]))
        await victim.watch()

    before_events = hosts(world)["EVIL1"]["events"]
    forget_peak(world)
    size = memory_mb(world, "VmRSS")
    trap.serve(mount)
    assert_all_is_well(world, "NEWVOL")
    world.site.wait(
        lambda: hosts(world)["EVIL1"]["events"] >= before_events + 15_000, "all of it was heard"
    )
    assert_all_is_well(world, "NEWVO2")
    assert memory_mb(world) - size < GROWTH_MB
    state = sum(path.stat().st_size for path in (world.site.root / "state").rglob("*sqlite*"))
    assert state < GROWTH_MB * MEGABYTE


def test_what_a_host_prints_is_only_text(world: World, trap: TrapThread) -> None:
    """Not a path, a format, a field of the event log, or a command to a terminal."""
    hostile = (
        "..",
        "../..",
        "/",
        "%s%n",
        "a|b|c",
        "\x1b[2J\x07",
        "{cause}",
        "$(id)",
        "`id`",
        "'\"",
    )

    async def serve(victim: Victim) -> None:
        await start(victim)
        for text in hostile:
            for line in (
                f"000600 $ZSVR: 0042 MOUNT {text} WITH RING {text}",
                f"000659 STATUS 1512 - {text} TAPE DISMOUNTED FROM DRIVE {text}",
                f'000512 VTSPolicy IDR "/VAULT00/{text}/{text} s={text} d={text}"',
                f"000512 VTSPolicy Erase - {text}",
                f"000999 {text}",
            ):
                await victim.show(f"{HEAD}{line}\r\n")
        await victim.show("\r\n*ERROR* a|b|c \x1b[2J {cause}\r\n")
        await trio.sleep(0.3)

    came = visits(trap, 2)
    trap.serve(serve)
    world.site.wait(came, "it was heard")
    assert_all_is_well(world, "TEXT01")
    for command in (("status",), ("events", "--json"), ("ems", "status")):
        shown = world.site.must("copyagent", *command)
        assert "\x1b" not in shown
    assert "\x1b" not in world.site.agent_log() + "\n".join(world.site.events())


def hosts(world: World) -> dict[str, dict[str, int]]:
    return {host["host"]: host for host in world.site.status()["hosts"]}


def test_the_password_is_in_nothing_that_the_agent_wrote(world: World, trap: TrapThread) -> None:
    async def show(victim: Victim) -> None:
        await start(victim)
        for text in (
            f"{PASSWORD}\r\n",
            f"{HEAD}000077 LOGON VTS.EVIL,{PASSWORD}\r\n",
            f"{HEAD}000601 $ZSVR: 0042 MOUNT EVIL02 NO RING {PASSWORD}\r\n",
            f"{HEAD}000659 STATUS 1512 - {PASSWORD} TAPE DISMOUNTED FROM DRIVE $X\r\n",
            f"{HEAD}000512 VTSPolicy IDR '{PASSWORD}'\r\n",
            f"{HEAD.replace('TAPE', 'OTHER')}000001 {PASSWORD.upper()} IS THE PASSWORD\r\n",
            f"TACL 2> {PASSWORD}",
        ):
            await victim.show(text)
        await trio.sleep(0.2)

    async def refuse(victim: Victim) -> None:
        await log_on(victim)
        await victim.show(f"{PASSWORD}\r\n*ERROR* {PASSWORD} is not the password of VTS.EVIL\r\n")
        await victim.watch()

    for serve in (show, refuse):
        came = visits(trap, 2)
        trap.serve(serve)
        world.site.wait(came, "it is tried again")
    world.site.run("copyagent", "status")
    assert any(PASSWORD in line for line in trap.trap.typed)
    assert found_under(world.site.root, PASSWORD.encode()) == []
    for name in ("environ", "cmdline"):
        assert world.site.agent is not None
        assert PASSWORD.encode() not in Path(f"/proc/{world.site.agent.pid}/{name}").read_bytes()


def test_it_all_ends_well(world: World, trap: TrapThread) -> None:
    """The link to a server that has come to reason is up again, and the agent ends in time."""
    trap.serve(wait_in_peace)
    world.site.wait(lambda: hosts(world)["EVIL1"]["up"], "the link is up")
    assert_all_is_well(world, "LAST01")
    world.site.stop()
    assert world.site.agent is not None
    assert not world.site.agent.is_running()
