"""What of the agent lives by pieces of the settings besides the engine: links, notices, figures."""

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

import trio

from copyagent.access import dial_of, link_of, open_wire
from copyagent.core.host_events import LinkLost, LinkTrouble
from copyagent.core.settings_keys import session_of
from copyagent.ems.host_writer import HostWriter
from copyagent.ems.link import run_link
from copyagent.ems.link_settings import LinkSettings, LinkTally
from copyagent.metrics.service import offer_figures
from copyagent.parts import Part, Parts
from copyagent.runner import Runner
from vtsfs.contract.messages import Message
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_ems import Notify

Links = Mapping[str, LinkSettings]


@dataclass(slots=True)
class SettingsParts:
    """Makes the parts that the settings ask for, and lets those that run follow other settings."""

    runner: Runner
    parts: Parts = field(init=False)
    _writers: dict[str, object] = field(default_factory=dict)

    async def begin(self, settings: Settings) -> Callable[[trio.Nursery], Awaitable[list[str]]]:
        """Make ready what *settings* ask for; what is returned runs it in a nursery.

        From now on hosts can be told things, which wait until then. Raises `SettingsError` for a
        password that cannot be had.
        """
        links = await trio.to_thread.run_sync(_links_of, settings)
        self._renew_writers(settings, links)

        async def run(nursery: trio.Nursery) -> list[str]:
            self.parts = Parts(nursery)
            return await self.parts.follow(self._wanted(settings, links))

        return run

    async def prepare(self, settings: Settings) -> Callable[[], Awaitable[list[str]]]:
        """Make ready what other *settings* ask for, and change nothing; what is returned does.

        Raises `SettingsError` for a password that cannot be had.
        """
        links = await trio.to_thread.run_sync(_links_of, settings)
        return partial(self._follow, settings, links)

    async def _follow(self, settings: Settings, links: Links) -> list[str]:
        self._renew_writers(settings, links)
        begun = await self.parts.follow(self._wanted(settings, links))
        for name in self.runner.tallies.keys() - settings.ems.hosts.keys():
            del self.runner.tallies[name]
        return begun

    def _wanted(self, settings: Settings, links: Links) -> dict[str, Part]:
        parts = {}
        for name, link in links.items():
            made_of = _made_of(settings, name, link)
            writer = self.runner.writers.get(name)
            parts[f"link to {name}"] = Part(
                # A heartbeat goes out by the writer, and its way back is the link's to see.
                (made_of, id(writer)),
                partial(self._run_link, name, link),
                partial(self._tell_new_link, name),
            )
            if writer is not None:
                parts[f"notices to {name}"] = Part(made_of, writer.run)
        if settings.metrics.place is not None:
            parts["figures"] = Part(settings.metrics, partial(offer_figures, settings, self.runner))
        return parts

    async def _run_link(self, name: str, link: LinkSettings) -> None:
        runner = self.runner
        tally = runner.tallies[name] = LinkTally()
        await run_link(
            link,
            runner.post_heard,
            runner.post,
            dial=dial_of(link),
            chance=random.random,
            tally=tally,
            memory=runner.engine.book.links[name].memory.copy(),
            heartbeat=runner.writers.get(name),
        )

    async def _tell_new_link(self, name: str) -> None:
        """The engine has to know that the former session has ended; the next takes up from there."""
        why = f"EMS link to {name}: its settings have changed"
        await self.runner.post(LinkLost(name, why, LinkTrouble.DISCONNECTED))

    def _renew_writers(self, settings: Settings, links: Links) -> None:
        """Make the writers to hosts that have other settings now; the others keep what waits."""
        writers, made_of = self.runner.writers, dict[str, object]()
        for name, host in settings.ems.hosts.items():
            if host.notify is None:
                continue
            made_of[name] = _made_of(settings, name, links[name])
            if name not in writers or self._writers.get(name) != made_of[name]:
                writers[name] = self._writer(settings, name, links[name], host.notify)
        for name in writers.keys() - made_of.keys():
            del writers[name]
        self._writers = made_of

    def _writer(
        self, settings: Settings, name: str, link: LinkSettings, notify: Notify
    ) -> HostWriter:
        host = settings.ems.hosts[name]

        def report(message: Message, **fields: str) -> None:
            self.runner.event_log.write(message, now_ns=None, once=False, **fields)

        return HostWriter(
            link,
            notify,
            system=settings.system.name,
            dial=open_wire,
            report=report,
            chance=random.random,
            vaults=host.vaults,
            stays=host.keep_alive > 0,
        )


def _links_of(settings: Settings) -> Links:
    return {name: link_of(settings, name) for name in settings.ems.hosts}


def _made_of(settings: Settings, name: str, link: LinkSettings) -> object:
    """Return what the link to a host is made of: its settings, and which password it has."""
    password = sha256(link.plan.password.reveal().encode()).digest()
    return session_of(settings, name), password
