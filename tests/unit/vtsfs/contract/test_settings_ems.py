"""The host links' settings: what a host may ask for and what it is told."""

from typing import Any

import pytest
from pydantic import ValidationError

from vtsfs.contract.settings_ems import EmsHost, Notify, Policy

HOST = {"address": "dev2", "user": "VTS.EMS", "password_file": "/etc/dev2"}


def test_nothing_is_obeyed_and_nothing_told_unless_it_is_asked_for() -> None:
    host = EmsHost.model_validate(HOST)
    assert host.policy == Policy(enabled=False, per_hour=12)
    assert host.notify is None


def test_the_times_are_those_of_the_original() -> None:
    """ems_notify_wait_timeout and ems_notify_logout_timeout (operations guide 6.04.01, page 51)."""
    notify = Notify.model_validate({"command": ["X %text%"]})
    assert (notify.wait_timeout, notify.logout_timeout) == (20.0, 3.0)
    assert notify.events == ("failed", "held", "behind")


@pytest.mark.parametrize(
    ("notify", "fault"),
    [
        ({}, "Field required"),
        ({"command": []}, "at least 1 item"),
        ({"command": ["VTSNOTE"]}, "has no %text%"),
        ({"command": ["a\n%text%"]}, "one line of printable characters"),
        ({"command": ["%text%"], "events": ["everything"]}, "failed"),
        ({"command": ["%text%"], "wait_timeout": "0s"}, "greater than 0"),
    ],
)
def test_what_could_not_tell_a_host_anything_is_refused(notify: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        EmsHost.model_validate(HOST | {"notify": notify})


@pytest.mark.parametrize("per_hour", [0, -1, 3601, 1.5])
def test_how_often_an_hour_is_a_number_of_commands(per_hour: float) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"per_hour": per_hour})


def test_a_file_is_told_nothing() -> None:
    with pytest.raises(ValidationError, match="a file cannot be told anything"):
        EmsHost.model_validate({"access": "file", "file": "/x", "notify": {"command": ["%text%"]}})
