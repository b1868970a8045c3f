"""The issuer's tool, as its README says to use it."""

import importlib.util
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest

from copyagent.core.licence import FEATURE, Terms
from copyagent.licence.token import decode
from tests.support.nonstop import TREE

TOOL = TREE / "packaging" / "licence" / "issue.py"


def issue(*arguments: str | Path, status: int = 0) -> str:
    ended = subprocess.run(
        [sys.executable, TOOL, *arguments], capture_output=True, text=True, check=False
    )
    assert ended.returncode == status, ended.stderr
    return ended.stdout if not status else ended.stderr


def edition_of(text: str, path: Path) -> ModuleType:
    path.write_text(text, encoding="ascii")
    spec = importlib.util.spec_from_file_location("edition_of_a_package", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_licence_from_nothing(tmp_path: Path) -> None:
    key = tmp_path / "issuer"
    issue("keygen", key)
    assert key.stat().st_mode & 0o777 == 0o600
    built = edition_of(issue("edition", tmp_path / "issuer.pub"), tmp_path / "edition.py")
    assert built.LICENCE_REQUIRED is True
    for_one: list[str | Path] = ["sign", "--key", key, "--system", "TAPESRV1", "--customer", "Bänk"]
    text = issue(*for_one, "--serial", "T-1", "--issued", "2026-01-01", "--expires", "2026-12-31")
    assert text.startswith("# data-replication for system TAPESRV1 until 2026-12-31")
    assert decode(text, built.LICENCE_ISSUERS) == Terms(
        "TAPESRV1", "Bänk", "T-1", date(2026, 1, 1), date(2026, 12, 31), FEATURE
    )
    assert "its system" in issue(
        "sign", "--key", key, "--system", "A B", "--customer", "x", "--serial", "1",
        "--days", "30", status=1,
    )  # fmt: skip
    assert "File exists" in issue("keygen", key, status=1)


def test_what_is_no_public_key_makes_no_edition(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pub"
    wrong.write_text("AAAA")
    assert "no public Ed25519 key" in issue("edition", wrong, status=1)


@pytest.mark.parametrize("command", ["keygen", "sign", "edition"])
def test_the_readme_names_every_command(command: str) -> None:
    readme = (TOOL.parent / "README.md").read_text(encoding="utf-8")
    assert f"issue.py {command}" in readme
