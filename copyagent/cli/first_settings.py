"""The text of a first settings file, from what somebody has answered; pure.

It is written to be read and changed: each key has a line that says what it is for, and what most
sites leave alone is not there.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import Paths
from vtsfs.contract.settings_lines import written

#: Stands for the user at a host until somebody writes a real one.
MADE_UP_USER = "VTS.EMS"


@dataclass(frozen=True, slots=True)
class FirstVault:
    """A vault: its storage, and where the tape engine finds it."""

    name: str
    backing: str
    mountpoint: str


@dataclass(frozen=True, slots=True)
class FirstTarget:
    """A receiving system; port 0 is SSH's own."""

    name: str
    user: str
    host: str
    port: int = 0


@dataclass(frozen=True, slots=True)
class FirstPool:
    """A pool, its target, and the pool there."""

    pool: str
    target: str
    target_pool: str

    @property
    def target_vault(self) -> str:
        """The vault at the target that it goes to."""
        return self.target_pool.split("/")[1] if self.target_pool.count("/") > 1 else ""


@dataclass(frozen=True, slots=True)
class FirstHost:
    """A NonStop host; without a *user* one is made up, to be replaced."""

    name: str
    address: str
    user: str = MADE_UP_USER


@dataclass(frozen=True, slots=True)
class First:
    """All that a first settings file is made from.

    *keys* is where keys and passwords are to lie, *pinned* where known_hosts is: there too, if None.
    """

    system: str
    keys: Path
    pinned: Path | None = None
    vaults: tuple[FirstVault, ...] = ()
    targets: tuple[FirstTarget, ...] = ()
    pools: tuple[FirstPool, ...] = ()
    hosts: tuple[FirstHost, ...] = ()
    paths: Paths = field(default_factory=Paths)
    user: str = ""
    group: str = ""
    operators: str = ""


# ---- what is said on the command line --------------------------------------------------------------


def read_vault(text: str) -> FirstVault:
    """Read ``VAULT00=/var/lib/vts/VAULT00:/VAULT00``; raise `UsageError`."""
    match = re.fullmatch(r"([^=]+)=(/[^:]*):(/[^:]*)", text)
    if match is None:
        raise UsageError(
            f"--vault takes NAME=BACKING:MOUNTPOINT, both paths absolute, not {text!r}"
        )
    return FirstVault(match[1], match[2], match[3])


def read_target(text: str) -> FirstTarget:
    """Read ``drsite=vts@vts-dr.example.com:22``, an IPv6 address in brackets; raise `UsageError`."""
    match = re.fullmatch(r"([^=]+)=([^@]+)@(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?", text)
    if match is None:
        raise UsageError(f"--target takes NAME=USER@HOST or NAME=USER@HOST:PORT, not {text!r}")
    return FirstTarget(match[1], match[2], match[3] or match[4], int(match[5] or 0))


def read_pool(text: str) -> FirstPool:
    """Read ``/VAULT00/BILL=drsite``, with ``:/VAULT01/BILL`` behind it if it is another pool there."""
    match = re.fullmatch(r"(/[^/=]+/[^/=]+)=([^:]+)(?::(/[^/]+/[^/]+))?", text)
    if match is None:
        raise UsageError(
            f"--pool takes POOL=TARGET or POOL=TARGET:POOL, such as /VAULT00/BILL=drsite, not {text!r}"
        )
    return FirstPool(match[1], match[2], match[3] or match[1])


def read_host(text: str) -> FirstHost:
    """Read ``DEV2=dev2.example.com``, or ``DEV2=VTS.EMS@dev2.example.com``; raise `UsageError`."""
    match = re.fullmatch(r"([^=]+)=(?:([^@]+)@)?(.+)", text)
    if match is None:
        raise UsageError(f"--ems takes HOST=ADDRESS or HOST=USER@ADDRESS, not {text!r}")
    return FirstHost(match[1], match[3], match[2] or MADE_UP_USER)


# ---- the file --------------------------------------------------------------------------------------


def text_of(first: First) -> str:
    """Write the settings file."""
    return "\n".join(
        [
            "# Settings of vtsfs and copyagent. Every key, with unit and default: vts-autocopy.yaml(5).",
            "# After a change: copyagent check, then copyagent reload. All that is in force, also by",
            "# default: copyagent config show --effective",
            "",
            *_system(first),
            *_vaults(first),
            *_targets(first),
            *_autocopy(first),
            *_ems(first),
            *_rest(),
            "",
        ]
    )


def _system(first: First) -> Iterator[str]:
    yield "# This system's name: in the event log, and of our directory at every target. It stays."
    yield f"system: {{name: {written(first.system)}}}"
    yield ""
    if first.paths != Paths():
        yield "# Where the programs keep their state, their sockets and the event log."
        yield "paths:"
        for name in ("state", "run", "event_log"):
            yield f"  {name}: {written(str(getattr(first.paths, name)))}"
        yield ""
    service = {"user": first.user, "group": first.group, "operators": first.operators}
    yield "# The agent's user, if not root; who may look (group), and who may act besides root"
    yield "# (operators). First read OPERATION in vts-autocopy(7)."
    if any(service.values()):
        given = ", ".join(f"{key}: {written(name)}" for key, name in service.items() if name)
        yield f"service: {{{given}}}"
    else:
        yield "# service: {user: vts, group: vtslook, operators: vtsops}"
    yield ""


def _vaults(first: First) -> Iterator[str]:
    yield "# The tapes lie in backing; the tape engine uses mountpoint, where the overlay is attached."
    yield "vaults:"
    for vault in first.vaults:
        yield f"  {written(vault.name)}:"
        yield f"    backing: {written(vault.backing)}"
        yield f"    mountpoint: {written(vault.mountpoint)}"
    yield ""


def _targets(first: First) -> Iterator[str]:
    yield "# The receiving systems: plain OpenSSH servers. To set one up: copyagent keys init TARGET,"
    yield "# then copyagent doctor TARGET."
    yield "targets:" if first.targets else "targets: {}"
    for target in first.targets:
        yield f"  {written(target.name)}:"
        yield f"    host: {written(target.host)}"
        if target.port:
            yield f"    port: {target.port}"
        yield "    # The user of the tape engine there."
        yield f"    user: {written(target.user)}"
        yield "    # Our private key, made by keys init; without a passphrase."
        yield f"    key: {written(str(first.keys / 'id_ed25519'))}"
        yield "    # The host keys that are believed; keys init writes them after you have compared them."
        yield f"    known_hosts: {written(str((first.pinned or first.keys) / 'known_hosts'))}"
        yield "    # Where the vaults lie there."
        yield "    vaults:"
        for vault in _vaults_at(first, target.name):
            yield f"      {written(vault)}: {written(f'/{vault}')}"
        yield "    # How much of the line copies may take, and at what time of day: no limit by default."
        yield "    # bandwidth: 20 MiB/s"
        yield "    # window: 22:00-06:00"
    yield ""


def _vaults_at(first: First, target: str) -> list[str]:
    """A target without a pool yet has our own vaults, for want of anything better."""
    used = [pool.target_vault for pool in first.pools if pool.target == target]
    return list(dict.fromkeys(used)) or [vault.name for vault in first.vaults]


def _autocopy(first: First) -> Iterator[str]:
    yield "# Which pools are copied, and where to. Tapes that are there already: copyagent sync POOL."
    yield "# More for each: behind_after (when it is an alarm that copies are owed), keep, priority."
    yield "autocopy:" if first.pools else "autocopy: []"
    for pool in first.pools:
        yield f"  - pool: {written(pool.pool)}"
        yield f"    target: {written(pool.target)}"
        yield f"    target_pool: {written(pool.target_pool)}"
    yield ""


def _ems(first: First) -> Iterator[str]:
    if not first.hosts:
        yield "# No NonStop host is listened to: the overlay alone decides, and nobody knows whether a"
        yield "# tape was asked for with ring. To add one: hosts, in vts-autocopy.yaml(5)."
        yield "ems: {required: false}"
        yield ""
        return
    yield "# The NonStop hosts whose events tell of mounts. To try one: copyagent ems test HOST."
    yield "ems:"
    yield "  hosts:"
    for host in first.hosts:
        yield f"    {written(host.name)}:"
        yield "      # Telnet sends the password in the clear; access: ssh, with key and known_hosts, not."
        yield f"      address: {written(host.address)}"
        yield f"      user: {written(host.user)}"
        yield "      # One line with the password; readable by the agent's user alone: chmod 600."
        yield f"      password_file: {written(str(first.keys / host.name.lower()))}"
    yield ""


def _rest() -> Iterator[str]:
    yield "# What is there by default, to be changed where it does not fit."
    yield "# retry: {attempts: 12, interval: 5m}"
    yield "# traffic: {parallel: 2}"
    yield "# history: {keep: 400d}"
    yield "# Figures for Prometheus, and a command for alarms: neither by default."
    yield "# metrics: {listen: 127.0.0.1:9469}"
    yield "# notify: {run: [/usr/local/sbin/tell-somebody]}"
