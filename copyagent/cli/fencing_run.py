"""What `copyagent.cli.fencing` does at a target, by a connection of its own."""

from dataclasses import dataclass

from copyagent.cli.own_line import own_line, run_with_asyncio
from copyagent.control.errands import AtTarget
from copyagent.transfer import fencing
from copyagent.transfer.agent_mark import AgentMark
from vtsfs.contract.settings import Settings


@dataclass(frozen=True, slots=True)
class Done:
    """What to tell of an act; *changed* is False where all was as it was wanted already."""

    lines: list[str]
    changed: bool


def do_there(settings: Settings, act: AtTarget, text: str) -> Done:
    """Carry *act* out and return what to tell; *text* is left in the file that it makes.

    Raises the `VtsError` that the target's failure is.
    """

    async def work() -> Done:
        layouts = fencing.layouts_of(settings, act.target)
        async with own_line(settings, act.target) as line:
            match act.action:
                case "fence":
                    made = await fencing.put_up(line.target, layouts, text)
                    lines = [f"{path}: nothing is published in this vault now" for path in made]
                    return Done(lines, changed=True)
                case "unfence":
                    removed = await fencing.take_down(line.target, layouts)
                    lines = [f"{path}: removed" for path in removed]
                    nothing = (
                        f"{act.target} is not fenced by a file of ours: nothing was to be done"
                    )
                    return Done(lines or [nothing], changed=bool(removed))
                case _:
                    mark = AgentMark.of(settings)
                    others = await fencing.take_over(line.target, layouts, mark)
                    nothing = (
                        f"{act.target}: no other agent's mark is there: nothing was to be done"
                    )
                    return Done(others or [nothing], changed=bool(others))

    return run_with_asyncio(work)
