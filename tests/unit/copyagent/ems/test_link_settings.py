import math
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.ems.dialogue import LoginPlan
from copyagent.ems.link_settings import (
    LinkSettings,
    delay_after_refusals,
    failures_in_a_row,
    next_delay,
    settings_of_link,
)
from copyagent.ems.login_types import DEFAULT_DISTRIBUTOR, LOGIN_TYPES
from copyagent.ems.secret import Secret
from vtsfs.contract.settings_ems import EmsHost
from vtsfs.contract.settings_logins import Login

PLAN = LoginPlan(LOGIN_TYPES["TACL"], "VTS.EMS", Secret("s3cret"), DEFAULT_DISTRIBUTOR)
LINK = LinkSettings("DEV2", "dev2.example.com", PLAN)


def test_the_delay_doubles_up_to_its_cap() -> None:
    delays = [next_delay(LINK, failures, 0.0) for failures in range(1, 9)]
    assert delays == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    assert next_delay(LINK, 10**9, 0.0) == 60.0


def test_chance_takes_away_up_to_half() -> None:
    assert next_delay(LINK, 7, 1.0) == 30.0
    assert next_delay(LINK, 7, 0.5) == 45.0
    assert next_delay(LINK, 0, 0.0) == 1.0


def test_a_user_is_not_tried_until_it_is_frozen() -> None:
    delays = [delay_after_refusals(LINK, refusals) for refusals in range(1, 7)]
    assert delays == [300.0, 600.0, 1200.0, 2400.0, 3600.0, 3600.0]
    patient = replace(LINK, refused_delay=86400.0)
    assert delay_after_refusals(patient, 3) == 86400.0


@pytest.mark.parametrize(
    ("up_for", "failures"), [(-math.inf, 5), (0.0, 5), (59.9, 5), (60.0, 1), (86400.0, 1)]
)
def test_only_a_session_that_lasted_begins_the_count_anew(up_for: float, failures: int) -> None:
    assert failures_in_a_row(LINK, 4, up_for) == failures


@pytest.mark.parametrize("login", LOGIN_TYPES)
def test_the_settings_file_says_it_all(login: str) -> None:
    entry = EmsHost.model_validate(
        {
            "address": "dev2.example.com",
            "port": 2023,
            "login": login,
            "user": "VTS.EMS",
            "password_file": "/etc/vts-autocopy/dev2",
            "distributor": "OBEY START",
            "service": "TACL2",
            "response_timeout": "7s",
        }
    )
    link = settings_of_link("DEV2", entry, Secret("s3cret"), {})
    assert (link.host, link.address, link.port) == ("DEV2", "dev2.example.com", 2023)
    assert (link.plan.user, link.plan.password) == ("VTS.EMS", Secret("s3cret"))
    assert (link.plan.distributor, link.plan.response_timeout) == ("OBEY START", 7.0)
    assert link.plan.login.name == login
    assert link.plan.login.steps[0].answer == "TACL2"


def test_every_time_of_a_link_is_taken_from_the_settings_file() -> None:
    given = {
        "access": "ssh",
        "address": "dev2.example.com",
        "known_hosts": "/etc/known_hosts",
        "key": "/etc/key",
        "user": "VTS.EMS",
        "ssh_user": "vts",
        "ssh_command": "gtacl",
        "catch_up": False,
        "connect_timeout": "11s",
        "logout_timeout": "4s",
        "keep_alive": "31s",
        "silence": "10m",
        "reconnect": {"first": "2s", "longest": "40s", "refused": "20m"},
    }
    link = settings_of_link("DEV2", EmsHost.model_validate(given), Secret(""), {})
    assert (link.access, link.port, link.known_hosts) == ("ssh", 22, Path("/etc/known_hosts"))
    assert (link.key, link.ssh_user, link.ssh_command) == (Path("/etc/key"), "vts", "gtacl")
    assert (link.connect_timeout, link.logout_timeout) == (11.0, 4.0)
    assert (link.keep_alive, link.silence, link.catch_up) == (31.0, 600.0, False)
    assert (link.first_delay, link.longest_delay, link.refused_delay) == (2.0, 40.0, 1200.0)
    # An SSH user is the host's user unless it has a name of its own.
    plain = {key: value for key, value in given.items() if key != "ssh_user"}
    assert (
        settings_of_link("D", EmsHost.model_validate(plain), Secret(""), {}).ssh_user == "VTS.EMS"
    )


def test_nothing_is_for_ever_and_a_file_has_no_log_in() -> None:
    given = {"access": "file", "file": "/spool/dev2", "keep_alive": "0s", "silence": "0s"}
    link = settings_of_link("DEV2", EmsHost.model_validate(given), Secret(""), {})
    assert (link.keep_alive, link.silence, link.file) == (None, None, Path("/spool/dev2"))


def test_the_words_of_any_log_in_reach_the_plan() -> None:
    given = {"address": "h", "user": "u", "password_file": "/p", "refusals": ["^Nein"]}
    words = Login.model_validate({"answers": {"service": "TACL9"}, "refusals": ["^Non"]})
    link = settings_of_link("D", EmsHost.model_validate(given), Secret("x"), {"ANY": words})
    assert link.plan.login.steps[0].answer == "TACL9"
    assert link.plan.login.refusals[-2:] == ("^Non", "^Nein")


def test_no_text_form_shows_the_password() -> None:
    assert "s3cret" not in repr(LINK)
    assert "s3cret" not in str(LINK)
