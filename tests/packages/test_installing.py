"""The package comes into a fresh system without Python and without a network."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from tests.packages.appliance import LOG, PROGRAMS, SETTINGS, STATE, USER, Appliance
from tests.packages.built import Built
from tests.packages.machine import Machine, told_by

MAN_PAGES = ("man8/vtsfs.8", "man8/copyagent.8", "man5/vts-autocopy.yaml.5", "man7/vts-autocopy.7")
#: Where the package may put something, besides the package manager's own book-keeping.
PLACES = (
    "etc/logrotate.d/vts-autocopy",
    "etc/needrestart/conf.d/vts-autocopy.conf",
    "etc/vts-autocopy",
    "usr/bin/copyagent",
    "usr/bin/vtsfs",
    "usr/lib/sysusers.d/vts-autocopy.conf",
    "usr/lib/systemd/system/",
    "usr/lib/tmpfiles.d/vts-autocopy.conf",
    "usr/lib/vts-autocopy",
    "usr/share/bash-completion/completions/",
    "usr/share/doc/vts-autocopy",
    "usr/share/lintian/overrides/vts-autocopy",
    "usr/share/man/man",
    "usr/share/vts-autocopy",
    "var/lib/vts-autocopy",
    "var/log/vts-autocopy",
)
#: Accounts, and what dpkg and ldconfig write at every installation.
BOOK_KEEPING = (
    *(f"etc/{name}{end}" for name in ("passwd", "group", "shadow", "gshadow") for end in ("", "-")),
    *("etc/subuid", "etc/subgid", "etc/subuid-", "etc/subgid-", "etc/.pwd.lock"),
    *("var/lib/dpkg/", "var/log/dpkg.log", "var/log/apt/", "var/lib/apt/", "var/cache/", "tmp/"),
)


def install(machine: Machine, package: Built) -> subprocess.CompletedProcess[str]:
    return machine.run("dpkg", "-i", machine.put(package.deb, "/tmp"))


def test_it_is_installed_without_python_and_without_a_network(
    bare: Machine, package: Built
) -> None:
    assert not list(bare.root.glob("usr/bin/python*"))
    assert not list(bare.root.glob("usr/lib/python*"))
    assert bare.shell("tail -n +3 /proc/net/dev | cut -d: -f1").split() == ["lo"]
    done = install(bare, package)
    assert done.returncode == 0, told_by(done)
    for program in ("vtsfs", "copyagent"):
        assert package.version.split("-")[0] in bare.must(program, "--version")
    checked = bare.run("copyagent", "check")
    assert checked.returncode == 0, told_by(checked)


@pytest.mark.parametrize("release", ["bullseye"])
def test_an_older_system_is_enough(bare: Machine, package: Built) -> None:
    done = install(bare, package)
    assert done.returncode == 0, told_by(done)
    bare.must("copyagent", "--version")
    bare.must("vtsfs", "--version")


def test_what_comes_next_is_said_and_nothing_is_started(bare: Machine, package: Built) -> None:
    done = install(bare, package)
    told = done.stdout + done.stderr
    for step in (SETTINGS, "copyagent keys init", "copyagent check", "doctor", "systemctl enable"):
        assert step in told
    assert "vtsfs" not in bare.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_apt_installs_it_as_well(bare: Machine, package: Built) -> None:
    path = bare.put(package.deb, "/tmp")
    bare.must("apt-get", "install", "--yes", "--no-install-recommends", path)
    bare.must("copyagent", "check")


@pytest.mark.parametrize("release", ["trixie"])
def test_without_fuse_it_says_what_is_missing(bare: Machine, package: Built) -> None:
    bare.must("dpkg", "--purge", "fuse3")
    done = install(bare, package)
    assert done.returncode != 0
    assert "fuse3" in done.stderr
    assert "not configured" in done.stderr or "dependency problems" in done.stderr


def test_it_depends_on_the_c_library_and_fuse_alone(package: Built) -> None:
    field = subprocess.run(
        ["dpkg-deb", "--field", package.deb, "Depends", "Pre-Depends"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert field.split(": ", 1)[1].strip() == "libc6 (>= 2.28), fuse3"


def test_nothing_outside_its_places_is_touched(bare: Machine, package: Built) -> None:
    before = _contents(bare.root)
    done = install(bare, package)
    assert done.returncode == 0, told_by(done)
    after = _contents(bare.root)
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    assert {path for path in changed if not path.startswith((*PLACES, *BOOK_KEEPING))} == set()
    shared = ("usr/lib/systemd/system/", "usr/share/bash-completion/", "usr/share/man/")
    for path in changed:
        if path.startswith(shared):
            assert "vts" in Path(path).name or "copyagent" in Path(path).name


def test_owners_and_modes(appliance: Appliance) -> None:
    root = appliance.machine.root
    shown = appliance.machine.shell(
        f"stat -c '%U:%G %a %n' {SETTINGS} /etc/vts-autocopy /etc/vts-autocopy/keys"
        f" {STATE} {Path(LOG).parent} {PROGRAMS}"
    )
    assert shown.splitlines() == [
        f"root:root 644 {SETTINGS}",
        "root:root 755 /etc/vts-autocopy",
        "root:root 700 /etc/vts-autocopy/keys",
        f"{USER}:{USER} 755 {STATE}",
        f"{USER}:{USER} 750 {Path(LOG).parent}",
        f"root:root 755 {PROGRAMS}",
    ]
    others = appliance.machine.shell(
        f"find {PROGRAMS} /usr/share/doc/vts-autocopy ! -type l"
        " '(' ! -user root -o ! -group root -o -perm /7022 ')'"
    )
    assert others == ""
    assert (root / f"{PROGRAMS[1:]}/current").is_symlink()
    account = appliance.machine.shell(f"getent passwd {USER}").split(":")
    assert account[6].strip().endswith(("nologin", "false"))
    # A log-in by password is out of the question.
    assert appliance.machine.shell(f"getent shadow {USER}").split(":")[1].startswith(("!", "*"))


def test_the_manual_pages_are_there_and_whole(appliance: Appliance) -> None:
    for page in MAN_PAGES:
        path = appliance.machine.root / f"usr/share/man/{page}.gz"
        shown = subprocess.run(
            ["mandoc", "-T", "utf8", path], check=True, capture_output=True, text=True
        ).stdout
        assert "SYNOPSIS" in _plain(shown) or "DESCRIPTION" in _plain(shown)
        assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("copyagent ke", "keys"),
        ("copyagent keys ", "init"),
        ("copyagent exp", "explain"),
        ("vtsfs de", "detach"),
        ("vtsfs attach --fore", "--foreground"),
    ],
)
@pytest.mark.parametrize("release", ["trixie"])
def test_completion_in_a_shell(appliance: Appliance, line: str, wanted: str) -> None:
    assert wanted in complete(appliance.machine, line)


def complete(machine: Machine, line: str) -> list[str]:
    """What bash(1) would offer, asked as it asks: by the function that is registered."""
    program = line.split(maxsplit=1)[0]
    words = [*line.split(), ""] if line.endswith(" ") else line.split()
    script = (
        f"source /usr/share/bash-completion/completions/{program}\n"
        f'read -r -a found <<<"$(complete -p {program})"\n'
        'for i in "${!found[@]}"; do [ "${found[i]}" != -F ] || f=${found[i+1]}; done\n'
        f"COMP_LINE={line!r} COMP_POINT={len(line)} COMP_CWORD={len(words) - 1}\n"
        f"COMP_WORDS=({' '.join(repr(word) for word in words)})\n"
        f'"$f" {program} {words[-1]!r} {words[-2]!r}\n'
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    return [word.strip() for word in machine.must("bash", "-c", script).splitlines()]


def test_dpkg_finds_its_files_as_they_were(appliance: Appliance) -> None:
    appliance.copyagent("check")
    appliance.machine.run("vtsfs", "status")
    assert appliance.machine.must("dpkg", "--verify", "vts-autocopy") == ""
    written = appliance.machine.shell(
        f"find {PROGRAMS}/*/ -newer /var/lib/dpkg/info/vts-autocopy.list"
    )
    assert written == ""


def test_sources_and_licences_can_be_told(appliance: Appliance, package: Built) -> None:
    tree = appliance.machine.root / PROGRAMS[1:] / package.version
    assert (tree / "sbom.json").is_file()
    bundled = appliance.copyagent("version", "--bundled")
    for component in ("cpython", "openssl", "libfuse", "pyfuse3", "trio", "asyncssh"):
        assert component in bundled.lower()
    assert len(list((tree / "licences").iterdir())) > 20


def _contents(root: Path) -> dict[str, str]:
    found = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if name.startswith(("proc/", "sys/", "dev/", "run/")) or (
            path.is_dir() and not path.is_symlink()
        ):
            continue
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def _plain(text: str) -> str:
    """Without overstriking."""
    letters: list[str] = []
    for letter in text:
        if letter == "\b":
            letters.pop()
        else:
            letters.append(letter)
    return "".join(letters)
