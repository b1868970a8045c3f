import re

import pytest

from copyagent.ems.login_types import (
    DEFAULT_DISTRIBUTOR,
    LOGIN_TYPES,
    PASSWORD,
    SERVICE_PROMPT,
    with_steps_replaced,
)
from vtsfs.contract.settings_ems import EmsHost


def test_every_type_of_the_settings_is_there() -> None:
    assert set(LOGIN_TYPES) == {"TACL", "TACLS", "XYGATE", "SAFEGUARD"}
    for name in LOGIN_TYPES:
        document = {"address": "h", "login": name, "user": "u", "password_file": "/p"}
        assert EmsHost.model_validate(document).distributor == DEFAULT_DISTRIBUTOR


@pytest.mark.parametrize("name", LOGIN_TYPES)
def test_each_type_gives_user_password_and_distributor_once_in_this_order(name: str) -> None:
    answers = " ".join(step.answer for step in LOGIN_TYPES[name].steps)
    assert re.findall(r"%\w+%", answers) == ["%username%", "%password%", "%distributor%"]
    assert LOGIN_TYPES[name].steps[0].optional
    assert not any(step.optional for step in LOGIN_TYPES[name].steps if "%" in step.answer)


@pytest.mark.parametrize(
    ("line", "is_refusal"),
    [
        ("*ERROR* Invalid username or password", True),
        ("*ERROR*Not logged on", True),
        ("Invalid user name", True),
        ("Logon failed", True),
        ("LOGIN INCORRECT", True),
        ("Password has expired", True),
        ("User VTS.EMS is frozen", True),
        ("Access denied", True),
        ("** ERROR ** something", True),
        ("Security violation", True),
        ("Invalid logon attempts since the last log-on: 0", False),
        ("Welcome to DEV2. Unauthorized access is forbidden.", False),
        ("Last Logon: 14 SEP 2006, 22:00:00", False),
        ("Password expires in 5 days", False),
        ("", False),
    ],
)
def test_refusals_are_told_from_news(line: str, is_refusal: bool) -> None:
    found = any(re.search(refusal, line) for refusal in LOGIN_TYPES["TACL"].refusals)
    assert found is is_refusal


def test_steps_are_replaced_by_name() -> None:
    changed = with_steps_replaced(
        LOGIN_TYPES["TACL"], {"password prompt": r"Kennwort:\s*$"}, {SERVICE_PROMPT: "TACL2"}
    )
    assert changed.steps[0].answer == "TACL2"
    assert changed.steps[2].prompt == r"Kennwort:\s*$"
    assert changed.steps[2].answer == PASSWORD
    assert changed.steps[1] == LOGIN_TYPES["TACL"].steps[1]


def test_a_step_that_is_not_there_and_a_bad_expression_are_named() -> None:
    with pytest.raises(ValueError, match=r"has no step 'pasword prompt': it has service prompt"):
        with_steps_replaced(LOGIN_TYPES["TACL"], {"pasword prompt": "x"}, {})
    with pytest.raises(ValueError, match=r"user prompt of log-in type TACL is no regular"):
        with_steps_replaced(LOGIN_TYPES["TACL"], {"user prompt": "("}, {})
