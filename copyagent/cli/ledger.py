"""What is on record of copies: the agent's word, or the target's own records where it is silent.

The agent's record is the authority. The target's manifests can be edited by everybody with access
to it; what is compared with one of them is compared with the target's word alone, and that is said.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from copyagent.cli.console import LOOK_S
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
