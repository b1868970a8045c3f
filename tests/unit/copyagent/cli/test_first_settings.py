"""Whatever a first settings file is asked to hold, it is read as that."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.cli.first_settings import (
    First,
    FirstHost,
    FirstPool,
    FirstTarget,
    FirstVault,
    read_host,
    read_pool,
    read_target,
    read_vault,
    text_of,
)
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import PoolId
from vtsfs.contract.setting_values import TargetKey, VaultKey
from vtsfs.contract.settings import Settings, parse_settings


def names(kind: object) -> st.SearchStrategy[str]:
    """Make up names that the settings take; those that YAML reads as something else among them."""
    (pattern,) = [m.pattern for f in getattr(kind, "__metadata__") for m in f.metadata]  # noqa: B009  # not of the type's own
    odd = [
        each for each in ("on", "1", "1e3", "null", "ON", "Y", "0x1") if re.fullmatch(pattern, each)
    ]
    return st.sampled_from(odd or ["V"]) | st.from_regex(pattern, fullmatch=True)


@st.composite
def firsts(draw: st.DrawFn) -> First:
    """Make up what somebody may ask for."""
    vaults = draw(st.lists(names(VaultKey), min_size=1, max_size=3, unique=True))
    targets = draw(st.lists(names(TargetKey), max_size=2, unique=True))
    words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9 #:'\"-]{0,8}[a-z]", fullmatch=True)
    pools = [
        FirstPool(f"/{vault}/{pool}", target, f"/{vault}/{pool}")
        for vault in vaults
        for target in targets
        for pool in draw(st.lists(st.sampled_from(["BILL", "PAY", "1"]), max_size=2, unique=True))
    ]
    hosts = draw(st.lists(st.sampled_from(["DEV2", "1", "no"]), max_size=2, unique=True))
    return First(
        system=draw(st.sampled_from(["TAPESRV1", "1", "no"])),
        keys=Path("/etc/vts-autocopy"),
        vaults=tuple(
            FirstVault(v, f"/b/{draw(words)}{i}", f"/m/{i}") for i, v in enumerate(vaults)
        ),
        targets=tuple(
            FirstTarget(t, draw(words), draw(words), draw(st.integers(0, 65535))) for t in targets
        ),
        pools=tuple(pools),
        hosts=tuple(FirstHost(host, draw(words)) for host in hosts),
        user=draw(st.sampled_from(["", "vts", "1"])),
        operators=draw(st.sampled_from(["", "vtsops", "yes"])),
    )


@given(firsts())
def test_it_loads_to_what_was_asked(first: First) -> None:
    made: Settings = parse_settings(text_of(first), "first")
    assert made.system.name == first.system
    assert {name: (str(v.backing), str(v.mountpoint)) for name, v in made.vaults.items()} == {
        vault.name: (vault.backing, vault.mountpoint) for vault in first.vaults
    }
    assert {(name, t.host, t.user, t.port) for name, t in made.targets.items()} == {
        (target.name, target.host, target.user, target.port or 22) for target in first.targets
    }
    assert [(e.pool, e.target, e.target_pool) for e in made.autocopy] == [
        (PoolId.parse(pool.pool), pool.target, PoolId.parse(pool.target_pool))
        for pool in first.pools
    ]
    assert {(name, host.address, host.user) for name, host in made.ems.hosts.items()} == {
        (host.name, host.address, host.user) for host in first.hosts
    }
    assert made.ems.required == bool(first.hosts)
    assert (made.service.user or "", made.service.operators or "") == (first.user, first.operators)


def test_what_is_said_on_the_command_line() -> None:
    assert read_vault("VAULT00=/b:/m") == FirstVault("VAULT00", "/b", "/m")
    assert read_target("dr=vts@host") == FirstTarget("dr", "vts", "host")
    assert read_target("dr=vts@[::1]:2222") == FirstTarget("dr", "vts", "::1", 2222)
    assert read_pool("/VAULT00/BILL=dr") == FirstPool("/VAULT00/BILL", "dr", "/VAULT00/BILL")
    assert read_pool("/V/A=dr:/W/B") == FirstPool("/V/A", "dr", "/W/B")
    assert read_host("DEV2=ops@dev2").user == "ops"


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (read_vault, "VAULT00=/b"),
        (read_vault, "VAULT00=b:/m"),
        (read_target, "dr=host"),
        (read_target, "dr=vts@::1"),
        (read_pool, "/VAULT00=dr"),
        (read_pool, "BILL"),
        (read_host, "DEV2"),
    ],
)
def test_what_cannot_be_meant_is_told(read: object, text: str) -> None:
    with pytest.raises(UsageError, match=re.escape(repr(text))):
        read(text)  # type: ignore[operator]  # one of four functions
