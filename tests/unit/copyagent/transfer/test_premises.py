"""A tape's surroundings by the settings; what was found in order is believed for a short while."""

from pathlib import Path

from trio.testing import MockClock

from copyagent.core.copying import CopyJob
from copyagent.transfer.premises import LIFE_S, Premises, Surroundings
from tests.support.histories import TAPE, TARGET, make_settings
from vtsfs.contract.naming import PoolId


def test_surroundings_by_the_settings(tmp_path: Path) -> None:
    backing = tmp_path / "backing" / "VAULT00"
    (backing / "PAY").mkdir(parents=True)
    settings = make_settings(
        vaults={"VAULT00": {"backing": str(backing), "mountpoint": "/VAULT00"}}
    )
    around = Surroundings.of(settings, CopyJob(TAPE, TARGET, TAPE, 1, None))
    assert around.mark.system == settings.system.name
    assert set(around.vaults) == set(settings.targets[TARGET].vaults)
    assert {backing, backing / "BILL", backing / "PAY", tmp_path, Path("/")} <= set(around.storages)
    # Pool PAY gets its tapes from PAY here: what is in both is twice here as well.
    assert not around.is_here_too(PoolId("VAULT00", "PAY"), TAPE.label)
    (backing / "PAY" / TAPE.label).touch()
    assert around.is_here_too(PoolId("VAULT00", "PAY"), TAPE.label)
    assert not around.is_here_too(TAPE.pool_id, TAPE.label)
    assert not around.is_here_too(PoolId("VAULT00", "PAY"), "x" * 300)


async def test_what_was_found_is_believed_for_a_while(autojump_clock: MockClock) -> None:
    premises = Premises()
    assert not premises.are_sound("/s", "/p")
    assert premises.pools_of("/v") is None
    premises.found_sound("/s", "/p")
    premises.found_pools("/v", ("BILL",))
    autojump_clock.jump(LIFE_S - 1)
    assert premises.are_sound("/s", "/p")
    assert not premises.are_sound("/s", "/other")
    assert premises.pools_of("/v") == ("BILL",)
    autojump_clock.jump(2)
    assert not premises.are_sound("/s", "/p")
    assert premises.pools_of("/v") is None


async def test_a_failure_ends_all_belief() -> None:
    premises = Premises()
    premises.found_sound("/s", "/p")
    premises.found_pools("/v", ())
    assert premises.pools_of("/v") == ()
    premises.forget()
    assert not premises.are_sound("/s", "/p")
    assert premises.pools_of("/v") is None
