"""What only the file system can say about the settings: are the keys readable and private?

Read-only: nothing is created, opened for writing or connected to.
"""

import base64
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from pathlib import Path

from vtsfs.contract.credentials import is_handed_over, place_of
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.key_list import MAX_BYTES, parse_key_list
from vtsfs.contract.password_file import read_password
from vtsfs.contract.settings import Settings, examine_settings
from vtsfs.contract.settings_encryption import Encryption
from vtsfs.contract.settings_file import read_text


def check_settings_file(path: Path) -> tuple[Settings | None, tuple[str, ...]]:
    """Return the settings in *path* and no problem, or None and every problem that can be found.

    Text and files are looked at together, so that an operator mends everything in one go.
    """
    try:
        text = read_text(path)
    except SettingsError as error:
        return None, error.problems
    settings, problems = examine_settings(text, str(path))
    if settings is not None:
        problems += check_files(settings, str(path))
    return (None if problems else settings), problems


def check_files(settings: Settings, name: str) -> tuple[str, ...]:
    """Return every problem with the files that *settings* names, each behind *name*.

    Vaults and pools are looked at too: a pool that does not exist is most often a typing error,
    and a watched pool that nobody can write to would look like a very quiet one.
    """
    problems = (
        *check_storage(settings),
        *check_users(settings),
        *check_private_files(settings),
        *check_metrics(settings),
    )
    return tuple(f"{name}: {problem}" for problem in problems)


def check_storage(settings: Settings) -> Iterator[str]:
    """Return what is wrong with vaults and watched pools; it may be away, and come back."""
    for vault, entry in settings.vaults.items():
        if not entry.backing.is_dir():
            yield f"vaults.{vault}.backing: {entry.backing} is not a directory"
        if not _is_directory_or_dead_mount(entry.mountpoint):
            yield f"vaults.{vault}.mountpoint: {entry.mountpoint} is not a directory; create it"
    for index, copy in enumerate(settings.autocopy):
        vault_settings = settings.vaults.get(copy.pool.vault)
        if vault_settings is None:
            continue  # told as a contradiction within the settings
        directory = vault_settings.backing / copy.pool.pool
        if vault_settings.backing.is_dir() and not directory.is_dir():
            yield f"autocopy.{index}.pool: there is no pool {copy.pool} ({directory})"


def check_users(settings: Settings) -> Iterator[str]:
    """Return which users and groups of the settings this system does not have."""
    service = settings.service
    if service.user is not None and not _is_user(service.user):
        yield f"service.user: there is no user {service.user!r}"
    for key in ("group", "operators"):
        name = getattr(service, key)
        if name is not None and not _is_group(name):
            yield f"service.{key}: there is no group {name!r}"
    for user in settings.encryption.engine_users or ():
        if isinstance(user, str) and not _is_user(user):
            yield f"encryption.engine_users: there is no user {user!r}"


def check_metrics(settings: Settings) -> Iterator[str]:
    """Return why figures cannot be offered on the socket that the settings name.

    The agent makes no directory for it but its own, ``paths.run``.
    """
    place = settings.metrics.place
    if isinstance(place, Path) and place.parent != settings.paths.run and not place.parent.is_dir():
        yield f"metrics.listen: {place.parent} is not a directory; create it"


def check_private_files(settings: Settings) -> Iterator[str]:
    """Return what is wrong with the keys, passwords and lists that the settings name.

    Looked at by root, they have to belong to the user that the agent runs under.
    """
    owner = _agent(settings)
    for target_name, target in settings.targets.items():
        yield from _key(f"targets.{target_name}.key", target.key, owner)
        yield from _readable(f"targets.{target_name}.known_hosts", target.known_hosts)
    for key, path in settings.ems.secret_files().items():
        yield from (_key if key.endswith(".key") else _password)(key, path, owner)
    for host_name, host in settings.ems.hosts.items():
        if host.known_hosts is not None:
            yield from _readable(f"ems.hosts.{host_name}.known_hosts", host.known_hosts)
    yield from _encryption(settings.encryption)
    if settings.notify.run:
        yield from _program("notify.run", Path(settings.notify.run[0]), owner)


def _agent(settings: Settings) -> int:
    """Return the user whose files they have to be: ours, or for root the agent's."""
    user = settings.service.user
    if os.geteuid() != 0 or user is None or not _is_user(user):
        return os.geteuid()
    return pwd.getpwnam(user).pw_uid


def _encryption(encryption: Encryption) -> Iterator[str]:
    if encryption.signature is None and encryption != Encryption():
        yield "encryption.signature: there is none, so the gate for encrypted tapes is off; add it"
    elif encryption.enabled and not encryption.key_servers:
        yield (
            "encryption.key_servers: there is none, so every encrypted tape is refused; "
            "add one, or say enabled: false"
        )
    for name, entry in encryption.key_servers.items():
        yield from _key_list(f"encryption.key_servers.{name}.file", entry.file)


def _program(key: str, path: Path, owner: int) -> Iterator[str]:
    """A command that others could replace would be theirs to choose, and run by the agent's user."""
    try:
        found = path.stat()
    except OSError as error:
        yield f"{key}: {path} cannot be run: {error.strerror}"
        return
    if not stat.S_ISREG(found.st_mode) or not os.access(path, os.X_OK):
        yield f"{key}: {path} is not a program that this user can run; run: chmod +x {path}"
    for place in (path, path.parent):
        mode = place.stat().st_mode
        if mode & stat.S_IWOTH and not (place != path and mode & stat.S_ISVTX):
            yield f"{key}: {place} can be written by everybody; run: chmod o-w {place}"
    if found.st_uid not in {0, owner}:
        yield f"{key}: {path} belongs to another user (uid {found.st_uid})"


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _is_group(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _key_list(key: str, path: Path) -> Iterator[str]:
    """The overlay reads it as root: that another user may not is no problem."""
    if os.geteuid() != 0 and _is_forbidden(path):
        return
    problems = list(_readable(key, path))
    yield from problems
    if problems:
        return
    try:
        with path.open("rb") as file:
            parse_key_list(file.read(MAX_BYTES + 1))
    except ValueError as error:
        yield f"{key}: {path} {error}"
    if stat.S_IMODE(path.stat().st_mode) & 0o022:
        yield f"{key}: {path} can be written by others; run: chmod go-w {path}"


def _is_forbidden(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError as error:
        return isinstance(error, PermissionError)
    return False


def _is_directory_or_dead_mount(path: Path) -> bool:
    """A mount point whose overlay crashed answers ENOTCONN; attaching again mends that."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        return error.errno == errno.ENOTCONN


def _readable(key: str, path: Path, place: Path | None = None) -> Iterator[str]:
    """What is in *path* may be read from another *place*; what is told names *path*."""
    try:
        # O_NONBLOCK: opening a FIFO would wait for somebody to write into it.
        fd = os.open(place or path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        yield f"{key}: {path} cannot be read: {error.strerror}"
        return
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            yield f"{key}: {path} is not a regular file"
    finally:
        os.close(fd)


def _key(key: str, path: Path, owner: int) -> Iterator[str]:
    problems = list(_secret(key, path, owner))
    yield from problems
    if any("cannot be read" in problem or "regular file" in problem for problem in problems):
        return
    with place_of(path, os.environ).open("rb") as file:
        content = file.read(65_536)
    if _wants_passphrase(content):
        yield (
            f"{key}: {path} has a passphrase, and nobody is there to type it; "
            f"take it off: ssh-keygen -p -f {path}"
        )


def _wants_passphrase(content: bytes) -> bool:
    """Tell whether a private key is encrypted.

    OpenSSH's own format names the cipher after its magic (PROTOCOL.key in its sources); PEM says it
    in words (RFC 1421, RFC 7468). Anything else is for the SSH library to judge.
    """
    if b"ENCRYPTED" in content:
        return True
    _, _, body = content.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    text = b"".join(body.partition(b"-----END")[0].split())
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return False
    magic = b"openssh-key-v1\0"
    return raw.startswith(magic) and not raw[len(magic) :].startswith(b"\0\0\0\x04none")


def _password(key: str, path: Path, owner: int) -> Iterator[str]:
    place = place_of(path, os.environ)
    yield from _secret(key, path, owner)
    if any(_readable(key, path, place)):
        return  # told already
    try:
        read_password(place)
    except ValueError as error:
        yield f"{key}: {path} {error}"


def _secret(key: str, path: Path, owner: int) -> Iterator[str]:
    place = place_of(path, os.environ)
    problems = list(_readable(key, path, place))
    yield from problems
    if problems or place != path:
        return  # whom the service manager hands it to is its own business
    found = path.stat()
    if stat.S_IMODE(found.st_mode) & 0o077:
        yield f"{key}: {path} can be read by others; run: chmod 600 {path}"
    may_be_roots = owner == os.geteuid() or is_handed_over(path)
    if found.st_uid == owner or (found.st_uid == 0 and may_be_roots):
        return
    whose = "root, not to the agent's user" if found.st_uid == 0 else "another user"
    yield f"{key}: {path} belongs to {whose} (uid {found.st_uid}); run: chown {owner} {path}"
