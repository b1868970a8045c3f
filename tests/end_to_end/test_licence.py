"""A build that requires a licence, with a real agent: nothing is copied without one, nothing is lost."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from copyagent.control.client import ask
from copyagent.control.licences import InstallLicence, ShowLicence
from copyagent.core.licence import Terms
from tests.support.licences import TERMS, Issuer, licensed_tree
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.world import World, content, open_world
from vtsfs.contract.errors import RequestFailed

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

UNLICENSED, LICENSED_AGAIN, ACTION = 624160, 224163, 224170
RATE = 256 << 10


@dataclass
class Licensed:
    """A world whose programs are of a build that requires a licence, and who may issue one."""

    world: World
    issuer: Issuer
    terms: Terms

    @property
    def site(self) -> Site:
        return self.world.site

    def file(self, name: str, text: str) -> str:
        path = self.world.root / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def good(self) -> str:
        return self.file("good", self.issuer.issue(self.terms))

    @property
    def standing(self) -> str:
        return str(self.document()["standing"])

    def document(self) -> dict[str, Any]:
        """Return what the agent says of its licence, without a process for each look."""
        found: dict[str, Any] = ask(self.site.root / "run" / "copyagent.sock", ShowLicence())
        return found

    def shown(self, status: int) -> dict[str, Any]:
        """Return what the command shows, with an agent or without one."""
        ended = self.site.run("copyagent", "licence", "show", "--json")
        assert ended.returncode == status, ended.stderr
        document: dict[str, Any] = json.loads(ended.stdout)
        return document

    def refused(self, text: str) -> str:
        with pytest.raises(RequestFailed) as caught:
            ask(self.site.root / "run" / "copyagent.sock", InstallLicence(text, "a trial"))
        return str(caught.value)

    def acts(self) -> list[str]:
        return [line for line in self.site.events(ACTION) if ": licence " in line]


def today() -> date:
    return datetime.now(UTC).date()  # noqa: TID251  # the agent in the world reads the real clock


@pytest.fixture(scope="module")
def licensed() -> Iterator[Licensed]:
    issuer = Issuer()
    terms = replace(TERMS, issued=today(), expires=today() + timedelta(365))
    with scratch_directory() as root:
        tree = licensed_tree(root / "tree", issuer)

        def adjust(site: Site) -> None:
            site.tree = tree
            site.settings["targets"]["drsite"] |= {"bandwidth": f"{RATE} B/s", "verify": "size"}

        with open_world(adjust=adjust) as world:
            yield Licensed(world, issuer, terms)


def test_without_a_licence_mounts_are_judged_and_nothing_is_copied(licensed: Licensed) -> None:
    world = licensed.world
    written = content(10_000)
    world.tape("X00001").write_bytes(written)
    document = world.wait_for("X00001", "waiting (unlicensed)")
    assert document["verdict"]["verdict"]
    assert not document["protected"]
    assert "no licence is installed" in world.why("X00001")
    assert document["copies"][0]["next"].endswith("copyagent licence install FILE")
    assert not world.copy("X00001").exists()
    assert len(world.events(UNLICENSED)) == 1
    assert licensed.standing == "missing"
    ended = licensed.site.run("copyagent", "licence", "show")
    assert ended.returncode == 50
    assert "NONE are made" in ended.stdout


def test_what_is_no_licence_of_this_system_is_refused_with_the_reason(licensed: Licensed) -> None:
    good, elsewhere = licensed.issuer.issue(licensed.terms), replace(licensed.terms, system="OTHER")
    middle = len(good) // 2
    tampered = good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
    ended = licensed.site.run("copyagent", "licence", "install", licensed.file("bad", tampered))
    assert (ended.returncode, ended.stdout) == (42, "")
    assert "signature is not its issuer's" in ended.stderr
    assert "signature is not its issuer's" in licensed.refused(Issuer().issue(licensed.terms))
    other = licensed.issuer.issue(elsewhere)
    assert "is for system OTHER, and this is TAPESRV1" in licensed.refused(other)
    assert licensed.acts() == []
    assert not licensed.world.copy("X00001").exists()


def test_an_installed_licence_lets_all_be_copied_that_waited(licensed: Licensed) -> None:
    world, site = licensed.world, licensed.site
    told = site.must("copyagent", "licence", "install", licensed.good(), "--because", "order 7")
    assert "serial 2026-0017 for TAPESRV1" in told
    assert "1 copy that waited for it are made now" in told
    world.wait_for("X00001", "copied")
    assert world.copy("X00001").read_bytes() == world.backing("X00001").read_bytes()
    assert len(world.events(LICENSED_AGAIN)) == 1
    (act,) = licensed.acts()
    assert "order 7" in act
    assert (licensed.standing, licensed.document()["days_left"]) == ("valid", 365)
    assert (site.root / "state" / "licence.json").stat().st_mode & 0o777 == 0o600


def test_removing_it_stops_the_copy_that_runs(licensed: Licensed) -> None:
    world = licensed.world
    world.tape("BIG001").write_bytes(content(8 * RATE))
    world.wait_for("BIG001", "copying")
    told = licensed.site.must("copyagent", "licence", "remove", "--yes", "--because", "a trial")
    assert "nothing is copied from now on" in told
    world.wait_for("BIG001", "waiting (unlicensed)")
    assert not world.copy("BIG001").exists()
    assert len(world.events(UNLICENSED)) == 2


def test_while_no_agent_runs_its_file_is_changed_and_goes_on_record_later(
    licensed: Licensed,
) -> None:
    world, site = licensed.world, licensed.site
    site.stop()
    assert licensed.shown(50)["standing"] == "missing"
    told = site.must("copyagent", "licence", "install", licensed.good(), "--because", "at night")
    assert "goes on record, at its start" in told
    del site.settings["targets"]["drsite"]["bandwidth"]
    world.start_agent()
    world.wait_for("BIG001", "copied")
    assert [": licence install" in act for act in licensed.acts()] == [True, False, True]
    assert "at night" in licensed.acts()[-1]


def test_a_file_that_was_tampered_with_is_no_licence(licensed: Licensed) -> None:
    world, site = licensed.world, licensed.site
    site.stop()
    path = site.root / "state" / "licence.json"
    document = json.loads(path.read_text())
    longer = replace(licensed.terms, expires=licensed.terms.expires + timedelta(365))
    forged = Issuer().issue(longer)
    path.write_text(json.dumps(document | {"licence": forged}))
    world.start_agent()
    assert licensed.standing == "invalid"
    assert "signature is not its issuer's" in licensed.document()["why"]
    assert len(world.events(UNLICENSED)) == 3
