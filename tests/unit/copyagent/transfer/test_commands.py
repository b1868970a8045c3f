import hashlib
import subprocess
from pathlib import Path

import pytest

from copyagent.transfer.commands import (
    parse_sha256,
    parse_tokens,
    sha256_command,
    token_command,
)

DIGEST = "ab" * 32
TOKEN = "4711 2026-01-01 00:00:00.123456789 +0000"


def shell(command: str) -> str:
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.parametrize("name", ["plain", "-rf", "a b", "it's $(touch x)", "new\nline", "`x`;"])
def test_the_commands_mean_the_named_file_and_nothing_else(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"content")
    digest = parse_sha256(shell(sha256_command(str(path))))
    assert digest == hashlib.sha256(b"content").hexdigest()
    (before,) = parse_tokens(shell(token_command(str(path))), 1)
    assert before.startswith(f"{path.stat().st_ino} ")
    path.chmod(0o600)
    assert parse_tokens(shell(token_command(str(path))), 1) != [before], "ctime is part of it"
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_the_token_does_not_depend_on_the_target_s_time_zone(tmp_path: Path) -> None:
    command = token_command(str(tmp_path))
    assert shell(f"TZ=Asia/Tokyo {command}") == shell(f"TZ=America/New_York {command}")


@pytest.mark.parametrize(
    ("output", "digest"),
    [
        (f"{DIGEST}  -\n", DIGEST),
        (f"{DIGEST} *-\n", DIGEST),
        (f"Welcome to DR\n{DIGEST}  -\n", DIGEST),
        ("", None),
        (f"{DIGEST}\n", None),
        (f"{DIGEST[1:]}  -\n", None),
        (f"{DIGEST}  -\nsha256sum: read error\n", None),
        ("This service allows sftp connections only.\n", None),
    ],
)
def test_only_a_digest_counts_as_one(output: str, digest: str | None) -> None:
    assert parse_sha256(output) == digest


@pytest.mark.parametrize(
    ("output", "token"),
    [
        (f"{TOKEN}\n", TOKEN),
        (f"hello\n{TOKEN}", TOKEN),
        ("", ""),
        ("4711 2026-01-01\n", ""),
        ("%i %z\n", ""),
        (f"{TOKEN} and more\n", ""),
    ],
)
def test_only_inode_and_ctime_count_as_a_token(output: str, token: str) -> None:
    assert parse_tokens(output, 1) == [token]
