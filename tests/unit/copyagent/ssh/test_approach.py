"""The way to a target; `test_doctor` has the faults that operators meet on it."""

import pytest

from copyagent.ssh.approach import Approach
from copyagent.transfer.findings import Findings, Result
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


async def approached(rig: CopyRig, **changes: object) -> tuple[bool, dict[str, Result]]:
    findings = Findings()
    worth = await Approach("drsite", rig.settings(**changes), findings).run()
    return worth, {one.step: one.result for one in findings.all}


async def test_every_step_is_made_once(rig: CopyRig) -> None:
    worth, steps = await approached(rig)
    assert worth
    assert steps == dict.fromkeys(("key", "name", "port", "host key"), Result.OK)


async def test_a_missing_key_does_not_keep_the_host_key_from_being_looked_at(rig: CopyRig) -> None:
    worth, steps = await approached(rig, key="/nonexistent/key")
    assert not worth
    assert (steps["key"], steps["host key"]) == (Result.FAILED, Result.OK)


async def test_where_another_kind_is_pinned_the_log_in_decides(rig: CopyRig) -> None:
    """It asks for the kind that is pinned, which a server may have as well."""
    ecdsa = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg="
    rig.sshd.known_hosts.write_text(f"[127.0.0.1]:{rig.sshd.port} {ecdsa}\n")
    worth, steps = await approached(rig)
    assert worth
    assert "host key" not in steps


async def test_unknown_algorithms_end_it_before_anything_is_believed(rig: CopyRig) -> None:
    worth, steps = await approached(rig, algorithms={"macs": ["rot13"]})
    assert not worth
    assert steps["algorithms"] is Result.FAILED
    assert "host key" not in steps
