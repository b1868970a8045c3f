"""What is on record: the agent's word, or what can be believed of a target's own records."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.cli.ledger import Ledger
from copyagent.core.copying import CopyDone, PublishedCopy
from copyagent.transfer.chunks import MapBuilder
from copyagent.transfer.maps import MapStore
from tests.support.copy_rig import CopyRig
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import AgentUnreachable
from vtsfs.contract.naming import TapeId

pytestmark = pytest.mark.ssh

TAPE = TapeId("VAULT00", "BILL", "X00001")


def ledger_of(rig: CopyRig) -> Ledger:
    text = EXAMPLE.replace("/far/VAULT00", str(rig.vault))
    return Ledger(example_settings(rig.backing.parent, text))


async def copied(rig: CopyRig, content: bytes) -> PublishedCopy:
    rig.write(content)
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    return done.copy


async def test_without_an_agent_the_target_tells(rig: CopyRig) -> None:
    ledger = ledger_of(rig)
    copy = await copied(rig, os.urandom(300_000))
    assert not ledger.answers()
    with pytest.raises(AgentUnreachable):
        list(ledger.agent_says(TAPE))
    async with rig.connect() as target:
        found = await ledger.target_says(target, TAPE, "drsite")
        assert found is not None
        assert found.published is not None
        assert found.published.root == copy.root
        other = replace(TAPE, label="X00002")
        assert await ledger.target_says(target, other, "drsite") is None
        elsewhere = replace(TAPE, pool="NONE")
        assert await ledger.target_says(target, elsewhere, "drsite") is None
        assert await ledger.map_of(target, elsewhere, "drsite", copy.root) is None


def _with(**changes: object) -> Callable[[bytes], bytes]:
    return lambda manifest: json.dumps(json.loads(manifest) | changes).encode()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda _: b"{" * 100_000,
        lambda manifest: manifest[:-20],
        lambda manifest: manifest + b" " * 1_000_000,
        _with(size="many"),
        _with(size=1e999),
        _with(tape="/VAULT00/BILL/X00002"),
        _with(version=99),
        _with(name="../../../etc/passwd"),
        _with(kept=[{}]),
        _with(kept=[{"name": "x"}] * 5000),
    ],
)
async def test_a_record_that_was_tampered_with_is_none(
    rig: CopyRig, spoil: Callable[[bytes], bytes]
) -> None:
    ledger = ledger_of(rig)
    await copied(rig, b"content")
    path = Path(rig.layout().manifest)
    path.write_bytes(spoil(path.read_bytes()))
    async with rig.connect() as target:
        assert await ledger.target_says(target, TAPE, "drsite") is None


async def test_a_kept_name_that_leads_elsewhere_is_none(rig: CopyRig) -> None:
    ledger = ledger_of(rig)
    await copied(rig, b"content")
    path = Path(rig.layout().manifest)
    manifest = json.loads(path.read_bytes())
    copy = {key: manifest[key] for key in manifest if key not in {"version", "tape", "kept"}}
    for name in ("../BILL/X00002", "/etc/passwd", "", ".hidden", "a\0b"):
        path.write_text(json.dumps(manifest | {"kept": [copy | {"name": name}]}))
        async with rig.connect() as target:
            assert await ledger.target_says(target, TAPE, "drsite") is None


async def test_a_map_is_the_agents_own_or_the_targets(rig: CopyRig) -> None:
    ledger = ledger_of(rig)
    content = os.urandom(300_000)
    copy = await copied(rig, content)
    async with rig.connect() as target:
        theirs = await ledger.map_of(target, TAPE, "drsite", copy.root)
        assert theirs is not None
        assert theirs.root == copy.root
        Path(rig.layout().map(copy.root)).unlink()
        assert await ledger.map_of(target, TAPE, "drsite", copy.root) is None
        builder = MapBuilder(len(content))
        builder.feed(0, content)
        ledger.settings.agent_directory().mkdir(parents=True)
        store = MapStore(ledger.settings.agent_directory() / "maps")
        store.put(TAPE, "drsite", builder.result(), ())
        assert await ledger.map_of(target, TAPE, "drsite", copy.root) == theirs
        assert await ledger.map_of(target, TAPE, "drsite", "") is None
