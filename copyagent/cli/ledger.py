"""What is on record of copies: the agent's word, or the target's own records where it is silent.

The agent's record is the authority. The target's manifests can be edited by everybody with access
to it; what is compared with one of them is compared with the target's word alone, and that is said.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import trio

from copyagent.cli.console import LOOK_S
from copyagent.cli.own_line import own_line
from copyagent.control.client import ask
from copyagent.control.inquiries import Copies
from copyagent.core.on_record import OnRecord
from copyagent.state.encoding import ON_RECORD
from copyagent.transfer.chunks import ChunkMap
from copyagent.transfer.layout import Layout
from copyagent.transfer.maps import MapStore
from copyagent.transfer.published import read_map
from copyagent.transfer.staging import read_record
from copyagent.transfer.target import Target
from vtsfs.contract.errors import AgentUnreachable
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings


@dataclass(frozen=True, slots=True)
class Ledger:
    """Looks up what is on record, by these *settings*."""

    settings: Settings

    def agent_says(self, where: TapeId | PoolId) -> Iterator[OnRecord]:
        """Go through what the agent has on record of *where*, by name; raises as `ask` does."""
        following: str | None = ""
        while following is not None:
            request = Copies(where, following)
            page = ask(self.settings.control_socket(), request, timeout=LOOK_S)
            yield from map(ON_RECORD.validate_python, page["copies"])
            following = page["next"]

    def answers(self) -> bool:
        """Tell whether there is an agent to ask; raises `Refused` if it is not for this user."""
        try:
            next(self.agent_says(TapeId("VAULT", "POOL", "LABEL")), None)
        except AgentUnreachable:
            return False
        return True

    def layout(self, tape: TapeId, target: str) -> Layout | None:
        """Return where the copies of *tape* lie at *target*; None if it is not copied there."""
        destination = self.settings.target_tape(tape, target)
        return None if destination is None else Layout.of(self.settings, target, destination)

    async def target_says(self, line: Target, tape: TapeId, target: str) -> OnRecord | None:
        """Return what the target's own record says of *tape*; None without one."""
        layout = self.layout(tape, target)
        manifest = None if layout is None else await read_record(line, layout.manifest, layout.tape)
        if manifest is None:
            return None
        copy = manifest.copy
        return OnRecord(tape, target, "", copy.generation, None, copy, manifest.kept)

    async def look_up(
        self, tape: TapeId, targets: Sequence[str]
    ) -> tuple[list[OnRecord], list[str]]:
        """Return what is on record of *tape* at *targets*, and which of them told it themselves.

        They are asked of what the agent does not answer, or has nothing on record of, as after its
        state was lost. Raises `TargetError`.
        """
        found: dict[str, OnRecord] = {}
        if await trio.to_thread.run_sync(self.answers):
            said = await trio.to_thread.run_sync(list, self.agent_says(tape))
            found = {copy.target: copy for copy in said}
        told = []
        for target in targets:
            if target not in found or found[target].published is None:
                async with own_line(self.settings, target) as line:
                    copy = await self.target_says(line.target, tape, target)
                if copy is not None:
                    told.append(target)
                    unsettled = target in found and found[target].unsettled
                    found[target] = replace(copy, unsettled=unsettled)
        return [found[target] for target in targets if target in found], told

    async def map_of(self, line: Target, tape: TapeId, target: str, root: str) -> ChunkMap | None:
        """Return the chunk map of that *root*: the agent's own, else the target's."""
        layout = self.layout(tape, target)
        if not root or layout is None:
            return None
        directory = self.settings.agent_directory() / "maps"
        try:
            own = MapStore(directory).read(tape, target, root)
        except PermissionError:
            own = None
        return own if own is not None else await read_map(line, layout, root)
