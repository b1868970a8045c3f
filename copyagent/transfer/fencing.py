"""What an operator does at a target as a whole: put up and take down the fence, take its staging over.

Done by the operator's own connection, so that a target can be fenced also when no agent runs. An
agent sees it in its next look; the fence is looked for before and after every copy is made.
"""

from collections.abc import Iterable

from copyagent.transfer import staging
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.guards import read_mark
from copyagent.transfer.layout import Layout, parent
from copyagent.transfer.target import Target
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings


def layouts_of(settings: Settings, target: str) -> list[Layout]:
    """Lay out our staging directory in every vault of *target*; the tape in it means nothing."""
    return [
        Layout.of(settings, target, TapeId(vault, "-", "-"))
        for vault in settings.targets[target].vaults
    ]


async def put_up(target: Target, layouts: Iterable[Layout], text: str) -> list[str]:
    """Fence every vault, for every source system; return the files. *text* is for who finds them.

    Durable when this returns. Raises `TargetError`; some vaults are fenced then.
    """
    made = []
    for layout in layouts:
        path = layout.fences[0]
        await staging.make_directories(target, layout)
        if await target.lstat(path) is None:
            await staging.write_durably(target, path, text.encode("utf-8", "replace"))
        made.append(path)
    return made


async def take_down(target: Target, layouts: Iterable[Layout]) -> list[str]:
    """Remove the fences of every vault, ours and that of all systems; return what was there."""
    removed = []
    for layout in layouts:
        for path in layout.fences:
            if await target.lstat(path) is not None:
                await target.remove(path)
                await staging.sync(target, parent(path))
                removed.append(path)
    return removed


async def take_over(target: Target, layouts: Iterable[Layout], mark: AgentMark) -> list[str]:
    """Put *mark* into our directory in every vault; return whose the others were, for people."""
    others = []
    for layout in layouts:
        await staging.make_directories(target, layout)
        known = await read_mark(target, layout.mark)
        if known is None or known.agent != mark.agent:
            await staging.write_durably(target, layout.mark, mark.encode())
        if known is not None and known.agent != mark.agent:
            others.append(f"{layout.directory}: was of {known.system} on {known.node}")
    return others
