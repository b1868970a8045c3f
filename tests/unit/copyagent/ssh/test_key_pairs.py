"""Key pairs are OpenSSH's: ssh-keygen reads what is made, and what it makes is read."""

import subprocess
from pathlib import Path
from typing import get_args

import pytest

from copyagent.ssh.key_pairs import KeyUnusable, Kind, PublicKey, make_key, public_half
from tests.support import sshd


def keygen(*arguments: str) -> str:
    ended = subprocess.run(["ssh-keygen", *arguments], capture_output=True, text=True, check=True)
    return ended.stdout


@pytest.mark.ssh
@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_new_key_is_read_by_ssh_keygen(tmp_path: Path, kind: Kind) -> None:
    private, public = make_key(kind)
    path = tmp_path / "key"
    path.write_bytes(private)
    path.chmod(0o600)
    assert keygen("-y", "-P", "", "-f", str(path)).split()[:2] == [public.kind, public.text]
    assert public.fingerprint == keygen("-lf", str(path)).split()[1]
    assert public_half(path) == public


@pytest.mark.ssh
def test_the_public_half_of_a_key_of_ssh_keygen(tmp_path: Path) -> None:
    path = sshd.make_key(tmp_path / "key")
    kind, text = sshd.public_half(path).read_text().split()[:2]
    found = public_half(path)
    assert found.line("me") == f"{kind} {text} me"
    assert found.line() == f"{kind} {text}"


@pytest.mark.ssh
def test_a_key_that_needs_somebody_to_type_is_of_no_use(tmp_path: Path) -> None:
    path = sshd.make_key(tmp_path / "key")
    keygen("-p", "-P", "", "-N", "secret", "-f", str(path))
    with pytest.raises(KeyUnusable, match="is of no use as a key"):
        public_half(path)


def test_a_file_that_is_no_key_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("text")
    for path, why in ((tmp_path / "text", "no use"), (tmp_path / "none", "No such file")):
        with pytest.raises(KeyUnusable, match=why):
            public_half(path)


def test_public_keys_are_equal_by_value() -> None:
    assert PublicKey("a", "b", "c") == PublicKey("a", "b", "c")
