"""Mounts as rows: whatever hosts say, what is written is what is known, and no more than is new."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    MountRequested,
    Ring,
    TapeDismounted,
    VolumeMounted,
)
from copyagent.core.host_mounts import HostMounts
from copyagent.state.mount_rows import MountRows, Row, mounts_of

_VOLUMES = st.sampled_from(["X00001", "X00002", "X00003"])
_NUMBERS = st.integers(1, 4)
_HOSTS = st.sampled_from(["DEV2", "DEV3"])

EVENTS: st.SearchStrategy[HostEvent] = st.one_of(
    st.builds(MountRequested, _HOSTS, _NUMBERS, _VOLUMES | st.none(), st.sampled_from(Ring)),
    st.builds(VolumeMounted, _HOSTS, _NUMBERS, _VOLUMES),
    st.builds(TapeDismounted, _HOSTS, _VOLUMES, st.none()),
    st.builds(LinkLost, _HOSTS, st.just("gone"), st.just(LinkTrouble.SILENT)),
    st.builds(LinkUp, _HOSTS),
    st.builds(CaughtUp, _HOSTS),
    st.builds(EventsMissed, _HOSTS, st.just("a burst")),
)


@dataclass
class Table:
    """The rows as the database has them: what is replaced goes to the end."""

    rows: dict[tuple[str, str], str] = field(default_factory=dict)

    def write(self, news: list[Row]) -> None:
        for kind, key, value in news:
            self.rows.pop((kind, key), None)
            if value is not None:
                self.rows[kind, key] = value

    def read(self) -> HostMounts:
        return mounts_of((kind, key, value) for (kind, key), value in self.rows.items())


@given(batches=st.lists(st.lists(EVENTS, max_size=5), max_size=8), restarts=st.booleans())
def test_what_is_written_is_what_is_known(batches: list[list[HostEvent]], restarts: bool) -> None:
    table, mounts, rows = Table(), HostMounts(), MountRows()
    now = 1
    for batch in batches:
        for event in batch:
            now += 1
            mounts.handle(event, now)
        table.write(rows.news(mounts))
        assert table.read() == mounts
        assert rows.news(mounts) == []
        if restarts:
            mounts = table.read()
            rows = MountRows.of(mounts)


def test_an_event_costs_what_it_changes_however_much_is_remembered() -> None:
    mounts, rows = HostMounts(), MountRows()
    for number in range(2000):
        mounts.handle(MountRequested("DEV2", number, f"X{number:05}", Ring.NO_RING), number + 1)
    assert len(rows.news(mounts)) >= 2000
    mounts.handle(TapeDismounted("DEV2", "X00007", None), 5000)
    changed = rows.news(mounts)
    assert {key for _, key, _ in changed} == {"DEV2:X00007"}


def test_the_oldest_is_still_the_first_to_be_forgotten() -> None:
    table, mounts, rows = Table(), HostMounts(), MountRows()
    for number, volume in enumerate(["X00001", "X00002", "X00001"]):
        mounts.handle(MountRequested("DEV2", number, volume, Ring.NO_RING), number + 1)
        table.write(rows.news(mounts))
    assert list(table.read().mounts) == list(mounts.mounts)
