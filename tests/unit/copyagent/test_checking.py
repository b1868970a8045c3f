"""One look at a settings file for the command, the start and the reload."""

import os
from pathlib import Path

import pytest

from copyagent.checking import look_at
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.errors import SettingsError


def put(root: Path, text: str = EXAMPLE) -> Path:
    """Write a settings file whose key and known_hosts are there."""
    for name in ("key", "known_hosts"):
        (root / name).write_text("")
        (root / name).chmod(0o600)
    file = root / "settings.yaml"
    file.write_text(text.replace("ROOT", str(root)))
    return file


def test_what_is_away_is_told_apart_from_what_is_wrong(tmp_path: Path) -> None:
    checked = look_at(put(tmp_path))
    assert checked.problems == ()
    assert checked.sound().system.name == "TAPESRV1"
    assert [line.split(": ")[1] for line in checked.away] == [
        "vaults.VAULT00.backing",
        "vaults.VAULT00.mountpoint",
    ]
    (tmp_path / "backing" / "BILL").mkdir(parents=True)
    (tmp_path / "VAULT00").mkdir()
    assert look_at(tmp_path / "settings.yaml").away == ()


def test_text_files_users_and_algorithms_are_told_of_in_one_go(tmp_path: Path) -> None:
    text = EXAMPLE.replace("user: vts\n", "user: vts\n    algorithms: {kex: [no-such]}\n")
    file = put(
        tmp_path, f"{text}service: {{user: nobody-of-that-name, operators: none-such}}\nodd: 1\n"
    )
    os.chmod(tmp_path / "key", 0o644)
    with pytest.raises(SettingsError) as caught:
        look_at(file).sound()
    told = "\n".join(caught.value.problems)
    for part in (
        "odd: no such setting",
        "service.user: there is no user 'nobody-of-that-name'",
        "service.operators: there is no group 'none-such'",
        "key can be read by others; run: chmod 600",
        "no-such",
    ):
        assert part in told


def test_without_a_vault_it_is_in_order_and_nothing_to_run_by(tmp_path: Path) -> None:
    file = put(tmp_path, "system: {name: TAPESRV1}\nvaults: {}\nems: {required: false}\n")
    checked = look_at(file)
    assert (checked.problems, checked.away) == ((), ())
    with pytest.raises(SettingsError, match="none is configured yet"):
        checked.sound()


def test_a_file_that_is_none_is_told_so(tmp_path: Path) -> None:
    for text, said in (
        ("a: [", "not YAML"),
        ("- a\n", "should hold keys"),
        (None, "cannot be read"),
    ):
        file = tmp_path / "settings.yaml"
        file.unlink(missing_ok=True)
        if text is not None:
            file.write_text(text)
        checked = look_at(file)
        assert checked.settings is None
        assert said in checked.problems[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks for somebody else")
def test_for_root_keys_have_to_be_the_agents(tmp_path: Path) -> None:
    file = put(tmp_path, f"{EXAMPLE}service: {{user: daemon}}\n")
    (problem,) = look_at(file).problems
    assert "belongs to root, not to the agent's user" in problem
    os.chown(tmp_path / "key", 1, -1)  # daemon, everywhere
    assert look_at(file).problems == ()
