"""What `copyagent.cli.fencing` does at a target, by a connection of its own."""

from copyagent.cli.own_line import own_line, run_with_asyncio
from copyagent.control.errands import AtTarget
from copyagent.transfer import fencing
from copyagent.transfer.agent_mark import AgentMark
from vtsfs.contract.settings import Settings


def do_there(settings: Settings, act: AtTarget, text: str) -> list[str]:
    """Carry *act* out and return what to tell; *text* is left in the file that it makes.

    Raises the `VtsError` that the target's failure is.
    """

    async def work() -> list[str]:
        layouts = fencing.layouts_of(settings, act.target)
        async with own_line(settings, act.target) as line:
            match act.action:
                case "fence":
                    made = await fencing.put_up(line.target, layouts, text)
                    return [f"{path}: nothing is published in this vault now" for path in made]
                case "unfence":
                    removed = await fencing.take_down(line.target, layouts)
                    there = [f"{path}: removed" for path in removed]
                    return there or [f"{act.target} was not fenced"]
                case _:
                    mark = AgentMark.of(settings)
                    others = await fencing.take_over(line.target, layouts, mark)
                    return others or [f"{act.target}: the staging directory is this agent's"]

    return run_with_asyncio(work)
