"""Acts that nobody could enter yet: each a file of its own, read back in their order."""

import json
import os
from pathlib import Path

import pytest

from tests.support.example_settings import example_settings
from vtsfs.runtime.late_acts import LateAct, leave, left, place_of, who

ACT = LateAct("anna", "fence", "drsite", "in service", 17, "in reach", "fenced", told=True)


def test_they_are_read_back_oldest_first(tmp_path: Path) -> None:
    acts = tmp_path / "acts"
    later = LateAct("root", "unfence", "drsite", "back \u00fc", 18)
    leave(acts, later)
    leave(acts, ACT)
    assert [act for _, act in left(acts)] == [ACT, later]
    assert acts.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in acts.iterdir())


def test_where_no_agent_ever_ran_there_is_nobody_to_enter_them(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        leave(tmp_path / "agent" / "acts", ACT)
    assert list(left(tmp_path / "agent" / "acts")) == []


def test_what_root_leaves_belongs_to_the_directorys_owner(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 12345, 12346)
    leave(tmp_path / "acts", ACT)
    for path in (tmp_path / "acts", *(tmp_path / "acts").iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (12345, 12346)


def test_nobody_leads_root_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "agent").mkdir()
    (tmp_path / "victim").mkdir(0o755)
    (tmp_path / "agent" / "acts").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="acts"):
        leave(tmp_path / "agent" / "acts", ACT)
    assert list((tmp_path / "victim").iterdir()) == []


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", json.dumps({"user": 1}), '{"user": "x", "colour": "red"}']
)
def test_what_is_no_act_is_told_apart(text: str, tmp_path: Path) -> None:
    path = tmp_path / "1-ab.json"
    path.write_text(text)
    (tmp_path / "2-cd.json.unreadable").write_text("not looked at")
    assert list(left(tmp_path)) == [(path, None)]


def test_wrong_kinds_of_values_are_no_act_either(tmp_path: Path) -> None:
    for name, value in (("user", 5), ("at_ns", "5"), ("at_ns", True), ("because", None)):
        leave(tmp_path / "acts", ACT)
        (path,) = (tmp_path / "acts").iterdir()
        path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
        assert [act for _, act in left(tmp_path / "acts")] == [None]
        path.unlink()


def test_they_lie_in_the_agents_directory(tmp_path: Path) -> None:
    settings = example_settings(tmp_path)
    assert place_of(settings).parent == settings.agent_directory()


def test_root_by_way_of_sudo_is_named_with_who_that_was() -> None:
    name = who({})
    assert who({"SUDO_USER": name}) == name
    sudo = who({"SUDO_USER": "anna"})
    assert sudo == (f"{name} (sudo by anna)" if os.getuid() == 0 else name)
    assert who({"SUDO_USER": "an\x1bna"}) == name
    assert len(who({"SUDO_USER": "x" * 999})) < 99


def test_what_a_program_of_a_later_release_says_besides_is_passed_over(tmp_path: Path) -> None:
    leave(tmp_path / "acts", ACT)
    (path,) = (tmp_path / "acts").iterdir()
    path.write_text(json.dumps(json.loads(path.read_text()) | {"from": "vtsfs", "signed": [1]}))
    assert [act for _, act in left(tmp_path / "acts")] == [ACT]
