import re
from typing import Any

import pytest

from copyagent.ems.login_types import (
    DEFAULT_DISTRIBUTOR,
    LOGIN_TYPES,
    LoginType,
    login_of,
    with_steps_replaced,
)
from vtsfs.contract.settings_ems import EmsHost
from vtsfs.contract.settings_logins import LOGIN_STEPS, PASSWORD, Login


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


@pytest.mark.parametrize("name", LOGIN_TYPES)
def test_the_settings_know_which_steps_each_type_has(name: str) -> None:
    known = [steps for kind, steps in LOGIN_STEPS.items() if kind == name]
    assert [tuple(step.name for step in LOGIN_TYPES[name].steps)] == known


@pytest.mark.parametrize("name", LOGIN_TYPES)
@pytest.mark.parametrize(
    "refused",
    ["*ERROR* x", "Password expired", "Enter new password:", "Expecting: LOGON, PAUSE or TIME"],
)
def test_what_the_manuals_show_as_refusals_is_none_of_the_prompts(name: str, refused: str) -> None:
    login = LOGIN_TYPES[name]
    assert any(re.search(refusal, refused) for refusal in login.refusals)
    for step in login.steps:
        assert not (
            re.search(step.prompt, refused)
            and not (step.unless and re.search(step.unless, refused))
        )


@pytest.mark.parametrize(
    ("line", "is_ready"),
    [
        ("TACL 2> ", True),
        ("$SYSTEM.VTS 1>", True),
        ("\\DEV2.$DATA01 VTS 12>", True),
        ("1> ", True),
        ("SAFEGUARD 2> ", False),
        ("Enter Choice> ", False),
        ("06-09-14 22:00:01 1> x", False),
    ],
)
def test_a_prompt_after_the_log_on(line: str, is_ready: bool) -> None:
    found = re.search(LOGIN_TYPES["SAFEGUARD"].steps[-1].prompt, line)
    assert (found is not None) is is_ready


@pytest.mark.parametrize("name", ["TACLS", "SAFEGUARD"])
def test_news_of_the_last_log_on_is_no_prompt_where_it_is_cut(name: str) -> None:
    (step,) = [step for step in LOGIN_TYPES[name].steps if step.name == "user"]
    assert re.search(step.prompt, "login: ")
    for news in ("Last login:", "LAST LOGIN: "):
        assert not re.search(step.prompt, news)


def test_steps_are_replaced_by_name() -> None:
    changed = with_steps_replaced(
        LOGIN_TYPES["TACL"], {"password": r"Kennwort:\s*$"}, {"service": "TACL2"}, ("^Nein",)
    )
    assert changed.steps[0].answer == "TACL2"
    assert changed.steps[2].prompt == r"Kennwort:\s*$"
    assert changed.steps[2].answer == PASSWORD
    assert changed.steps[2].unless == ""
    assert changed.steps[1] == LOGIN_TYPES["TACL"].steps[1]
    assert changed.refusals == (*LOGIN_TYPES["TACL"].refusals, "^Nein")


def test_what_cannot_be_replaced_is_named() -> None:
    login = LOGIN_TYPES["TACL"]
    with pytest.raises(ValueError, match=r"has no step 'tacl': it has service, user"):
        with_steps_replaced(login, {"tacl": "x"}, {})
    with pytest.raises(ValueError, match=r"user of log-in type TACL is no regular"):
        with_steps_replaced(login, {"user": "("}, {})
    with pytest.raises(ValueError, match=r"a refusal of log-in type TACL is no regular"):
        with_steps_replaced(login, {}, {}, ("(",))
    with pytest.raises(ValueError, match=r"%password% may be typed at the step password alone"):
        with_steps_replaced(login, {}, {"user": "LOGON %username%,%password%"})
    with pytest.raises(ValueError, match=r"%distributor% may be typed at the step ready alone"):
        with_steps_replaced(login, {}, {"service": "%distributor%"})


def made(logins: dict[str, dict[str, object]] | None = None, **host: object) -> LoginType:
    entry = {"address": "h", "user": "VTS.EMS", "password_file": "/p"}
    words = {scope: Login.model_validate(login) for scope, login in (logins or {}).items()}
    return login_of(EmsHost.model_validate(entry | host), words)  # type: ignore[arg-type]  # scopes


def test_a_hosts_words_win_over_its_types_and_those_over_anys() -> None:
    def words(mark: str) -> dict[str, object]:
        return {
            "prompts": {"service": mark, "user": mark},
            "answers": {"service": mark},
            "refusals": [mark],
        }

    logins = {"ANY": words("any"), "TACLS": words("type"), "TACL": words("other")}
    any_only = made(logins, login="XYGATE").steps
    assert (any_only[0].prompt, any_only[0].answer, any_only[1].prompt) == ("any", "any", "any")
    typed = made(logins, login="TACLS").steps
    assert (typed[0].prompt, typed[0].answer, typed[1].prompt) == ("type", "type", "type")
    ours = made(logins, login="TACLS", prompts={"user": "host"}, service="host")
    assert [step.prompt for step in ours.steps[:2]] == ["type", "host"]
    assert ours.steps[0].answer == "host"
    refusals = made(logins, login="TACLS", refusals=["host"]).refusals
    assert refusals[-3:] == ("any", "type", "host")
    # What was not said about a service is no word of the host's.
    assert made({"ANY": {"answers": {"service": "TACL9"}}}).steps[0].answer == "TACL9"
    assert made(answers={"service": "TACL9"}).steps[0].answer == "TACL9"
    assert made().steps[0].answer == "TACL"


def test_anys_words_for_a_step_that_a_type_lacks_do_not_concern_it() -> None:
    logins: dict[str, dict[str, object]] = {"ANY": {"answers": {"tacl": "now"}}}
    assert made(logins, login="TACL") == LOGIN_TYPES["TACL"]
    assert made(logins, login="SAFEGUARD").steps[1].answer == "now"


@pytest.mark.parametrize("login", LOGIN_TYPES)
def test_after_ssh_a_host_need_not_ask_for_anything(login: str) -> None:
    steps = made(access="ssh", known_hosts="/k", login=login).steps
    assert [step.name for step in steps] == [step.name for step in LOGIN_TYPES[login].steps]
    assert [step.name for step in steps if not step.optional] == ["ready"]
    no_password: dict[str, Any] = {"password_file": None, "key": "/key"}
    for without in (no_password, {"user": None, "ssh_user": "v"}):
        fewer = made(access="ssh", known_hosts="/k", login=login, **without).steps
        assert [step.name for step in fewer] == ["service", "ready"]
