"""What the runtime is compiled from: the lock file, and the choice among what an archive offers.

Pure: texts and records in, records out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cmp_to_key
from itertools import zip_longest
from typing import Any, Final, Literal

import yaml

SHA256: Final = re.compile(r"[0-9a-f]{64}")
REVISION: Final = re.compile(r"(?:[0-9]+:)?[0-9][0-9A-Za-z.+~-]*")


class LockError(ValueError):
    """The lock file cannot be used; the message says where and why."""


class SourceGone(ValueError):
    """An archive has nothing that the lock allows; the message says what it has and what to do."""


@dataclass(frozen=True)
class Component:
    """One library or program that is compiled, and the locked source of it."""

    name: str
    version: str
    licence: str
    """An SPDX expression."""
    url: str
    source: str
    """The name of Debian's source package."""
    revision: str
    """Debian's version of it, whose part before the last hyphen is the upstream version."""
    files: Mapping[str, str]
    """Name of each file that is used, and its SHA-256."""
    leave_out: tuple[str, ...] = ()
    """Names (or glob patterns) of Debian's patches that are not applied."""


@dataclass(frozen=True)
class Lock:
    """Everything that the runtime is compiled from, and the time that its files say."""

    epoch: int
    """Seconds since 1970: what compilers are told the time is (SOURCE_DATE_EPOCH)."""
    mirror: str
    keyring: str
    suites: tuple[str, ...]
    components: tuple[Component, ...]


@dataclass(frozen=True)
class Offer:
    """One revision of a source that an archive has, with the digests that its index says."""

    revision: str
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """The revision that will be compiled. A warning says in which way it is not the locked one."""

    kind: Literal["locked", "patches differ", "newer"]
    revision: str
    files: Mapping[str, str]
    warning: str | None = None


def parse_lock(text: str) -> Lock:
    """Read a lock file; raises LockError naming the first thing that is wrong."""
    try:
        document = yaml.safe_load(text)
        archive = document["archive"]
        lock = Lock(
            epoch=int(document["source_date_epoch"]),
            mirror=str(archive["mirror"]).rstrip("/"),
            keyring=str(archive["keyring"]),
            suites=tuple(archive["suites"]),
            components=tuple(_component(entry) for entry in document["components"]),
        )
    except yaml.YAMLError as error:
        raise LockError(f"it is no YAML: {error}") from error
    except (KeyError, TypeError) as error:
        raise LockError(f"a key is missing or of the wrong kind: {error}") from error
    names = [component.name for component in lock.components]
    if len(set(names)) != len(names):
        raise LockError(f"a component is listed twice: {', '.join(names)}")
    return lock


def _component(entry: Mapping[str, Any]) -> Component:
    component = Component(
        name=str(entry["name"]),
        version=str(entry["version"]),
        licence=str(entry["licence"]),
        url=str(entry["url"]),
        source=str(entry["source"]),
        revision=str(entry["revision"]),
        files={str(name): str(digest) for name, digest in entry["files"].items()},
        leave_out=tuple(str(name) for name in entry.get("leave_out") or ()),
    )
    unknown = set(entry) - {*Component.__dataclass_fields__}
    if unknown:
        raise LockError(f"{component.name} has an unknown key: {', '.join(sorted(unknown))}")
    if not REVISION.fullmatch(component.revision):
        raise LockError(f"{component.name}: '{component.revision}' is no version of Debian's")
    if upstream_version(component.revision) != component.version:
        raise LockError(
            f"{component.name}: revision {component.revision} is version "
            f"{upstream_version(component.revision)}, not {component.version}"
        )
    for name, digest in component.files.items():
        if not SHA256.fullmatch(digest):
            raise LockError(f"{component.name}: '{digest}' is no SHA-256 of {name}")
        if "/" in name:
            raise LockError(f"{component.name}: '{name}' is no plain file name")
    if orig_of(component.files) is None:
        raise LockError(f"{component.name}: no file is the upstream source (*.orig.tar.*)")
    return component


def format_lock(lock: Lock, heading: str) -> str:
    """Write a lock file: *heading* (comment lines) and then what parse_lock reads."""
    document = {
        "source_date_epoch": lock.epoch,
        "archive": {
            "mirror": lock.mirror,
            "keyring": lock.keyring,
            "suites": list(lock.suites),
        },
        "components": [_entry(component) for component in lock.components],
    }
    body = yaml.safe_dump(document, sort_keys=False, width=99, allow_unicode=True)
    return f"{heading}{body}"


def _entry(component: Component) -> dict[str, object]:
    entry: dict[str, object] = {
        name: getattr(component, name)
        for name in ("name", "version", "licence", "url", "source", "revision")
    }
    entry["files"] = dict(sorted(component.files.items()))
    if component.leave_out:
        entry["leave_out"] = list(component.leave_out)
    return entry


def wanted_files(files: Mapping[str, str]) -> dict[str, str]:
    """Keep what is used of a source's files: the upstream archive and Debian's part."""
    return {
        name: digest
        for name, digest in files.items()
        if re.search(r"\.(orig|debian)\.tar\.[a-z0-9]+$", name)
    }


def orig_of(files: Mapping[str, str]) -> str | None:
    """Name the upstream archive among *files*."""
    return next((name for name in sorted(files) if re.search(r"\.orig\.tar\.", name)), None)


def debian_of(files: Mapping[str, str]) -> str | None:
    """Name the archive with Debian's patches among *files*."""
    return next((name for name in sorted(files) if re.search(r"\.debian\.tar\.", name)), None)


def upstream_version(revision: str) -> str:
    """Tell the upstream version of a Debian revision.

    ``1:1.3.dfsg+really1.3.1-1`` is 1.3.1: no epoch, no revision, and what *really* says.
    """
    version = revision.split(":", 1)[-1].rsplit("-", 1)[0]
    return version.rsplit("+really", 1)[-1]


def choose(locked: Component, offers: Iterable[Offer], *, strict: bool) -> Choice:
    """Choose what to compile of what an archive offers.

    The locked revision if it is there. An archive keeps one revision only, so it may be gone: then
    the newest of the same upstream archive (it differs in Debian's patches), then the newest of
    all; each with a warning. With *strict* the last is refused. Raises SourceGone when nothing is
    left to choose, and when the locked revision is offered with another digest than the locked one.
    """
    newest_first = _newest_first(locked.source, offers)
    for offer in newest_first:
        if offer.revision == locked.revision:
            return Choice("locked", offer.revision, _same_digests(locked, offer))
    orig = orig_of(locked.files)
    for offer in newest_first:
        if orig is not None and offer.files.get(orig) == locked.files[orig]:
            return _other(locked, offer, "patches differ")
    newest = newest_first[0]
    if strict:
        raise SourceGone(
            f"{locked.source} {locked.revision} is gone from the archive, which has "
            f"{newest.revision} of another upstream source: renew the lock with 'make lock-sources' "
            "and review it, or build without STRICT=1."
        )
    return _other(locked, newest, "newer")


def choose_newest(source: str, offers: Iterable[Offer]) -> Choice:
    """Choose the newest revision, as for a new lock; raises SourceGone if there is none."""
    newest = _newest_first(source, offers)[0]
    return Choice("newer", newest.revision, wanted_files(newest.files))


def _newest_first(source: str, offers: Iterable[Offer]) -> list[Offer]:
    newest_first = sorted(offers, key=cmp_to_key(_by_revision), reverse=True)
    if not newest_first:
        raise SourceGone(
            f"the archive has no source '{source}': is the mirror complete, and are its lists "
            "signed by the keyring? Then try again."
        )
    return newest_first


def _same_digests(locked: Component, offer: Offer) -> Mapping[str, str]:
    for name, digest in locked.files.items():
        if offer.files.get(name) != digest:
            raise SourceGone(
                f"{locked.source} {locked.revision} is locked with SHA-256 {digest} of {name}, and "
                f"the archive says {offer.files.get(name, 'nothing')}: one of the two was tampered "
                "with. Find out which before building anything."
            )
    return locked.files


def _other(locked: Component, offer: Offer, kind: Literal["patches differ", "newer"]) -> Choice:
    what = (
        "the same upstream source with other patches of Debian's"
        if kind == "patches differ"
        else f"ANOTHER UPSTREAM VERSION ({upstream_version(offer.revision)}, "
        f"not {locked.version}), which nobody has tried"
    )
    return Choice(
        kind,
        offer.revision,
        wanted_files(offer.files),
        f"{locked.source} {locked.revision} is gone from the archive; {offer.revision} is compiled "
        f"instead: {what}. 'make lock-sources' renews the lock.",
    )


def _by_revision(one: Offer, other: Offer) -> int:
    return compare_revisions(one.revision, other.revision)


def compare_revisions(one: str, other: str) -> int:
    """Order two Debian versions: negative, zero or positive (deb-version(7))."""
    for part, counterpart in zip(_parts(one), _parts(other), strict=True):
        order = _compare_part(part, counterpart)
        if order:
            return order
    return 0


def _parts(version: str) -> tuple[str, str, str]:
    epoch, _, rest = version.rpartition(":")
    upstream, hyphen, revision = rest.rpartition("-")
    return (epoch or "0", upstream, revision) if hyphen else (epoch or "0", rest, "0")


def _compare_part(one: str, other: str) -> int:
    # Runs of non-digits and of digits alternate, beginning with the former.
    pairs = zip_longest(
        re.findall(r"(\D*)(\d*)", one), re.findall(r"(\D*)(\d*)", other), fillvalue=("", "")
    )
    for (words, digits), (other_words, other_digits) in pairs:
        mine = ([_weight(letter) for letter in words] + [0], int(digits or 0))
        theirs = ([_weight(letter) for letter in other_words] + [0], int(other_digits or 0))
        if mine != theirs:
            return -1 if mine < theirs else 1
    return 0


def _weight(letter: str) -> int:
    # A tilde sorts before the end of a part, letters after it, and everything else after those.
    if letter == "~":
        return -1
    return ord(letter) if letter.isalpha() else ord(letter) + 256
