"""Asking the key servers: all at once, in threads, and not for longer than an engine can wait."""

from collections.abc import Mapping

import trio

from vtsfs.encryption.key_servers import KeyServer, KeyServerFailed

#: Seconds all servers together have to answer; the open of the tape waits for that long.
LIMIT_S = 3.0
#: Seconds a server that did not answer in time is left alone: engines try again more often.
PAUSE_S = 5.0
#: Threads that one server can keep busy. One that hangs takes these and no more.
_THREADS = 4


class KeyInquiry:
    """The key servers of this system, by the names that the settings give them."""

    def __init__(
        self,
        servers: Mapping[str, KeyServer],
        *,
        limit_s: float = LIMIT_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._servers = dict(servers)
        self._limit_s = limit_s
        self._pause_s = pause_s
        self._limiters = {name: trio.CapacityLimiter(_THREADS) for name in servers}
        self._silent_until: dict[str, float] = {}
        #: Why a server did not answer when it was asked last; those that did are not in it.
        self.failures: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The servers, in the order of the settings."""
        return tuple(self._servers)

    async def why_not(self, key_id: str) -> str | None:
        """Return None when a server has the key, else why it cannot be had."""
        if not self._servers:
            return "no key server is configured"
        if await self._ask_all(key_id):
            return None
        failed = [f"key server {n}: {self.failures[n]}" for n in self.names if n in self.failures]
        return "; ".join(failed) or f"which no key server has ({', '.join(self.names)})"

    async def _ask_all(self, key_id: str) -> bool:
        has_key = False

        async def ask(name: str) -> None:
            nonlocal has_key
            if await self._ask(name, key_id):
                has_key = True
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            for name in self._servers:
                nursery.start_soon(ask, name)
        return has_key

    async def _ask(self, name: str, key_id: str) -> bool:
        if trio.current_time() < self._silent_until.get(name, 0.0):
            return False
        server = self._servers[name]
        with trio.move_on_after(self._limit_s) as waiting:
            try:
                answer = await trio.to_thread.run_sync(
                    server.has_key, key_id, abandon_on_cancel=True, limiter=self._limiters[name]
                )
            except KeyServerFailed as error:
                self.failures[name] = str(error)
                return False
            self.failures.pop(name, None)
            return answer
        if waiting.cancelled_caught:
            self.failures[name] = f"no answer within {self._limit_s:g} s"
            self._silent_until[name] = trio.current_time() + self._pause_s
        return False
