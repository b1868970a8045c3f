"""The lines for a target's files; `test_keys_init` shows with a real sshd what they do."""

import pytest

from copyagent.cli.target_set_up import authorized_keys_line, match_block
from copyagent.ssh.key_pairs import PublicKey

KEY = PublicKey("ssh-ed25519", "AAAAC3Nza", "SHA256:abc")


@pytest.mark.parametrize(
    ("commands", "options"), [(False, 'restrict,command="internal-sftp"'), (True, "restrict")]
)
def test_the_line_restricts_first(commands: bool, options: str) -> None:
    line = authorized_keys_line(KEY, "vts-autocopy@TAPESRV1", commands=commands)
    assert line == f"{options} ssh-ed25519 AAAAC3Nza vts-autocopy@TAPESRV1"


def test_the_block_forces_sftp_unless_commands_are_allowed() -> None:
    locked, free = match_block("vts", commands=False), match_block("vts", commands=True)
    assert locked.startswith("Match User vts\n")
    assert "\n    ForceCommand internal-sftp\n" in locked
    assert "\n    #ChrootDirectory " in locked
    assert "ForceCommand" not in free
    for text in (locked, free):
        assert "\n    DisableForwarding yes\n" in text
        assert "\n    PermitTTY no\n" in text
