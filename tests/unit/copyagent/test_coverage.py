"""The mount points are looked at, one beside the other, and nothing hangs with them."""

from pathlib import Path

import trio

from copyagent.core.cover import verdict_of
from copyagent.core.events import VaultSeen
from copyagent.core.uncovered import Answer, Mounted
from copyagent.coverage import Coverage, VaultWatch
from tests.support.example_settings import example_settings
from vtsfs.contract.settings import Settings


def test_a_bare_directory_is_seen_as_one(tmp_path: Path) -> None:
    assert VaultWatch("VAULT00", tmp_path).look() == VaultSeen("VAULT00")


def test_a_mount_of_somebody_else_is_named() -> None:
    seen = VaultWatch("VAULT00", Path("/proc")).look()
    assert [layer.ours for layer in seen.layers] == [False]
    assert seen.layers[0].name.startswith("proc ")
    assert "another file system is mounted at its mount point (proc" in verdict_of(seen)


def test_a_vault_that_is_not_ours_is_not_asked() -> None:
    layers = (Mounted("fuse.vtsfs vtsfs#VAULT00", "0:40", True), Mounted("ext4 x", "8:1", False))
    assert "mounted over it" in verdict_of(VaultSeen("VAULT00", layers, Answer.LIVE))


async def test_every_watched_vault_is_looked_at_and_the_settings_are_followed(
    tmp_path: Path,
) -> None:
    settings = example_settings(tmp_path)
    in_force = [settings]
    arrived, take = trio.open_memory_channel[VaultSeen](10)
    coverage = Coverage(lambda: in_force[0], arrived.send, every_s=0.01)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(coverage.run)
            assert (await take.receive()).vault == "VAULT00"
            assert (await take.receive()).layers == ()
            unwatched = settings.model_copy(update={"autocopy": ()})
            assert isinstance(unwatched, Settings)
            in_force[0] = unwatched
            while coverage._watches:
                with trio.move_on_after(0.01):
                    await take.receive()
            nursery.cancel_scope.cancel()


async def test_a_look_that_takes_too_long_says_so(tmp_path: Path, autojump_clock: object) -> None:
    seen: list[VaultSeen] = []

    async def post(event: VaultSeen) -> None:
        seen.append(event)
        scope.cancel()

    class Slow(VaultWatch):
        def look(self) -> VaultSeen:
            trio.from_thread.run(trio.sleep_forever)
            raise AssertionError

    coverage = Coverage(lambda: example_settings(tmp_path), post)
    mountpoint = tmp_path / "VAULT00"
    coverage._watches["VAULT00"] = Slow("VAULT00", mountpoint)
    with trio.CancelScope() as scope:
        await coverage.run()
    assert seen == [VaultSeen("VAULT00", trouble="no answer within 8 s")]
