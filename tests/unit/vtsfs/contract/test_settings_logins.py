import pytest
from pydantic import ValidationError

from vtsfs.contract.settings import examine_settings
from vtsfs.contract.settings_logins import (
    ALL_STEPS,
    LOGIN_STEPS,
    Login,
    fault_of_answer,
)

BASE = """
system: {name: TAPESRV1}
vaults: {VAULT00: {backing: /b, mountpoint: /VAULT00}}
ems:
  logins: LOGINS
  hosts:
    DEV2: {address: h, user: VTS.EMS, password_file: /p, HOST}
"""


def host_problems(text: str) -> list[str]:
    found = examine_settings(BASE[: BASE.index("  logins")] + f"  hosts: {{D: {{{text}}}}}", "x")[1]
    return [problem.removeprefix("x: ems.hosts.D") for problem in found]


TELNET = "address: h, user: u, password_file: /p"
SSH = "access: ssh, address: h, user: u, known_hosts: /k, key: /key"


@pytest.mark.parametrize("text", [TELNET, SSH, "access: file, file: /f", f"{SSH}, ssh_user: v"])
def test_a_host_that_is_complete(text: str) -> None:
    assert host_problems(text) == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("address: h", ": access telnet needs user, password_file"),
        (f"{TELNET}, key: /key, known_hosts: /k", ": access telnet has no use for key, known_ho"),
        (f"{SSH}, file: /f", ": access ssh has no use for file"),
        (SSH.replace("user: u, ", ""), ": access ssh needs ssh_user, or user"),
        (SSH.replace(", key: /key", ""), ": access ssh needs key, or password_file"),
        (SSH.replace("known_hosts: /k, ", ""), ": access ssh needs known_hosts"),
        ("access: file, file: /f, user: u", ": access file has no use for user"),
        ("access: file", ": access file needs file"),
        (TELNET.replace("user: u", "user: 'VTS.EMS,Hush'"), ".user: should be a user alone"),
        (TELNET.replace("/p", "Hush.4Ever"), ".password_file: should be the absolute path of a f"),
        (TELNET.replace("user: u", 'user: "u\\n"'), ".user: should be one line"),
    ],
)
def test_a_host_says_what_its_access_needs_and_nothing_else(text: str, problem: str) -> None:
    (found,) = host_problems(text)
    assert found.startswith(problem)
    assert "Hush" not in found


def problems(logins: str = "{}", host: str = "login: TACL") -> list[str]:
    text = BASE.replace("LOGINS", logins).replace("HOST", host)
    return [problem.removeprefix("x: ems.") for problem in examine_settings(text, "x")[1]]


def test_what_is_in_order() -> None:
    assert problems(host="answers: {user: 'LOGON 12,115'}") == []
    logins = "{ANY: {answers: {tacl: logon}}, SAFEGUARD: {prompts: {tacl: 'T>'}}}"
    assert problems(logins, "login: SAFEGUARD, prompts: {tacl: 'T>'}, answers: {tacl: logon}") == []
    assert problems("{TACL: {answers: {user: 'LOGON %username%', ready: '%distributor%'}}}") == []


@pytest.mark.parametrize(
    ("logins", "host", "problem"),
    [
        ("{TACL: {prompts: {tacl: 'x'}}}", "login: TACL", "logins.TACL.prompts.tacl: a log-in of"),
        ("{TACLS: {answers: {tacl: x}}}", "login: TACL", "logins.TACLS.answers.tacl: a log-in of"),
        ("{}", "prompts: {tacl: 'x'}", "hosts.DEV2.prompts.tacl: a log-in of type TACL has no"),
        ("{}", "login: XYGATE, answers: {tacl: x}", "hosts.DEV2.answers.tacl: a log-in of type X"),
        ("{}", "answers: {user: '%password%'}", "hosts.DEV2.answers.user: %password% may be typed"),
        ("{ANY: {answers: {user: 'a,%password%'}}}", "port: 23", "logins.ANY.answers.user: %passw"),
        ("{}", "answers: {service: '%distributor%'}", "hosts.DEV2.answers.service: %distributor%"),
        ("{}", "answers: {user: 'LOGON VTS.EMS,Hush'}", "hosts.DEV2.answers.user: would be shown"),
        ("{}", "service: A, answers: {service: B}", "hosts.DEV2.answers.service: is given as serv"),
        ("{}", "prompts: {user: '('}", "hosts.DEV2.prompts.user: is no regular expression"),
        ("{}", "prompts: {user: 'x*'}", "hosts.DEV2.prompts.user: matches an empty line"),
        ("{}", "refusals: ['$']", "hosts.DEV2.refusals.0: matches an empty line"),
        ("{}", "prompts: {user: 5}", "hosts.DEV2.prompts.user: should be a regular expression"),
    ],
)
def test_each_problem_is_told_behind_its_dotted_key(logins: str, host: str, problem: str) -> None:
    (found,) = problems(logins, host)
    assert found.startswith(problem)


def test_an_answer_is_one_line_that_can_be_typed() -> None:
    for answer in ("two\nlines", "\x1b[2J", "5 \u20ac", "", "x" * 501):
        with pytest.raises(ValidationError):
            Login.model_validate({"answers": {"user": answer}})
    assert Login.model_validate({"answers": {"user": "Größe"}}).answers == {"user": "Größe"}
    (found,) = problems(host='answers: {user: "5 \\u20ac"}')
    assert "'€' cannot be typed: it is not in ISO 8859-1" in found


@pytest.mark.parametrize("step", ALL_STEPS)
def test_secrets_and_commands_have_one_place_each(step: str) -> None:
    assert (fault_of_answer(step, "x %password%") is None) == (step == "password")
    assert (fault_of_answer(step, "%distributor%") is None) == (step == "ready")
    assert fault_of_answer(step, "%username%") is None


def test_every_kind_ends_with_user_password_and_a_prompt() -> None:
    for steps in LOGIN_STEPS.values():
        assert steps[0] == "service"
        assert steps[-3:] == ("user", "password", "ready")
