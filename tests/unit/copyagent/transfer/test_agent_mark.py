"""The ID of an agent, and the file that bears it."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.transfer.agent_mark import MAX_BYTES, AgentMark, agent_id, machine_id
from tests.support.histories import make_settings

STATE = Path("/var/lib/vts-autocopy/agent")
MARK = AgentMark(agent_id("m1", "TAPESRV1", STATE), "TAPESRV1", "host")


def test_the_id_is_the_same_whatever_became_of_the_state() -> None:
    assert agent_id("m1", "TAPESRV1", STATE) == MARK.agent
    assert AgentMark.of(make_settings()) == AgentMark.of(make_settings())


@pytest.mark.parametrize(
    "other",
    [
        agent_id("m2", "TAPESRV1", STATE),
        agent_id("m1", "TAPESRV2", STATE),
        agent_id("m1", "TAPESRV1", STATE / "other"),
        agent_id("m1TAPESRV1", "", STATE),
    ],
)
def test_another_machine_system_or_state_is_another_agent(other: str) -> None:
    assert other != MARK.agent


def test_the_machine_s_own_id_is_not_shown() -> None:
    """machine-id(5): it should be considered confidential."""
    assert machine_id() == "" or machine_id() not in AgentMark.of(make_settings()).encode().decode()


def test_a_mark_reads_back() -> None:
    assert AgentMark.decode(MARK.encode()) == MARK
    assert len(MARK.encode()) < MAX_BYTES


@given(st.integers(0, len(MARK.encode()) - 2), st.integers(1, 255))
def test_a_damaged_mark_names_nobody_else(at: int, flip: int) -> None:
    data = bytearray(MARK.encode())
    data[at] ^= flip
    assert AgentMark.decode(bytes(data)) in {None, MARK}


@given(st.binary(max_size=100))
def test_what_is_no_mark_is_none(data: bytes) -> None:
    assert AgentMark.decode(data) is None


@pytest.mark.parametrize("value", [None, 7, [], {}, "2"])
def test_strange_values_are_no_mark(value: object) -> None:
    for key in ("version", "agent", "check"):
        changed = json.dumps(json.loads(MARK.encode()) | {key: value}).encode()
        assert AgentMark.decode(changed) is None
