from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.ems.original_config import (
    PARAMETERS,
    REQUIRED,
    Imported,
    import_config,
    settings_text,
)
from vtsfs.contract.settings import examine_settings
from vtsfs.contract.settings_ems import Ems

SITE = r"""# Site overrides
ems_enable='YES'
ems_hostnames='DEV2 prod-1.example.com'
ems_keep_alive='30'
ems_response_timeout_DEV2=9
ems_response_timeout='7'
ems_notify_logout_timeout='4'
ems_vaults_DEV2='/VAULT00, VAULT01'
ems_service_prompt_ANYSYS='/^Enter Choice>\s*$/i'
ems_service_select_ANYSYS='TACL'
ems_service_select_DEV2='TACL2'
ems_service_answer_TYPE:SAFEGUARD='logon'
ems_login_userprompt_TYPE:TACLS='/login:\s*$/i'
ems_login_userprompt_TYPE:SAFEGUARD='/TACL 1>\s*$/'
ems_login_userprompt_DEV2='/TACL \d>\s*$/'
"""
BASE = """
system: {name: TAPESRV1}
vaults:
  VAULT00: {backing: /b/VAULT00, mountpoint: /VAULT00}
  VAULT01: {backing: /b/VAULT01, mountpoint: /VAULT01}
"""


def hosts_of(imported: Imported) -> dict[str, Any]:
    return {**imported.ems["hosts"]}


def completed(imported: Imported) -> str:
    """Fill in by hand what is marked, as an operator would."""
    text = settings_text(imported, "original.cfg")
    assert "null" not in text
    filled = []
    for line in text.splitlines():
        before, mark, _ = line.partition("  # REQUIRED")
        value = {"user:": "VTS.EMS", "password_file:": "/etc/p"}.get(before.strip(), "")
        filled.append(f"{before} {value}" if mark else line)
    return "\n".join([BASE, *filled])


def problems(imported: Imported, *, lost: bool) -> list[str]:
    return [note.text for note in imported.notes if note.is_lost is lost]


def test_a_whole_configuration() -> None:
    imported = import_config(SITE)
    assert problems(imported, lost=True) == []
    assert imported.ems == {
        "logins": {
            "ANY": {
                "prompts": {"service": r"(?i)^Enter Choice>\s*$"},
                "answers": {"service": "TACL"},
            },
            "SAFEGUARD": {"answers": {"tacl": "logon"}, "prompts": {"tacl": r"TACL 1>\s*$"}},
            "TACLS": {"prompts": {"user": r"(?i)login:\s*$"}},
        },
        "hosts": {
            "DEV2": {
                "address": "DEV2",
                "user": None,
                "password_file": None,
                "keep_alive": "30s",
                "response_timeout": "9s",
                "logout_timeout": "4s",
                "vaults": ["VAULT00", "VAULT01"],
                "service": "TACL2",
                "prompts": {"user": r"TACL \d>\s*$"},
            },
            "prod1": {
                "address": "prod-1.example.com",
                "user": None,
                "password_file": None,
                "keep_alive": "30s",
                "response_timeout": "7s",
                "logout_timeout": "4s",
            },
        },
    }


def test_what_is_written_asks_to_be_filled_in_and_then_is_in_order() -> None:
    imported = import_config(SITE)
    text = settings_text(imported, "original.cfg")
    assert text.count("# REQUIRED") == 2 * len(REQUIRED)
    _, asked = examine_settings(BASE + text, "x")
    for host in ("DEV2", "prod1"):
        assert f"x: ems.hosts.{host}: access telnet needs user, password_file" in asked
    settings, left = examine_settings(completed(imported), "x")
    assert left == ()
    assert settings is not None
    carried = settings.ems.hosts["DEV2"]
    assert (carried.user, carried.keep_alive, carried.service) == ("VTS.EMS", 30.0, "TACL2")
    assert carried.vaults == ("VAULT00", "VAULT01")
    assert settings.ems.logins["SAFEGUARD"].answers == {"tacl": "logon"}


def test_the_originals_defaults_are_kept() -> None:
    imported = import_config("ems_hostnames='DEV2'")
    assert hosts_of(imported)["DEV2"]["keep_alive"] == "0s"
    host = Ems.model_validate(
        {"hosts": {"DEV2": hosts_of(imported)["DEV2"] | {"user": "u", "password_file": "/p"}}}
    ).hosts["DEV2"]
    # Documented for the original: 5 s for each answer, 3 s for LOGOUT, no keep-alive, TACL.
    assert (host.response_timeout, host.logout_timeout) == (5.0, 3.0)
    assert (host.keep_alive, host.service) == (0.0, "TACL")


def test_a_password_is_nowhere() -> None:
    given = "ems_hostnames=DEV2\nems_login_password_DEV2='Hush.4Ever'\nems_pwd=Hush.4Ever\n"
    imported = import_config(given)
    lost = problems(imported, lost=True)
    assert len(lost) == 2
    assert all("is not copied" in text and "chmod 600" in text for text in lost)
    assert "Hush" not in settings_text(imported, "x") + str(imported.notes)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("ems_colour='blue'", "is not among the parameters that are known"),
        ("ems_keep_alive='often'", "should be a number of seconds, at least 0"),
        ("ems_response_timeout='0'", "should be a number of seconds, at least 1"),
        ("ems_response_timeout_DEV9='5'", "DEV9 is not one of the hosts"),
        ("ems_vaults_ANYSYS='VAULT00'", "ANYSYS is not one of the hosts"),
        ("ems_vaults_DEV2='vault'", "string should match pattern"),
        ("ems_service_prompt_ANYSYS='/(/'", "has no meaning in Python"),
        ("ems_service_prompt_ANYSYS='/.*/'", "matches an empty line"),
        ("ems_service_prompt_TYPE:VMS='/x/'", "VMS is no kind of log-in"),
        ("ems_service_prompt='/x/'", "a name is not one of the hosts"),
        ("ems_service_select_ANYSYS=''", "at least 1 character"),
        ("ems_service_answer_DEV2='logon'", "answers: {tacl: ...}"),
        ("ems_service_answer_ANYSYS='logon u,%password%'", "at the step password alone"),
        ("ems_notify_wait_timeout='20'", "belongs to notify"),
        ("ems_hostnames", "is no assignment"),
        ("ems_keep_alive='3", "quotes are not closed"),
    ],
)
def test_what_cannot_be_carried_over_is_told_by_its_line(line: str, why: str) -> None:
    imported = import_config(f"ems_hostnames='DEV2'\n\n{line}\n")
    (note,) = [note for note in imported.notes if note.is_lost]
    assert note.line == 3
    assert why in note.text
    Ems.model_validate({"logins": imported.ems.get("logins", {})})


@pytest.mark.parametrize("name", [parameter.name for parameter in PARAMETERS if not parameter.ours])
def test_what_is_not_needed_is_no_loss_and_told_with_the_reason(name: str) -> None:
    given = name.replace("NSserver", "DEV2")
    imported = import_config(f"ems_hostnames='DEV2'\n{given}='1'")
    assert problems(imported, lost=True) == []
    (note,) = [note for note in imported.notes if note.line == 2]
    assert note.text.startswith(f"{given}: not needed: ")


@pytest.mark.parametrize("parameter", PARAMETERS, ids=lambda parameter: parameter.name)
def test_every_parameter_is_known_in_every_form_of_its_name(parameter: Any) -> None:
    scopes = {"_NSserver": ["_DEV2"], "_<type>": ["_DEV2", "_TYPE:SAFEGUARD", "_ANYSYS"]}
    for end, forms in scopes.items():
        for form in forms if parameter.name.endswith(end) else [""]:
            imported = import_config(f"ems_hostnames='DEV2'\n{parameter.stem}{form}='7'")
            assert "are known" not in str(imported.notes)


def test_the_last_one_counts_and_one_hosts_own_wins() -> None:
    given = "ems_hostnames='A B'\nems_keep_alive='1'\nems_keep_alive='2'\n"
    assert hosts_of(import_config(given))["A"]["keep_alive"] == "2s"
    late = "ems_response_timeout_A='9'\nems_response_timeout='7'\n"
    found = hosts_of(import_config(given + late))
    assert [found[name]["response_timeout"] for name in "AB"] == ["9s", "7s"]
    any_late = "ems_login_userprompt_TYPE:TACLS='/b/'\nems_login_userprompt_ANYSYS='/a/'\n"
    logins = import_config(given + any_late).ems["logins"]
    assert logins["TACLS"]["prompts"] == {"user": "b"}
    assert logins["TACL"]["prompts"] == {"user": "a"}
    assert logins["SAFEGUARD"]["prompts"] == {"tacl": "a"}


def test_links_that_are_off_stay_off() -> None:
    imported = import_config("ems_hostnames='DEV2'\nems_enable='NO'\n")
    assert imported.ems == {"required": False}
    assert "is not YES" in problems(imported, lost=False)[0]
    nothing = import_config("vault='x'\n")
    assert nothing.ems == {"required": False}
    assert problems(nothing, lost=True) == ["ems_hostnames: names no host"]
    assert problems(nothing, lost=False) == ["settings that are not of EMS were left out: 1"]


def test_hosts_get_names_that_are_names_here() -> None:
    names = "DEV2 dev2.a.example dev2.b.example 10.1.2.3 a-very-long-name.x DEV2 --"
    imported = import_config(f"ems_hostnames='{names}'")
    assert {key: host["address"] for key, host in hosts_of(imported).items()} == {
        "DEV2": "DEV2",
        "dev2": "dev2.a.example",
        "dev21": "dev2.b.example",
        "10123": "10.1.2.3",
        "averylon": "a-very-long-name.x",
    }
    assert problems(imported, lost=True) == [
        "ems_hostnames: one of the names cannot be the name of a host"
    ]


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_never_raise(content: bytes) -> None:
    imported = import_config(content.decode("latin-1"))
    assert yaml.safe_load(settings_text(imported, content.decode("latin-1")))["ems"]


VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(["7", "YES", "TACL", "/VAULT00", r"/^a\s*$/i", "/(a/", "DEV2 DEV3", "%user%"]),
)
NAMES = st.sampled_from(
    [
        parameter.stem + scope
        for parameter in PARAMETERS
        for scope in ("", "_DEV2", "_DEV3", "_ANYSYS", "_TYPE:TACL", "_TYPE:SAFEGUARD")
    ]
)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=12))
def test_whatever_is_carried_over_is_in_order_once_it_is_complete(
    given_values: list[tuple[str, str]],
) -> None:
    lines = [f"{name}='{value}'" for name, value in given_values]
    imported = import_config("\n".join(["ems_hostnames='DEV2 x'", *lines]))
    _, left = examine_settings(completed(imported), "x")
    assert [problem for problem in left if "is not under vaults" not in problem] == []
