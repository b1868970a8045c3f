"""What has to be written into files at a target, for operators to copy. Pure text.

``restrict`` takes everything away that a log-in may do besides (sshd(8), AUTHORIZED_KEYS FILE
FORMAT); the forced command takes the shell. What a stolen key can still do is in vts-autocopy(7).
"""

from copyagent.ssh.key_pairs import PublicKey


def authorized_keys_line(key: PublicKey, comment: str, *, commands: bool) -> str:
    """Write the line that lets *key* in; with *commands*, it may also run some, such as sha256sum."""
    options = "restrict" if commands else 'restrict,command="internal-sftp"'
    return f"{options} {key.line(comment)}"


def match_block(user: str, *, commands: bool) -> str:
    """Write what sshd_config of the target needs for *user*, who is not to be a person.

    It must stand at the end of the file: a Match block lasts until the next one.
    """
    forced = (
        []
        if commands
        else [
            "    ForceCommand internal-sftp",
            "    # Shut in there, vaults are named as seen from within: every directory on the way",
            "    # to it, and it itself, must belong to root and be writable by root alone.",
            "    #ChrootDirectory /srv/vts",
        ]
    )
    return "\n".join(
        [
            f"Match User {user}",
            "    AuthenticationMethods publickey",
            "    DisableForwarding yes",
            "    PermitTTY no",
            "    PermitUserRC no",
            *forced,
            "",
        ]
    )
