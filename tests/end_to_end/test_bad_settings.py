"""Settings that are wrong: every command says all of it, with one exit status, and does nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site

SEVERAL = """\
system: {name: TAPESRV1}
vaults:
  VAULT00: {backing: relative, mountpoint: /VAULT00}
targets:
  drsite: {host: h, user: u, key: /nowhere/key, known_hosts: none, vaults: {VAULT00: /V}}
autocopy:
  - {pool: /VAULT00/BILL, target: nosuch, target_pool: /VAULT00/BILL}
retry: {attempts: 12, interval: 300, colour: blue}
extra: 1
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path / "src") as made:
        made.write_settings()
        yield made


def listing(root: Path) -> dict[Path, tuple[int, int]]:
    """Return every file below *root* with what would show that it was touched."""
    found = {path: path.lstat() for path in root.rglob("*")}
    return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found.items()}


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("copyagent", ("check",)),
        ("copyagent", ("run",)),
        ("copyagent", ("status",)),
        ("vtsfs", ("attach", "VAULT00")),
        ("vtsfs", ("status", "VAULT00")),
    ],
)
def test_every_command_lists_all_that_is_wrong(
    site: Site, program: str, arguments: tuple[str, ...]
) -> None:
    site.config.write_text(SEVERAL)
    before = listing(site.root)
    done = site.run(program, *arguments)
    assert done.returncode == 10
    for key in (
        "vaults.VAULT00.backing: ",
        "targets.drsite.known_hosts: ",
        "retry.interval: ",
        "retry.colour: ",
        "extra: ",
    ):
        assert f"{site.config}: {key}" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert listing(site.root) == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("system: [unclosed", "not YAML"),
        ("\ttabs: 1", "not YAML"),
        ("", "should hold keys"),
        ("just words", "should hold keys"),
        ("system: {name: A}\nsystem: {name: B}", "twice"),
        ("\0", "not YAML"),
    ],
)
def test_what_is_no_settings_file_at_all_is_said(site: Site, text: str, told: str) -> None:
    site.config.write_text(text)
    done = site.run("copyagent", "check")
    assert (done.returncode, done.stdout) == (10, "")
    assert told in done.stderr
    assert str(site.config) in done.stderr


def test_a_missing_file_is_named_with_the_remedy(site: Site) -> None:
    site.config.unlink()
    done = site.run("copyagent", "check")
    assert done.returncode == 10
    assert str(site.config) in done.stderr
    assert "--config" in done.stderr


def test_files_that_are_wrong_are_told_together_with_the_text(site: Site) -> None:
    key = site.root / "key"
    key.write_text("secret")
    key.chmod(0o644)
    site.settings["targets"]["drsite"] = {
        "host": "127.0.0.1",
        "user": "vts",
        "key": str(key),
        "known_hosts": "/nowhere/known_hosts",
        "vaults": {"VAULT00": "/VAULT00"},
    }
    site.watch("/VAULT00/NOPOOL", "drsite")
    site.settings["retry"]["colour"] = "blue"
    site.write_settings()
    before = listing(site.root)
    done = site.run("copyagent", "check")
    assert done.returncode == 10
    for told in ("chmod 600", "/nowhere/known_hosts", "/VAULT00/NOPOOL", "retry.colour"):
        assert told in done.stderr
    assert listing(site.root) == before


def test_checking_good_settings_changes_nothing(site: Site) -> None:
    before = listing(site.root)
    done = site.run("copyagent", "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "in order" in done.stdout
    assert listing(site.root) == before
