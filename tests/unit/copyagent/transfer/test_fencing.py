"""What operators do at a target as a whole, and what copies make of it."""

from dataclasses import replace

import pytest

from copyagent.core.copying import CopyDone, CopyWaits, WaitReason
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.fencing import layouts_of, put_up, take_down, take_over
from copyagent.transfer.premises import Surroundings
from tests.support.copy_rig import CopyRig
from tests.support.histories import TARGET, make_settings

pytestmark = pytest.mark.ssh

MINE = AgentMark("a" * 32, "TAPESRV1", "here")
OTHER = AgentMark("b" * 32, "TAPESRV1", "there")


def test_every_vault_of_a_target_has_its_own_staging() -> None:
    settings = make_settings()
    laid_out = layouts_of(settings, TARGET)
    assert {layout.vault for layout in laid_out} == {
        str(path) for path in settings.targets[TARGET].vaults.values()
    }


async def test_a_fence_stops_copies_until_it_is_taken_down(rig: CopyRig) -> None:
    rig.write(b"tape")
    layouts = [rig.layout()]
    fences = [rig.at(path) for path in rig.layout().fences]
    async with rig.connect() as target:
        assert await put_up(target, layouts, "root: tests\n") == [str(fences[0])]
        assert fences[0].read_text() == "root: tests\n"
        # A second time is fine, and does not rewrite what the first one said.
        await put_up(target, layouts, "again")
        assert fences[0].read_text() == "root: tests\n"
        waits = await rig.copy()
        assert isinstance(waits, CopyWaits)
        assert waits.reason is WaitReason.FENCED
        fences[1].touch()
        assert len(await take_down(target, layouts)) == 2
        assert await take_down(target, layouts) == []
    assert isinstance(await rig.copy(), CopyDone)


async def test_a_new_machine_takes_over_on_the_operator_s_word(rig: CopyRig) -> None:
    rig.surroundings = Surroundings(mark=OTHER, vaults={"VAULT00": str(rig.vault)})
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    rig.surroundings = replace(rig.surroundings, mark=MINE)
    rig.premises.forget()
    assert isinstance(await rig.copy(), CopyWaits)
    async with rig.connect() as target:
        [told] = await take_over(target, [rig.layout()], MINE)
        assert "was of TAPESRV1 on there" in told
        assert await take_over(target, [rig.layout()], MINE) == []
    assert isinstance(await rig.copy(), CopyDone)
    # The former agent, should it come back, waits.
    rig.surroundings = replace(rig.surroundings, mark=OTHER)
    rig.premises.forget()
    assert isinstance(await rig.copy(), CopyWaits)
