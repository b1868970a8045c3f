"""``copyagent keys init``: a key is made, a target's administrator told, a host key pinned."""

import json
import os
import secrets
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from pwd import getpwnam
from typing import Any

import click
import trio

from copyagent.cli.asking import answer_to
from copyagent.cli.console import printable
from copyagent.cli.target_names import target_named
from copyagent.cli.target_set_up import authorized_keys_line, match_block
from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.dialling import SshFailure
from copyagent.ssh.host_keys import Pinned, fetch_host_key, known_hosts_line, pinned_for
from copyagent.ssh.key_pairs import KeyUnusable, Kind, PublicKey, make_key, public_half
from vtsfs.contract.credentials import is_handed_over
from vtsfs.contract.errors import (
    HostKeyRejected,
    LinkFailed,
    NotConfirmed,
    SettingsError,
    StateError,
)
from vtsfs.contract.settings import Settings, Target
from vtsfs.contract.settings_file import read_settings
from vtsfs.runtime.files import fsync_directory, write_atomic


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    target: str
    kind: str
    allow_commands: bool
    fingerprint: str | None
    tested: bool
    as_json: bool = False


@dataclass(slots=True)
class Told:
    """What is told on the way: to people as it comes, as one document at the end."""

    as_json: bool
    facts: dict[str, Any] = field(default_factory=lambda: {"schema": 1})

    def say(self, text: str) -> None:
        """Tell *text*; where a document is wanted, on standard error, since a question may follow."""
        click.echo(text, err=self.as_json)


def run_init(config: Path, wanted: Wanted) -> None:
    """Do all of it; raises the error that ends it, with what was done before it left in place."""
    settings = read_settings(config)
    name = target_named(settings, wanted.target)
    target = settings.targets[name]
    told = Told(wanted.as_json)
    told.facts["target"] = name
    key = _own_key(settings, name, wanted.kind, told)
    _show_set_up(settings, target, key, told, commands=wanted.allow_commands)
    _pin(name, target, wanted.fingerprint, told)
    if wanted.as_json:
        click.echo(json.dumps(told.facts, indent=1))
    if wanted.tested:
        from copyagent.cli.doctor_run import run_doctor

        run_doctor(config, name, as_json=False)


# ---- our own key ---------------------------------------------------------------------------------


def _own_key(settings: Settings, name: str, kind: str, told: Told) -> PublicKey:
    path = settings.targets[name].key
    if os.path.lexists(path):
        try:
            key = public_half(path)
        except KeyUnusable as error:
            problem = f"targets.{name}.key: {error}; it is left as it is: move it away to get one"
            raise SettingsError(problem, (problem,)) from error
        told.say(f"{path} is there already: {key.kind} {key.fingerprint}")
        told.facts["key"] = _key_document(path, key, made=False)
        return key
    chosen: Kind = "rsa" if kind == "rsa" else "ecdsa" if kind == "ecdsa" else "ed25519"
    private, key = make_key(chosen)
    try:
        _write_new(path, private, _owner(settings, path))
        public = path.with_name(path.name + ".pub")
        _write_public_half(public, _public_line(settings, key), told)
    except FileExistsError as error:
        raise StateError(f"{path} was just made by somebody else; try again") from error
    except OSError as error:
        problem = f"targets.{name}.key: {path} cannot be made: {error.strerror}"
        raise SettingsError(problem, (problem,)) from error
    told.say(f"made {path}: {key.kind} {key.fingerprint}")
    told.facts["key"] = _key_document(path, key, made=True)
    return key


def _key_document(path: Path, key: PublicKey, *, made: bool) -> dict[str, Any]:
    return {"path": str(path), "kind": key.kind, "fingerprint": key.fingerprint, "made": made}


def _write_public_half(path: Path, line: bytes, told: Told) -> None:
    """For people's convenience: nobody needs this file, so what is there already may stay."""
    if os.path.lexists(path):
        told.say(f"{path} is there already, of another key, and stays as it is")
    else:
        write_atomic(path, line, 0o644)


def _public_line(settings: Settings, key: PublicKey) -> bytes:
    return key.line(comment_of(settings)).encode("ascii") + b"\n"


def comment_of(settings: Settings) -> str:
    """Return the comment of our public keys: whose they are."""
    return f"vts-autocopy@{settings.system.name}"


def _owner(settings: Settings, path: Path) -> int | None:
    """Return who must be able to read the key, if it is not we: the agent's user.

    What its service is handed at the start stays root's.
    """
    user = settings.service.user
    if user is None or os.geteuid() != 0 or is_handed_over(path):
        return None
    try:
        return getpwnam(user).pw_uid
    except KeyError as error:
        problem = f"service.user: there is no user {user!r}"
        raise SettingsError(problem, (problem,)) from error


def _write_new(path: Path, data: bytes, owner: int | None) -> None:
    """Make *path*, whole, durable and private from its first moment; never replace one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
            file.flush()
            if owner is not None:
                os.fchown(fd, owner, -1)
            os.fsync(fd)
        # Unlike a rename, this fails where something has the name.
        os.link(temporary, path)
    finally:
        temporary.unlink()
    fsync_directory(path.parent)


# ---- what the target needs -----------------------------------------------------------------------


def _show_set_up(
    settings: Settings, target: Target, key: PublicKey, told: Told, *, commands: bool
) -> None:
    block = match_block(target.user, commands=commands)
    line = authorized_keys_line(key, comment_of(settings), commands=commands)
    told.say(
        f"\nAt {target.host}, this line belongs into ~{target.user}/.ssh/authorized_keys:\n\n{line}"
    )
    told.say(
        "\nIf no person logs in as this user, this belongs at the end of sshd_config there "
        f"as well:\n\n{block}"
    )
    told.facts |= {"authorized_keys": line, "sshd_config": block}


# ---- the target's key ----------------------------------------------------------------------------


def _pin(name: str, target: Target, accepted: str | None, told: Told) -> None:
    key = trio.run(_fetch, target, strict_exception_groups=True)
    if isinstance(key, LinkFailed):
        raise key
    try:
        text = target.known_hosts.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, ValueError) as error:
        problem = f"targets.{name}.known_hosts: {target.known_hosts} cannot be read: {error}"
        raise SettingsError(problem, (problem,)) from error
    where = f"{target.host} port {target.port}"
    told.say(f"the host key of {where}: {key.kind} {key.fingerprint}")
    host_key = {"kind": key.kind, "fingerprint": key.fingerprint, "pinned": "already"}
    told.facts["host_key"] = host_key
    pinned = _pinned(name, target, text)
    if pinned.certified:
        host_key["pinned"] = "by authority"
        told.say(f"an authority that vouches for it is pinned in {target.known_hosts}")
        return
    if any(one.text == key.text for one in pinned.keys):
        told.say(f"it is pinned in {target.known_hosts} already")
        return
    if same := [one for one in pinned.keys if one.kind == key.kind]:
        raise HostKeyRejected(
            f"{where} shows another host key than {target.known_hosts} pins ({same[0].fingerprint}): "
            "find out why before anything else; if it is right, take the old line out of that file"
        )
    _confirm(key, accepted, told)
    host_key["pinned"] = "now"
    _write_pin(name, target, text, known_hosts_line(target, key))
    told.say(f"pinned in {target.known_hosts}")


async def _fetch(target: Target) -> PublicKey | LinkFailed:
    """Return the failure instead of raising it: the bridge's nursery would wrap it in a group."""
    where = f"{target.host}:{target.port}"
    async with open_bridge():
        with trio.move_on_after(target.connect_timeout):
            try:
                return await fetch_host_key(target)
            except SshFailure as error:
                advice = f"; {error.next_step}" if error.next_step else ""
                return LinkFailed(f"{printable(str(error))}{advice}")
    return LinkFailed(f"{where} did not answer within {target.connect_timeout:g} s")


def _pinned(name: str, target: Target, text: str) -> Pinned:
    try:
        return pinned_for(text, target)
    except ValueError as error:
        problem = f"targets.{name}.known_hosts: {target.known_hosts} holds no host keys: {error}"
        raise SettingsError(problem, (problem,)) from error


def _confirm(key: PublicKey, accepted: str | None, told: Told) -> None:
    if accepted is not None:
        if accepted.removeprefix("SHA256:") != key.fingerprint.removeprefix("SHA256:"):
            raise HostKeyRejected(
                f"the host key has another fingerprint than {accepted}; it is not pinned: "
                "whoever answers there may not be the target"
            )
        return
    told.say(
        "Compare it over another channel. At the target's console this shows the fingerprints:\n"
        "    for f in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $f; done"
    )
    try:
        answer = answer_to("Type yes if it is the same: ")
    except NotConfirmed:
        answer = ""
    if answer.lower() != "yes":
        raise NotConfirmed(
            f"the host key {key.fingerprint} was not confirmed, so it is not pinned, and no copy can "
            "be made to this target; --accept-fingerprint confirms it without being asked"
        )


def _write_pin(name: str, target: Target, text: str, line: str) -> None:
    # Through a symbolic link to the file it stands for.
    path = target.known_hosts.resolve()
    if text and not text.endswith("\n"):
        text += "\n"
    try:
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
        owner = path.stat() if path.exists() else None
        write_atomic(path, (text + line).encode("utf-8"), mode)
        if owner is not None and os.geteuid() == 0:
            shutil.chown(path, owner.st_uid, owner.st_gid)
    except OSError as error:
        problem = f"targets.{name}.known_hosts: {path} cannot be written: {error.strerror}"
        raise SettingsError(problem, (problem,)) from error
