import os
import subprocess
from pathlib import Path

import pytest

from vtsfs.contract.settings import Settings, parse_settings
from vtsfs.contract.settings_check import check_files, check_settings_file
from vtsfs.contract.settings_notify import AlarmHook

TEXT = """
system: {{name: TAPESRV1}}
paths: {{state: {0}/state, run: {0}/run, event_log: {0}/event.log}}
vaults:
  VAULT00: {{backing: {0}/backing, mountpoint: {0}/VAULT00}}
targets:
  drsite:
    host: vts-dr.example.com
    user: vts
    key: {0}/key
    known_hosts: {0}/known_hosts
    vaults: {{VAULT00: /VAULT00}}
autocopy:
  - {{pool: /VAULT00/BILL, target: drsite, target_pool: /VAULT00/BILL}}
ems:
  hosts:
    DEV2: {{address: dev2.example.com, user: VTS.EMS, password_file: {0}/password}}
"""


def private(path: Path) -> Path:
    path.write_text("secret", encoding="ascii")
    path.chmod(0o600)
    return path


def site_in(top: Path) -> Path:
    for name in ("backing/BILL", "VAULT00"):
        (top / name).mkdir(parents=True)
    for name in ("key", "known_hosts", "password"):
        private(top / name)
    return top


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return site_in(tmp_path)


def settings_of(site: Path) -> Settings:
    return parse_settings(TEXT.format(site), "x")


def test_all_is_well(site: Path) -> None:
    assert check_files(settings_of(site), "x") == ()


@pytest.mark.parametrize(
    ("listen", "problems"),
    [
        ("run/metrics.sock", 0),
        ("metrics.sock", 0),
        ("nowhere/metrics.sock", 1),
        ("key/metrics.sock", 1),
    ],
)
def test_where_figures_are_offered(site: Path, listen: str, problems: int) -> None:
    text = TEXT.format(site) + f"metrics: {{listen: {site}/{listen}}}\n"
    found = check_files(parse_settings(text, "x"), "x")
    assert len(found) == problems
    assert all("x: metrics.listen: " in problem and "create it" in problem for problem in found)


def test_nothing_is_changed_by_looking(site: Path) -> None:
    before = sorted(site.rglob("*"))
    check_files(settings_of(site), "x")
    assert sorted(site.rglob("*")) == before


def test_every_missing_thing_is_told_by_its_key(site: Path) -> None:
    for name in ("key", "known_hosts", "password"):
        (site / name).unlink()
    (site / "backing" / "BILL").rmdir()
    (site / "VAULT00").rmdir()
    problems = check_files(settings_of(site), "x")
    keys = [problem.split(": ")[1] for problem in problems]
    assert keys == [
        "vaults.VAULT00.mountpoint",
        "autocopy.0.pool",
        "targets.drsite.key",
        "targets.drsite.known_hosts",
        "ems.hosts.DEV2.password_file",
    ]


def test_a_missing_vault_does_not_also_report_its_pools(site: Path) -> None:
    (site / "backing" / "BILL").rmdir()
    (site / "backing").rmdir()
    (problem,) = check_files(settings_of(site), "x")
    assert problem.startswith("x: vaults.VAULT00.backing: ")


@pytest.mark.parametrize("name", ["key", "password"])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_secret_that_others_can_read(site: Path, name: str, mode: int) -> None:
    (site / name).chmod(mode)
    (problem,) = check_files(settings_of(site), "x")
    assert f"chmod 600 {site / name}" in problem


def test_known_hosts_may_be_public(site: Path) -> None:
    (site / "known_hosts").chmod(0o644)
    assert check_files(settings_of(site), "x") == ()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_secret_of_somebody_else(site: Path) -> None:
    os.chown(site / "key", 65534, -1)
    (problem,) = check_files(settings_of(site), "x")
    assert "belongs to another user (uid 65534)" in problem


def test_a_fifo_or_directory_is_no_secret_and_does_not_block(site: Path) -> None:
    (site / "key").unlink()
    os.mkfifo(site / "key", 0o600)
    (site / "password").unlink()
    (site / "password").mkdir()
    problems = check_files(settings_of(site), "x")
    assert [problem.split(": ")[1] for problem in problems] == [
        "targets.drsite.key",
        "ems.hosts.DEV2.password_file",
    ]


def test_a_file_in_the_way_of_the_mount_point(site: Path) -> None:
    (site / "VAULT00").rmdir()
    (site / "VAULT00").write_text("", encoding="ascii")
    (problem,) = check_files(settings_of(site), "x")
    assert problem.startswith("x: vaults.VAULT00.mountpoint: ")


def test_the_mount_point_below_a_file(site: Path) -> None:
    text = TEXT.format(site).replace(f"{site}/VAULT00", f"{site}/key/VAULT00")
    (problem,) = check_files(parse_settings(text, "x"), "x")
    assert problem.startswith("x: vaults.VAULT00.mountpoint: ")


def test_text_and_files_are_reported_together(site: Path) -> None:
    (site / "key").chmod(0o644)
    path = site / "site.yaml"
    text = TEXT.format(site).replace("{name: TAPESRV1}", "{name: TAPESRV1, modell: x}")
    path.write_text(text + "retry: {interval: 5}\n", encoding="utf-8")
    settings, problems = check_settings_file(path)
    assert settings is None
    assert [problem.removeprefix(f"{path}: ").split(": ")[0] for problem in problems] == [
        "system.modell",
        "retry.interval",
        "targets.drsite.key",
    ]


def test_a_good_file_gives_the_settings(site: Path) -> None:
    path = site / "site.yaml"
    path.write_text(TEXT.format(site), encoding="utf-8")
    assert check_settings_file(path) == (settings_of(site), ())


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    settings, problems = check_settings_file(tmp_path / "none.yaml")
    assert settings is None
    assert len(problems) == 1
    assert "cannot be read" in problems[0]


@pytest.mark.parametrize("form", ["RFC4716", "PEM"])
@pytest.mark.parametrize("passphrase", ["", "secret words"])
def test_a_key_that_wants_a_passphrase_is_told(site: Path, form: str, passphrase: str) -> None:
    (site / "key").unlink()
    kind = ["-t", "rsa", "-b", "2048"]
    command = ["ssh-keygen", "-q", *kind, "-m", form, "-N", passphrase, "-f", str(site / "key")]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    problems = check_files(settings_of(site), "x")
    assert len(problems) == (1 if passphrase else 0)
    assert all("targets.drsite.key" in problem and "passphrase" in problem for problem in problems)


ENCRYPTION = """
encryption:
  signature: {{magic: SVTS, key_id: {{offset: 4, length: 8}}}}
  engine_users: [root, 1001, {1}]
  key_servers: {{main: {{file: {0}/keys}}}}
"""


def with_keys(site: Path, user: str = "root") -> Settings:
    return parse_settings(TEXT.format(site) + ENCRYPTION.format(site, user), "x")


def test_a_key_list_that_is_well(site: Path) -> None:
    (site / "keys").write_bytes(b"KEY1\n# comment\n")
    (site / "keys").chmod(0o644)
    assert check_files(with_keys(site), "x") == ()


def test_a_key_list_that_is_not_there(site: Path) -> None:
    (problem,) = check_files(with_keys(site), "x")
    assert problem.startswith("x: encryption.key_servers.main.file: ")
    assert "cannot be read: No such file" in problem


def test_a_key_list_that_is_none(site: Path) -> None:
    (site / "keys").write_bytes(b"KEY1\n\xff")
    (site / "keys").chmod(0o644)
    (problem,) = check_files(with_keys(site), "x")
    assert problem.endswith(f"{site}/keys is not UTF-8 at byte 5")
    (site / "keys").unlink()
    os.mkfifo(site / "keys")
    (problem,) = check_files(with_keys(site), "x")
    assert "not a regular file" in problem


def test_a_key_list_that_anybody_can_write_opens_every_tape(site: Path) -> None:
    (site / "keys").write_bytes(b"KEY1\n")
    (site / "keys").chmod(0o666)
    (problem,) = check_files(with_keys(site), "x")
    assert f"chmod go-w {site}/keys" in problem


@pytest.mark.parametrize(
    ("section", "complaint"),
    [
        ("{enabled: true}", "encryption.signature: there is none"),
        ("{engine_users: [root]}", "encryption.signature: there is none"),
        (
            "{enabled: true, signature: {magic: SVTS, key_id: {offset: 4, length: 8}}}",
            "encryption.key_servers: there is none",
        ),
    ],
)
def test_a_gate_that_cannot_do_what_was_meant(site: Path, section: str, complaint: str) -> None:
    settings = parse_settings(f"{TEXT.format(site)}\nencryption: {section}\n", "x")
    (problem,) = check_files(settings, "x")
    assert problem.startswith(f"x: {complaint}")


@pytest.mark.parametrize(
    "section", ["{}", "{signature: {magic: SVTS, key_id: {offset: 4, length: 8}}}"]
)
def test_a_gate_that_is_off_or_shut_on_purpose(site: Path, section: str) -> None:
    settings = parse_settings(f"{TEXT.format(site)}\nencryption: {section}\n", "x")
    assert check_files(settings, "x") == ()


def test_an_engine_user_who_is_unknown(site: Path) -> None:
    private(site / "keys")
    (problem,) = check_files(with_keys(site, "no-such-user"), "x")
    assert problem == "x: encryption.engine_users: there is no user 'no-such-user'"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_key_list_for_root_alone_is_no_problem_to_another_user(scratch: Path) -> None:
    """The agent's user may check; the overlay, which is root, reads the list."""
    scratch.chmod(0o755)
    site = site_in(scratch)
    private(site / "keys")
    for name in ("key", "known_hosts", "password"):
        os.chown(site / name, 65534, -1)
    settings = with_keys(site)
    child = os.fork()
    if child == 0:
        os.setresuid(65534, 65534, 65534)
        os._exit(0 if check_files(settings, "x") == () else 1)
    _, status = os.waitpid(child, 0)
    assert status == 0


def test_a_password_that_cannot_be_typed_is_told_without_quoting_it(site: Path) -> None:
    (site / "password").write_text("Tape.4Two,Tape.5Two\n", encoding="ascii")
    (problem,) = check_files(settings_of(site), "x")
    assert problem.startswith(f"x: ems.hosts.DEV2.password_file: {site}/password holds a comma")
    assert "Tape" not in problem


def with_command(site: Path, command: Path) -> Settings:
    notify = AlarmHook.model_validate({"run": [str(command), "x"]})
    made = settings_of(site).model_copy(update={"notify": notify})
    assert isinstance(made, Settings)
    return made


def test_the_command_for_alarms_is_looked_at(site: Path) -> None:
    command = site.parent / "bin" / "page"
    command.parent.mkdir(mode=0o755)
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    settings = with_command(site, command)
    assert check_files(settings, "site.yaml") == ()
    command.chmod(0o644)
    [problem] = check_files(settings, "site.yaml")
    assert problem.startswith(f"site.yaml: notify.run: {command} is not a program")
    command.chmod(0o757)
    [problem] = check_files(settings, "site.yaml")
    assert f"{command} can be written by everybody" in problem
    command.chmod(0o755)
    command.parent.chmod(0o777)
    [problem] = check_files(settings, "site.yaml")
    assert f"{command.parent} can be written by everybody" in problem
    command.unlink()
    [problem] = check_files(settings, "site.yaml")
    assert f"{command} cannot be run: No such file" in problem
