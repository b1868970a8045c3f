"""A host that wants the password where it must not be typed, or that shows it to everybody."""

import logging
import re
from collections.abc import Awaitable, Callable, Iterator

import pytest
import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from tests.support.ems_host import HostOptions
from tests.support.listening import Heard, link_settings, listening, one_session
from tests.support.traps import Victim, open_trap

PASSWORD = "Tr4p.Door-77"
OPTIONS = HostOptions(password=PASSWORD)
EVENT = (
    "06-09-14 22:00:00 \\DEV2.$ZSVR            TANDEM.TAPE.G06         000638 "
    "STATUS 1504 - X00001 TAPE OPENED ON $VTAPE0\r\n"
)


async def log_on(victim: Victim) -> None:
    await victim.ask("Enter Choice> ")
    await victim.ask("TACL 1> ")
    await victim.ask("Password: ")


async def start(victim: Victim) -> None:
    await log_on(victim)
    await victim.ask("\r\nWelcome.\r\nTACL 1> ")


# ---- where it must not be typed ------------------------------------------------------------------


async def before_the_user(victim: Victim) -> None:
    await victim.show("Password: ")
    await victim.watch()


async def instead_of_the_service(victim: Victim) -> None:
    await victim.ask("Enter Choice> ")
    await victim.show("Password: ")
    await victim.watch()


async def in_the_banner(victim: Victim) -> None:
    await victim.show("Change your password: \r\nPassword: \r\nwhat is your Password:")
    await victim.watch()


async def after_the_log_on(victim: Victim) -> None:
    await start(victim)
    await victim.show("\r\nPassword: ")
    await victim.watch()


async def instead_of_the_first_prompt(victim: Victim) -> None:
    await log_on(victim)
    await victim.show("\r\nYour password will expire.\r\nNew password: ")
    await victim.watch()


async def in_an_event(victim: Victim) -> None:
    await start(victim)
    await victim.show(f"{EVENT}{EVENT.replace('X00001', 'Password:').rstrip()}")
    await victim.watch()


async def again_and_again(victim: Victim) -> None:
    await victim.ask("Enter Choice> ")
    await victim.ask("TACL 1> ")
    for _ in range(20):
        await victim.ask("Password: ")
    await victim.watch()


async def from_the_beginning_again(victim: Victim) -> None:
    for _ in range(20):
        await log_on(victim)
        await victim.show("\r\n")


async def after_a_refusal(victim: Victim) -> None:
    await log_on(victim)
    await victim.show("\r\n*ERROR* Invalid username or password\r\nPassword: ")
    await victim.watch()


@pytest.mark.parametrize(
    ("trap", "times"),
    [
        (before_the_user, 0),
        (instead_of_the_service, 0),
        (in_the_banner, 0),
        (after_the_log_on, 1),
        (instead_of_the_first_prompt, 1),
        (in_an_event, 1),
        (again_and_again, 1),
        (from_the_beginning_again, 1),
        (after_a_refusal, 1),
    ],
)
async def test_the_password_is_typed_once_and_only_where_it_belongs(
    trap: Callable[[Victim], Awaitable[None]], times: int
) -> None:
    async with open_trap(trap) as host:
        settings = link_settings(host.port, OPTIONS, silence=0.5)
        failure = await one_session(settings, Heard())
        await trio.testing.wait_all_tasks_blocked(0.01)
    assert [PASSWORD in line for line in host.typed].count(True) == times, host.typed
    assert PASSWORD not in failure.sentence("DEV2")


# ---- a host that shows it ------------------------------------------------------------------------


def shown(password: str) -> Iterator[str]:
    """Every way in which a terminal can show what was typed."""
    yield password
    yield password.upper()
    yield password.lower()
    yield password.swapcase()
    yield "\r\n".join((password[:5], password[5:]))
    yield "\r\n        ".join((password[:7], password[7:]))
    yield "\0".join(password)
    yield "".join(f"{letter}x\b \b" for letter in password)
    yield "\x1b[1m".join(password)
    yield f"\x1b[7m{password}\x1b[0m"
    yield password * 3
    yield f"LOGON VTS.EMS,{password}"
    yield f'"{password}" is not a command'
    yield password[:-1]
    yield password[1:]
    yield password[:6]


def leaked(text: str) -> bool:
    """Tell whether a piece of the password that is worth having is in *text*."""
    folded = text.casefold()
    pieces = [PASSWORD[at : at + 6].casefold() for at in range(len(PASSWORD) - 5)]
    return any(piece in folded for piece in pieces)


def test_the_leak_detector_detects() -> None:
    assert leaked(f"x{PASSWORD.upper()[2:]}")
    assert not leaked("EMS link to DEV2: log-on refused")


def quoted(text: str) -> bool:
    """Tell whether the whole password is in *text*, over line ends and control characters."""
    return PASSWORD.casefold() in re.sub(r"\x1b\[\dm|[\x00-\x20]", "", text.casefold())


async def show(form: str, ending: str) -> tuple[LinkFailure, Heard]:
    """Let a host show the password in one way after the log-on, then in events if it goes on."""

    async def serve(victim: Victim) -> None:
        await log_on(victim)
        await victim.show(f"{form}{ending}")
        if ending.endswith("1> "):
            await victim.read()
            await victim.show(f"{form}\r\n{EVENT.replace('OPENED', form)}\r\n")
            await trio.sleep(0.15)
        elif not ending:
            await victim.watch()

    heard = Heard()
    async with open_trap(serve) as host:
        settings = link_settings(host.port, OPTIONS, response_timeout=0.5)
        failure = await one_session(settings, heard)
    assert PASSWORD in host.typed
    return failure, heard


@pytest.mark.parametrize("ending", ["\r\n*ERROR* Invalid\r\n", "\r\nlogin: ", "", "\r\nTACL 1> "])
async def test_a_password_that_the_host_shows_is_in_nothing_that_we_write(
    ending: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes: list[tuple[LinkFailure, Heard]] = []

    async def try_out(form: str) -> None:
        outcomes.append(await show(form, ending))

    async with trio.open_nursery() as nursery:
        for form in shown(PASSWORD):
            nursery.start_soon(try_out, form)
    assert len(outcomes) == len(list(shown(PASSWORD)))
    assert not leaked(caplog.text)
    for failure, heard in outcomes:
        told = (failure.sentence("DEV2"), repr(failure), repr(heard.reports), repr(heard.tally))
        assert [text for text in told if leaked(text)] == []
        # What an event says is another matter: a few letters of a password are ordinary words.
        events = "".join(f"{event!r}{event.printed!r}" for event in heard.events)
        assert not quoted(events)


async def test_an_event_that_quotes_the_password_is_kept_without_it() -> None:
    """As an auditing product might print a log-on; the event itself is not lost."""

    async def quote(victim: Victim) -> None:
        await start(victim)
        await victim.show(EVENT)
        for text in (f"ERROR 77 - LOGON VTS.EMS,{PASSWORD}", f"WHO KNOWS {PASSWORD.upper()}?"):
            head = EVENT.partition("STATUS")[0]
            await victim.show(f"{head}{text[:20]}\r\n        {text[20:]}\r\n")
        await victim.show(EVENT)
        await victim.watch()

    async with open_trap(quote) as host:
        async with listening(link_settings(host.port, OPTIONS)) as heard:
            await heard.until(lambda: heard.tally.events == 4, "four events")
            assert len(heard.events) == 4
            assert not quoted("".join(f"{e!r}{e.printed!r}" for e in heard.events))
            assert not leaked(repr(heard.tally))


async def test_a_log_in_that_is_refused_is_not_tried_again_soon() -> None:
    async def refuse(victim: Victim) -> None:
        await log_on(victim)
        await victim.show("\r\n*ERROR* Invalid username or password\r\n")
        await victim.watch()

    async with open_trap(refuse) as host:
        async with listening(link_settings(host.port, OPTIONS, refused_delay=300.0)) as heard:
            await heard.until(lambda: heard.reports, "it is told")
            (told,) = heard.reports
            await trio.sleep(0.2)
            assert getattr(told, "trouble", None) is LinkTrouble.LOGIN_REFUSED
            assert len(host.victims) == 1
