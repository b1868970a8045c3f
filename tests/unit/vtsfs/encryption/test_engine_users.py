import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import SettingsError
from vtsfs.encryption.engine_users import EngineUsers, engine_users, supplementary_groups
from vtsfs.overlay.caller import Caller

NOBODY = pwd.getpwnam("nobody")
STRANGER = 54_321
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may take groups")


def test_by_default_everybody_but_root() -> None:
    users = engine_users(example_settings(Path("/x")))
    assert users == EngineUsers()
    assert not users.include(Caller(0, 0, 1))
    assert users.include(Caller(STRANGER, STRANGER, 0))


def test_the_service_s_group_is_let_through(tmp_path: Path) -> None:
    with_group = EXAMPLE + "service: {group: nogroup}\n"
    users = engine_users(example_settings(tmp_path, with_group))
    assert users.group is not None
    assert users.may_include(STRANGER)
    assert not users.include(Caller(STRANGER, users.group, 0)), "its own group"
    assert not users.include(Caller(NOBODY.pw_uid, STRANGER, 0)), "by the database"
    assert users.include(Caller(STRANGER, STRANGER, 0))


def test_a_list_is_exact(tmp_path: Path) -> None:
    listed = EXAMPLE + "encryption: {engine_users: [nobody, 1001, root]}\n"
    users = engine_users(example_settings(tmp_path, listed))
    assert users == EngineUsers(frozenset({NOBODY.pw_uid, 1001, 0}))
    for uid, included in ((0, True), (1001, True), (NOBODY.pw_uid, True), (STRANGER, False)):
        assert users.may_include(uid) is included
        assert users.include(Caller(uid, 0, 0)) is included


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("encryption: {engine_users: [no-such-user]}", r"engine_users.*no-such-user"),
        ("service: {group: no-such-group}", r"service\.group.*no-such-group"),
    ],
)
def test_an_unknown_name(tmp_path: Path, section: str, complaint: str) -> None:
    settings = example_settings(tmp_path, f"{EXAMPLE}{section}\n")
    with pytest.raises(SettingsError, match=complaint):
        engine_users(settings)


@needs_root
def test_further_groups_of_the_process_count() -> None:
    with subprocess.Popen(
        ["cat"],
        stdin=subprocess.PIPE,
        user=STRANGER,
        group=STRANGER,
        extra_groups=[77_777, 88_888],
        cwd="/",
    ) as process:
        caller = Caller(STRANGER, STRANGER, process.pid)
        assert supplementary_groups(caller) == {77_777, 88_888}
        assert not EngineUsers(group=77_777).include(caller)
        assert EngineUsers(group=99_999).include(caller)
        another = Caller(STRANGER + 1, STRANGER, process.pid)
        assert supplementary_groups(another) == frozenset(), "a number that was given away"
        process.communicate()


@pytest.mark.parametrize("pid", [0, 1 << 30])
def test_a_process_that_cannot_be_seen_has_no_groups(pid: int) -> None:
    assert supplementary_groups(Caller(STRANGER, STRANGER, pid)) == frozenset()
