"""Which tape a host means: several hosts, labels that two tapes have, drives without labels."""

from typing import Any

import pytest

from copyagent.core.book import Book
from copyagent.core.commands import StartCopy
from copyagent.core.engine import Engine
from copyagent.core.host_events import (
    HostEvent,
    MountRequested,
    Ring,
    TapeDismounted,
    VolumeMounted,
)
from copyagent.core.tape import Held
from tests.support.histories import (
    HOST,
    TARGET,
    Overlay,
    make_engine,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings

FIRST, OTHER = "DEV1", "DEV2"
HERE = TapeId.parse("/VAULT00/BILL/X00001")
THERE = TapeId.parse("/VAULT01/BILL/X00001")
SETTLE, GRACE = 2.0, 30.0
DAY = 86400.0


def host(**changes: Any) -> dict[str, Any]:
    return {"address": "dev", "user": "U.U", "password_file": "/etc/dev", "lost_after": "0s"} | (
        changes
    )


def two_vaults(hosts: dict[str, dict[str, Any]], **cross_check: str) -> Playbook:
    """Two vaults, in each a watched pool BILL."""
    names = ("VAULT00", "VAULT01")
    target = {"host": "dr", "user": "vts", "key": "/k", "known_hosts": "/h",
              "vaults": {name: f"/{name}" for name in names}}  # fmt: skip
    pools = [{"pool": f"/{name}/BILL", "target": TARGET, "target_pool": f"/{name}/BILL"}
             for name in names]  # fmt: skip
    data = {
        "system": {"name": "TAPESRV1"},
        "vaults": {name: {"backing": f"/b/{name}", "mountpoint": f"/{name}"} for name in names},
        "targets": {TARGET: target},
        "autocopy": pools,
        "ems": {"hosts": hosts},
        "cross_check": cross_check,
    }
    return Playbook(Engine(Book(Settings.model_validate(data))))


@pytest.fixture
def here() -> Overlay:
    return Overlay("VAULT00", outbox_id="outbox-here")


@pytest.fixture
def there() -> Overlay:
    return Overlay("VAULT01", outbox_id="outbox-there")


def asked(by: str, ring: Ring = Ring.WITH_RING, request: int = 1) -> list[HostEvent]:
    return [MountRequested(by, request, "X00001", ring), VolumeMounted(by, request, "X00001")]


# ---- several hosts -------------------------------------------------------------------------------


def test_two_hosts_with_vaults_of_their_own_use_one_label_for_two_tapes(
    here: Overlay, there: Overlay
) -> None:
    hosts = {FIRST: host(vaults=["VAULT00"]), OTHER: host(vaults=["VAULT01"])}
    with two_vaults(hosts) as play:
        for event in (*asked(FIRST), *asked(OTHER, Ring.NO_RING)):
            play >> event
        play >> here.mounted(HERE) >> there.mounted(THERE)
        play >> there.dismounted(THERE, wrote=0) >> TapeDismounted(OTHER, "X00001", "$T")
        play.wait(10.0)
        assert play.verdict(THERE) == "agreed, read only"
        play >> here.dismounted(HERE)
        play.wait(600.0)
        assert play.verdict(HERE) == ""
        play >> TapeDismounted(FIRST, "X00001", "$T") << StartCopy
        assert play.verdict(HERE) == "agreed"
        assert play.job.tape == HERE
    assert play.times_said(messages.LABEL_TWICE) == 0


@pytest.mark.parametrize("first", [FIRST, OTHER])
def test_of_two_hosts_that_name_one_tape_the_careful_word_counts(here: Overlay, first: str) -> None:
    second = OTHER if first == FIRST else FIRST
    with two_vaults({FIRST: host(), OTHER: host()}) as play:
        play >> here.mounted(HERE)
        for event in (*asked(first), TapeDismounted(first, "X00001", "$T")):
            play >> event
        play >> MountRequested(second, 9, "X00001", Ring.NO_RING) >> here.dismounted(HERE)
        play.wait(DAY)
        assert play.verdict(HERE) == "conflict"
        assert isinstance(play.state(HERE), Held)


def test_a_host_that_uses_a_tape_counts_before_one_that_is_done_with_one_of_its_name(
    here: Overlay,
) -> None:
    with two_vaults({FIRST: host(), OTHER: host()}) as play:
        for event in (*asked(FIRST), *asked(OTHER)):
            play >> event
        play >> here.mounted(HERE) >> here.dismounted(HERE) >> TapeDismounted(OTHER, "X00001", "$T")
        play.wait(3600.0)
        assert play.verdict(HERE) == ""
        play >> TapeDismounted(FIRST, "X00001", "$T") << StartCopy
        assert play.verdict(HERE) == "agreed"


def test_a_mere_wish_of_another_host_does_not_keep_a_tape_from_being_copied(here: Overlay) -> None:
    with two_vaults({FIRST: host(), OTHER: host()}) as play:
        play >> MountRequested(OTHER, 1, "X00001", Ring.WITH_RING)
        for event in asked(FIRST):
            play >> event
        play >> here.mounted(HERE) >> here.dismounted(HERE) >> TapeDismounted(FIRST, "X00001", "$T")
        play.wait(SETTLE) << StartCopy


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


def test_vaults_of_a_host_settle_which_tape_it_means(here: Overlay, there: Overlay) -> None:
    with two_vaults({FIRST: host(vaults=["VAULT00"])}) as play:
        play >> there.changed(THERE)
        play.wait(SETTLE) << StartCopy
        for event in asked(FIRST):
            play >> event
        play >> here.mounted(HERE) >> here.dismounted(HERE) >> TapeDismounted(FIRST, "X00001", "$T")
        play.wait(SETTLE) << StartCopy
        assert play.verdict(HERE) == "agreed"


@pytest.mark.parametrize("volume", ["/", "//", "/VAULT00/BILL/X00001", "/VAULT00/../X", "a/b"])
def test_whatever_a_host_prints_for_a_volume_is_taken(play: Playbook, volume: str) -> None:
    with play:
        play >> requested(volume) >> volume_mounted(volume) >> tape_dismounted(volume)
    assert play.engine.book.mounts.mounts == {}


def test_mounts_of_other_machines_tapes_are_not_kept_for_long(play: Playbook) -> None:
    with play:
        play >> requested("OPEN")
        for request in range(2, 2000):
            name = f"V{request}"
            play >> requested(name, request=request) >> volume_mounted(name, request=request)
            play >> tape_dismounted(name)
    mounts = play.engine.book.mounts
    assert mounts.of(HOST, "OPEN") is not None
    assert mounts.of(HOST, "V1999") is not None
    assert len(mounts.mounts) < 500
