"""What random histories have found: each of them once went wrong, and is short enough to be read."""

import pytest

from copyagent.core.events import FeedLost
from copyagent.core.host_events import Ring, VolumeSubstituted
from copyagent.core.tape import Held
from tests.support.histories import (
    TARGET,
    make_engine,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from tests.support.true_world import TrueWorld
from tests.support.truth import TrueTape
from vtsfs.contract.naming import TapeId

TAPE = TapeId.parse("/VAULT00/BILL/X00001")
HOST = "DEV2"


@pytest.fixture
def world() -> TrueWorld:
    pool = {"pool": "/VAULT00/BILL", "target": TARGET, "target_pool": "/VAULT00/BILL"}
    engine = make_engine(autocopy=[pool])
    made = TrueWorld(Playbook(engine), {"VAULT00": HOST})
    made.tapes = {TAPE: TrueTape()}
    return made


def whole_mount(world: TrueWorld, ring: Ring, *, wrote: bool | None) -> None:
    """A mount from beginning to end; *wrote* is None if the tape was not even opened."""
    world.ask(TAPE, ring, scratch=False)
    world.fulfil(TAPE, opened=True)
    if wrote is not None:
        world.open(TAPE)
        world.close(TAPE, wrote=wrote)
    world.dismount(TAPE)


def test_a_session_older_than_any_word_of_the_host_may_be_of_a_later_request(
    world: TrueWorld,
) -> None:
    """The host's words are late: the session can be of the first mount heard, or of the second.

    So a NO RING that is heard before the publication still stops it.
    """
    whole_mount(world, Ring.WITH_RING, wrote=None)
    whole_mount(world, Ring.NO_RING, wrote=True)
    world.hear_feed(9)
    world.hear_host(HOST, 9)
    world.calm_down()
    assert isinstance(world.state_of(TAPE), Held)


def test_the_next_mount_does_not_make_no_ring_forgotten(world: TrueWorld) -> None:
    """Written without ring, and mounted with ring again before the tape has settled."""
    whole_mount(world, Ring.NO_RING, wrote=True)
    world.hear_feed(9)
    world.hear_host(HOST, 9)
    whole_mount(world, Ring.WITH_RING, wrote=False)
    world.calm_down()
    assert isinstance(world.state_of(TAPE), Held)


def test_a_take_over_forgets_what_was_asked_for(world: TrueWorld) -> None:
    """A request that was lost says nothing of who mounts the tape later."""
    world.ask(TAPE, Ring.NO_RING, scratch=False)
    world.take_over(HOST)
    world.hear_host(HOST, 9)
    world.wait(60.0)
    world.open(TAPE)
    world.close(TAPE, wrote=True)
    world.calm_down()
    world.check_calm()


def test_a_mount_heard_too_late_does_not_take_the_blame_from_one_without_ring(
    world: TrueWorld,
) -> None:
    """Three mounts and two sessions, and no word of any mount before its session was over."""
    whole_mount(world, Ring.WITH_RING, wrote=None)
    whole_mount(world, Ring.NO_RING, wrote=True)
    world.hear_host(HOST, 4)
    whole_mount(world, Ring.WITH_RING, wrote=False)
    world.calm_down()
    assert isinstance(world.state_of(TAPE), Held)


def test_no_mount_of_several_takes_the_blame_from_one_without_ring(world: TrueWorld) -> None:
    """All is heard when it is over, the host first: any of the mounts can be the session's."""
    for _ in range(4):
        whole_mount(world, Ring.WITH_RING, wrote=None)
    whole_mount(world, Ring.NO_RING, wrote=True)
    world.ask(TAPE, Ring.WITH_RING, scratch=False)
    world.hear_host(HOST, 99)
    world.hear_feed(9)
    world.calm_down()
    assert isinstance(world.state_of(TAPE), Held)


def test_what_a_host_said_is_remembered_for_as_long_as_an_overlay_is_away(world: TrueWorld) -> None:
    """Its words, which come days later, are of a mount that the host had told of in time."""
    whole_mount(world, Ring.NO_RING, wrote=True)
    told, world.feed = list(world.feed), type(world.feed)()
    world.hand(FeedLost("VAULT00", "ended"))
    world.hear_host(HOST, 99)
    for _ in range(5):
        world.wait(90_000.0)
    world.hand(world.overlays["VAULT00"].hello())
    world.feed.extend(told)
    world.calm_down()
    assert isinstance(world.state_of(TAPE), Held)


def test_a_mount_that_is_over_is_not_substituted() -> None:
    """The word 1518 is about a later request; the volume that is used got no ring from the mount."""
    play = Playbook(make_engine())
    for word in (requested(), volume_mounted(), tape_dismounted()):
        play.hand(word)
    play.hand(VolumeSubstituted(HOST, TAPE.label, "X00002"))
    assert play.engine.book.mounts.of(HOST, "X00002") is None
