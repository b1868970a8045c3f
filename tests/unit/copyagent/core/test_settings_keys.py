"""Which keys have another value, and what each change takes."""

import pytest

from copyagent.core.settings_keys import (
    KEYS,
    awaiting_restart,
    difference,
    flat,
    means_of,
    without_restart,
)
from tests.support.histories import TARGET, make_settings
from vtsfs.contract.settings import Settings


def changed(section: str, **keys: object) -> tuple[Settings, Settings]:
    """Return settings, and the same with other *keys* in *section*."""
    data = make_settings().model_dump(mode="json")
    part = data
    for name in section.split("."):
        part = part[name]
    part.update(keys)
    return make_settings(), Settings.model_validate(data)


def test_every_key_that_there_is_has_its_class() -> None:
    for key in flat(make_settings()):
        assert means_of(key) in KEYS.values(), key


def test_a_key_that_nobody_has_classified_is_a_mistake() -> None:
    with pytest.raises(KeyError, match=r"nowhere\.at_all"):
        means_of(("nowhere", "at_all"))


def test_values_are_told_as_the_file_has_them() -> None:
    (change,) = difference(*changed(f"targets.{TARGET}", bandwidth="20 MiB/s"))
    assert (change.name, change.old, change.new) == (
        f"targets.{TARGET}.bandwidth",
        None,
        "20 MiB/s",
    )
    assert change.means.words == "at once, copies stop"
    (change,) = difference(*changed("retry", interval="90s"))
    assert (change.old, change.new, change.means.words) == ("5m", "90s", "at once")


def test_what_comes_or_goes_is_one_change() -> None:
    (change,) = difference(make_settings(pools=("BILL",)), make_settings())
    assert change.name == f"autocopy./VAULT00/PAY to {TARGET}"
    assert change.comes_or_goes
    assert change.means.words == "at once"


def test_what_a_restart_brings_in_stays_as_it_was() -> None:
    old, new = changed("vaults.VAULT00", mountpoint="/ELSEWHERE")
    assert [c.name for c in awaiting_restart(difference(old, new))] == ["vaults.VAULT00.mountpoint"]
    assert difference(old, without_restart(old, new)) == []
    old, new = changed("vaults", VAULT01={"backing": "/backing/VAULT01", "mountpoint": "/VAULT01"})
    assert awaiting_restart(difference(old, new)) == []
    assert "VAULT01" in without_restart(old, new).vaults
