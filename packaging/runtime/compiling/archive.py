"""Sources out of a Debian archive, each file checked against its digest, and kept.

apt-get does the fetching with settings of its own: it verifies the archive's signatures, and what
is asked of it does not depend on the release that this machine runs, nor change it.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from compiling.sources import Choice, Component, Lock, Offer, choose, choose_newest

CONFIGURATION: Final = """\
Dir::State "{state}";
Dir::State::status "/dev/null";
Dir::Cache "{state}/cache";
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "-";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::Retries "3";
"""


class ArchiveError(RuntimeError):
    """A source could not be had, or is not what it should be; the message says what to do."""


class NotThere(ArchiveError):
    """The archive's index lists a file that the archive does not have."""


class Archive:
    """The archive that a lock names, looked at only when a file is not kept already."""

    def __init__(self, lock: Lock, kept: Path, scratch: Path) -> None:
        self._lock = lock
        self._kept = kept
        self._scratch = scratch
        self._listed = False

    def obtain(self, component: Component, *, strict: bool) -> Choice:
        """Have every file of *component* in the keep; return what was chosen.

        Raises SourceGone when the archive has nothing that may be used, and ArchiveError when a
        file cannot be fetched or its digest is not the one that was promised.
        """
        if self._have(component.files):
            return Choice("locked", component.revision, component.files)
        return self._first_there(component, partial(choose, component, strict=strict))

    def newest(self, component: Component) -> Choice:
        """Have the newest revision there is in the keep, whichever is locked; as `obtain`."""
        return self._first_there(component, partial(choose_newest, component.source))

    def _first_there(
        self, component: Component, choose_of: Callable[[Sequence[Offer]], Choice]
    ) -> Choice:
        def fetch(choice: Choice) -> None:
            if not self._have(choice.files):
                self._fetch(component.source, choice)

        choice, missing = first_there(self.offers(component.source), choose_of, fetch)
        if not missing:
            return choice
        listed = (
            f"{self._lock.mirror} lists {component.source} {', '.join(missing)}, but does not have "
            "its files."
        )
        return replace(choice, warning=" ".join(filter(None, (listed, choice.warning))))

    def path(self, name: str, digest: str) -> Path:
        """Say where the file with this digest is kept."""
        return self._kept / digest / name

    def offers(self, source: str) -> tuple[Offer, ...]:
        """List the revisions of *source* that the signed index has."""
        self._update()
        return tuple(parse_index(self._apt("apt-cache", "showsrc", "--only-source", source)))

    def _have(self, files: Mapping[str, str]) -> bool:
        return all(self.path(name, digest).is_file() for name, digest in files.items())

    def _fetch(self, source: str, choice: Choice) -> None:
        into = self._scratch / "download"
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        self._update()
        wanted = f"{source}={choice.revision}"
        self._apt("apt-get", "source", "--download-only", "--only-source", wanted, directory=into)
        for name, digest in choice.files.items():
            self.keep(into / name, digest)
        shutil.rmtree(into)

    def keep(self, file: Path, digest: str) -> None:
        """Move *file* into the keep; raises ArchiveError if its digest is not *digest*."""
        if not file.is_file():
            raise ArchiveError(
                f"{file.name} was not fetched: see whether {self._lock.mirror} has it."
            )
        found = sha256_of(file)
        if found != digest:
            raise ArchiveError(
                f"{file.name} has SHA-256 {found} and should have {digest}: it was tampered with or "
                "damaged on its way. It is not used; try again, and if it stays so find out who is "
                "right before building anything."
            )
        target = self.path(file.name, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        arriving = target.with_name(f".{file.name}.{os.getpid()}")
        shutil.copyfile(file, arriving)
        arriving.replace(target)

    def _update(self) -> None:
        if self._listed:
            return
        if not Path(self._lock.keyring).is_file():
            raise ArchiveError(
                f"there is no {self._lock.keyring}, with which the archive's signatures are "
                "checked: install debian-archive-keyring, then try again."
            )
        state = self._scratch / "apt"
        (state / "lists" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "cache" / "archives" / "partial").mkdir(parents=True, exist_ok=True)
        (state / "apt.conf").write_text(CONFIGURATION.format(state=state), encoding="utf-8")
        (state / "sources.list").write_text(
            "".join(f"{line}\n" for line in source_lines(self._lock)), encoding="utf-8"
        )
        self._apt("apt-get", "update", "--error-on=any")
        self._listed = True

    def _apt(self, program: str, *arguments: str, directory: Path | None = None) -> str:
        configuration = self._scratch / "apt" / "apt.conf"
        command = [program, "-q", "-c", str(configuration), *arguments]
        # apt reads its own configuration file after the system's, whose proxy so remains.
        ended = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            told = ended.stdout + ended.stderr
            last = "\n".join(told.splitlines()[-8:])
            kind = NotThere if re.search(r"\b404\b", told) else ArchiveError
            raise kind(
                f"'{program} {arguments[0]}' failed against {self._lock.mirror}:\n{last}\n"
                "See whether the mirror can be reached from here, then try again: what is fetched "
                "already is kept."
            )
        return ended.stdout


def first_there(
    offers: Sequence[Offer],
    choose_of: Callable[[Sequence[Offer]], Choice],
    fetch: Callable[[Choice], None],
) -> tuple[Choice, list[str]]:
    """Choose, fetch what was chosen, and choose among the rest if it is not there.

    An index may be newer than the mirror behind it: what *fetch* answers with NotThere is as good
    as gone. Returns the choice, and the revisions that were listed in vain.
    """
    left = list(offers)
    missing: list[str] = []
    while True:
        choice = choose_of(left)
        try:
            fetch(choice)
        except NotThere:
            missing.append(choice.revision)
            left = [offer for offer in left if offer.revision != choice.revision]
            if not left:
                raise
        else:
            return choice, missing


def source_lines(lock: Lock) -> Iterator[str]:
    """Say where sources come from, as sources.list(5); security fixes have a mirror of their own."""
    for suite in lock.suites:
        mirror = f"{lock.mirror}-security" if suite.endswith("-security") else lock.mirror
        yield f"deb-src [signed-by={lock.keyring}] {mirror} {suite} main"


def parse_index(text: str) -> Iterator[Offer]:
    """Read what ``apt-cache showsrc`` prints: a paragraph per revision."""
    for paragraph in text.split("\n\n"):
        fields: dict[str, list[str]] = {}
        field = ""
        for line in paragraph.splitlines():
            if line.startswith((" ", "\t")):
                fields[field].append(line.strip())
            else:
                field, _, value = line.partition(":")
                fields[field] = [value.strip()]
        if "Version" in fields:
            rows = (row.split() for row in fields.get("Checksums-Sha256", []) if row)
            yield Offer(fields["Version"][0], {name: digest for digest, _size, name in rows})


def sha256_of(path: Path) -> str:
    """Digest a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
