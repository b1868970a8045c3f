"""The files of a release may be gone while its processes run: all they need is in them."""

import shutil
import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.installed_tree import install_tree, interpreter
from tests.support.nonstop import TREE
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import free_port
from tests.support.world import ATTEMPT_FAILED, World, content, open_world
from vtsfs.contract.releases import other_release

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

RUNNING, INSTALLED = "0.2.0-1", "0.2.1-1"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """A world whose programs have lost their files right after their start, to a later version."""
    with scratch_directory() as root:
        versions = root / "vts-autocopy"
        tree = install_tree(versions, RUNNING)

        def adjust(site: Site) -> None:
            site.python, site.tree = interpreter(tree), root

        with open_world(with_host=True, adjust=adjust) as opened:
            shutil.rmtree(tree)
            (versions / "current").unlink()
            (versions / "current").symlink_to(INSTALLED)
            # Commands are of whatever is installed.
            opened.site.python, opened.site.tree = None, TREE
            yield opened


def test_mounts_are_heard_of_and_copied(world: World) -> None:
    document = world.protect("X00001", content(1_000_000))
    assert document["verdict"]["verdict"] == "agreed"


def test_failures_are_told_and_made_up_for(world: World) -> None:
    world.sshd.stop()
    world.mount("X00002", content())
    world.site.wait(lambda: world.events(ATTEMPT_FAILED), "the failure is told")
    world.sshd.start()
    world.wait_for("X00002", "copied")


def test_settings_are_read_again_and_figures_offered(world: World) -> None:
    port = free_port()
    world.site.settings["metrics"] = {"listen": f"127.0.0.1:{port}"}
    world.site.settings["targets"]["drsite"] |= {"verify": "sha256", "bandwidth": "100 MiB/s"}
    world.site.write_settings()
    world.site.must("copyagent", "reload")

    def figures() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    world.site.wait(lambda: f'version="{RUNNING}"' in figures(), "figures are offered")
    world.protect("X00003", content())


def test_a_host_that_goes_away_is_found_again(world: World) -> None:
    world.host.say("drop")
    world.site.wait(
        lambda: world.site.status()["hosts"][0]["connections"] > 1, "there is a second session"
    )
    world.protect("X00004", content())


def test_what_operators_ask_for_is_done(world: World) -> None:
    world.site.must("copyagent", "verify", world.name("X00001"))


def test_what_runs_and_what_is_installed_is_told(world: World) -> None:
    document = world.site.status()
    assert (document["version"], document["installed"]) == (RUNNING, INSTALLED)
    assert [vault["version"] for vault in document["vaults"]] == [RUNNING]
    said = world.site.must("copyagent", "status")
    assert said.count(other_release(RUNNING, INSTALLED)) == 2
    assert world.site.overlay_status()["version"] == RUNNING
    ended = world.site.run("copyagent", "check-health")
    assert other_release(RUNNING, INSTALLED) in ended.stdout


def test_both_end_as_ever(world: World) -> None:
    world.site.detach()
    world.site.stop()
    assert world.site.imported_late() == []
