"""Random histories of host, tape engine, link and overlay, judged by what really happened.

`tests.support.true_world` knows whose bytes are whose and what the agent was told; the rules here
only choose what happens next. Unlike `test_any_history`, nothing is forged: what a host says is
true, though it may come late, twice or never.
"""

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from copyagent.core import operator, pausing, stopping
from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.events import WakeupDue
from copyagent.core.host_events import Ring
from copyagent.core.pausing import PauseWanted
from copyagent.core.stopping import StopWanted
from copyagent.core.tape import Copying
from copyagent.core.windows import is_open, turns_in_s
from tests.support.histories import TARGET, make_settings
from tests.support.playbook import Playbook
from tests.support.true_world import ENDINGS, TrueWorld
from tests.support.truth import TrueTape
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.contract.setting_values import DailyWindow

#: Both hosts have a tape X00001 in mind, each another one; they are told apart by their vaults.
HOSTS = {"VAULT00": "DEV2", "VAULT01": "DEV1"}

#: VTS_TEST_HISTORIES=5000 plays so many, other ones each time; without it the same few.
MANY = int(os.environ.get("VTS_TEST_HISTORIES", "0"))
TAPES = tuple(
    TapeId.parse(f"/{name}")
    for name in ("VAULT00/BILL/X00001", "VAULT00/BILL/X00002", "VAULT01/BILL/X00001")
)

#: From 06:00 to 20:00 by the clock; a history begins shortly after 11:00.
WINDOW = DailyWindow(6 * 60, 20 * 60)

tapes = st.sampled_from(TAPES)
hosts = st.sampled_from(sorted(HOSTS.values()))
rings = st.sampled_from([Ring.WITH_RING, Ring.WITH_RING, Ring.NO_RING])


def _engine() -> Engine:
    """Tapes of one vault rest for a minute; the target has a window that is open at the beginning."""
    pools = [f"/{vault}/BILL" for vault in HOSTS]
    entry = {"user": "VTS.EMS", "password_file": "/etc/dev"}
    made = make_settings(
        vaults={v: {"backing": f"/backing/{v}", "mountpoint": f"/{v}"} for v in HOSTS},
        autocopy=[
            {
                "pool": pool,
                "target": TARGET,
                "target_pool": pool,
                "behind_after": "0s",
                "hold_down": "60s" if pool.startswith("/VAULT01") else "0s",
            }
            for pool in pools
        ],
        ems={"hosts": {h: entry | {"address": h, "vaults": [v]} for v, h in HOSTS.items()}},
        retry={"attempts": 3, "interval": "300s"},
    )
    target = made.targets[TARGET].model_copy(update={"window": WINDOW})
    return Engine(Book(made.model_copy(update={"targets": {TARGET: target}})))


class Histories(RuleBasedStateMachine):
    """See the module. Each rule is one thing that somebody does."""

    def __init__(self) -> None:
        super().__init__()
        self.world = TrueWorld(Playbook(_engine()), HOSTS)
        self.world.tapes = {tape: TrueTape() for tape in TAPES}

    # ---- the host and the tape engine ------------------------------------------------------------

    @rule(tape=tapes, ring=rings, scratch=st.booleans(), opened=st.booleans(), wrote=st.booleans())
    def go_on(self, tape: TapeId, ring: Ring, *, scratch: bool, opened: bool, wrote: bool) -> None:
        """The next step of an ordinary mount: asked for, on the drive, open, closed, dismounted."""
        world, mount = self.world, self.world.tapes[tape].mount
        if world.is_open(tape):
            world.close(tape, wrote=wrote)
        elif mount is None:
            world.ask(tape, ring, scratch=scratch and ring is Ring.WITH_RING)
        elif not mount.fulfilled:
            world.fulfil(tape, opened=opened)
        elif wrote:
            self.open(tape, ring_is_ignored=scratch)
        else:
            world.dismount(tape)

    @rule(tape=tapes, ring=rings, sessions=st.integers(0, 2), wrote=st.booleans())
    def whole_mount(self, tape: TapeId, ring: Ring, sessions: int, *, wrote: bool) -> None:
        """A mount from beginning to end, before any of it is heard."""
        world = self.world
        if world.tapes[tape].mount is not None or world.is_open(tape):
            return
        world.ask(tape, ring, scratch=False)
        world.fulfil(tape, opened=True)
        for _ in range(sessions):
            self.open(tape, ring_is_ignored=wrote)
            if world.is_open(tape):
                world.close(tape, wrote=wrote)
        world.dismount(tape)

    @rule(tape=tapes)
    def reject(self, tape: TapeId) -> None:
        mount = self.world.tapes[tape].mount
        if mount is not None and not mount.fulfilled:
            self.world.cancel(tape)

    @rule(host=hosts)
    def take_over(self, host: str) -> None:
        self.world.take_over(host)

    @rule(tape=tapes, ring_is_ignored=st.booleans())
    def open(self, tape: TapeId, *, ring_is_ignored: bool) -> None:
        """The engine opens the tape: for the host, or by somebody's hand without one."""
        mount = self.world.tapes[tape].mount
        if self.world.is_open(tape) or (mount is not None and not mount.fulfilled):
            return
        if mount is not None and mount.ring is Ring.NO_RING and not ring_is_ignored:
            self.world.read(tape)
            return
        self.world.open(tape)

    @rule(tape=tapes)
    def substitute(self, tape: TapeId) -> None:
        """Another tape of the same host is taken instead."""
        other = next(t for t in TAPES if t.vault == TAPES[0].vault and t != tape)
        if tape.vault != other.vault:
            return
        mount, truth = self.world.tapes[tape].mount, self.world.tapes[other]
        if mount and not mount.fulfilled and not truth.mount and not self.world.is_open(other):
            self.world.substitute(tape, other)

    @rule(tape=tapes)
    def scan(self, tape: TapeId) -> None:
        self.world.read(tape)

    @rule(tape=tapes)
    def cut_off(self, tape: TapeId) -> None:
        if self.world.is_open(tape):
            self.world.cut_off(tape)

    @rule(tape=tapes)
    def change(self, tape: TapeId) -> None:
        if not self.world.is_open(tape):
            self.world.change(tape)

    # ---- what arrives ----------------------------------------------------------------------------

    @rule(count=st.integers(1, 5))
    def hear_feed(self, count: int) -> None:
        self.world.hear_feed(count)

    @rule(host=hosts, count=st.integers(1, 5), twice=st.booleans())
    def hear_host(self, host: str, count: int, *, twice: bool) -> None:
        self.world.hear_host(host, count, twice=twice)

    @rule()
    def hear_all(self) -> None:
        self.world.hear_feed(99)
        for host in HOSTS.values():
            self.world.hear_host(host, 99)

    @rule(host=hosts)
    def lose_words(self, host: str) -> None:
        self.world.lose_words(host)

    @rule(host=hosts, gap=st.booleans())
    def link(self, host: str, *, gap: bool) -> None:
        if self.world.links[host].up:
            self.world.lose_link(host)
        else:
            self.world.regain_link(host, gap=gap)

    @rule(seconds=st.sampled_from([0.5, 2.5, 31.0, 400.0, 90_000.0]))
    def wait(self, seconds: float) -> None:
        self.world.wait(seconds)

    # ---- the agent -------------------------------------------------------------------------------

    @rule(last=st.booleans(), fails=st.sampled_from(["", "", "", *ENDINGS]))
    def end_copy(self, fails: str, *, last: bool) -> None:
        if self.world.jobs:
            self.world.end_copy(sorted(self.world.jobs)[-1 if last else 0], fails=fails)

    @rule(away=st.sampled_from([0.0, 600.0]))
    def restart(self, away: float) -> None:
        self.world.restart_agent(away)

    @rule(tape=tapes, kept_back=st.booleans())
    def stop(self, tape: TapeId, *, kept_back: bool) -> None:
        """An operator cancels the copy, or keeps the tape's copies back."""
        book, now = self.world.play.engine.book, self.world.play.now
        wanted = StopWanted(tape, "because")
        try:
            (stopping.hold if kept_back else stopping.cancel)(book, wanted, "root", now)
        except (NameUnknown, RequestFailed):
            return
        self.world.hand(WakeupDue())
        assert not any(
            self.world.play.engine.may_publish(t, target, generation)
            for (t, target), generation in book.running.items()
            if t == tape
        )

    @rule(tape=tapes)
    def release(self, tape: TapeId) -> None:
        book, now = self.world.play.engine.book, self.world.play.now
        if self.world.let_go(tape):
            return
        try:
            operator.release(book, tape, "because", "root", now)
        except (NameUnknown, RequestFailed):
            return
        self.world.tapes[tape].allowed = True
        self.world.hand(WakeupDue())

    @rule(tape=tapes)
    def relocate(self, tape: TapeId) -> None:
        self.world.relocate(tape)

    @rule(
        about=st.sampled_from([TARGET, *(f"/{vault}/BILL" for vault in HOSTS)]),
        length=st.sampled_from([0.0, 500.0]),
        finish=st.booleans(),
    )
    def pause(self, about: str, length: float, *, finish: bool) -> None:
        wanted = PauseWanted(about, "because", for_s=length, finish=finish)
        pausing.pause(self.world.play.engine.book, wanted, "root", self.world.play.now)
        self.world.hand(WakeupDue())

    @rule()
    def resume(self) -> None:
        book, now = self.world.play.engine.book, self.world.play.now
        for about in list(book.pauses):
            pausing.resume(book, about, "root", now)
        self.world.hand(WakeupDue())

    @invariant()
    def nothing_is_copied_outside_the_window_or_while_it_is_paused(self) -> None:
        book, now = self.world.play.engine.book, self.world.play.now
        opened = is_open(WINDOW, now)
        for tape, target in book.running:
            state = book.records[tape].copies[target].state if tape in book.records else None
            if isinstance(state, Copying):
                assert opened
                paused = [book.pauses.get(about) for about in (str(tape.pool_id), target)]
                assert all(p.finish for p in paused if p is not None and not p.over(now))

    def teardown(self) -> None:
        self.resume()
        for tape in TAPES:
            self.world.let_go(tape)
            self.world.retry_cancelled(tape)
        self.world.wait(turns_in_s(WINDOW, self.world.play.now) + 0.01)
        if not is_open(WINDOW, self.world.play.now):
            self.world.wait(turns_in_s(WINDOW, self.world.play.now) + 0.01)
        self.world.calm_down()
        self.world.check_calm()


Histories.TestCase.settings = settings(
    max_examples=MANY or 150,
    stateful_step_count=40,
    deadline=None,
    derandomize=not MANY,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestHistories = Histories.TestCase
