"""What the packages say of themselves, and what the build refuses before it begins."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.nonstop import TREE
from vtsfs import __version__

PACKAGING = TREE / "packaging"
SCRIPTS = (
    *(PACKAGING / "debian" / name for name in ("preinst", "postinst", "prerm", "postrm")),
    *(PACKAGING / "rpm" / name for name in ("pre", "post", "preun", "postun", "posttrans")),
    PACKAGING / "maintainer" / "remove-unused-versions",
)


def test_the_newest_entry_of_the_changelog_is_this_release() -> None:
    newest = (PACKAGING / "debian" / "changelog").read_text().splitlines()[0]
    match = re.fullmatch(r"vts-autocopy \((.+)-\d+\) \w+; urgency=\w+", newest)
    assert match is not None
    assert match[1] == __version__


def test_they_depend_on_the_c_library_and_fuse_alone() -> None:
    control = (PACKAGING / "debian" / "control").read_text()
    spec = (PACKAGING / "rpm" / "vts-autocopy.spec").read_text()
    assert re.findall(r"^(?:Pre-)?Depends: (.*)$", control, re.MULTILINE) == [
        "libc6 (>= 2.28), fuse3"
    ]
    # libgcc is a package of its own there, and a part of what libc6 depends on here.
    assert re.findall(r"^Requires: (.*)$", spec, re.MULTILINE) == [
        "glibc >= 2.28",
        "libgcc",
        "fuse3",
    ]
    assert "AutoReqProv: no" in spec


def test_every_tag_of_lintian_that_is_overridden_has_a_reason() -> None:
    text = (PACKAGING / "debian" / "lintian-overrides").read_text()
    for paragraph in text.strip().split("\n\n"):
        lines = paragraph.splitlines()
        reason = [line for line in lines if line.startswith("# ")]
        assert reason
        assert lines == [*reason, *(line for line in lines if line.startswith("vts-autocopy: "))]
        assert len(lines) > len(reason)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_every_script_is_complete_and_any_sh_can_read_it(script: Path) -> None:
    command: list[str | Path] = [
        PACKAGING / "maintainer" / "fill",
        script,
        "VERSION=1.2.3-4",
        "EXAMPLE_SHA256=0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "#include" not in done.stdout
    assert "@VERSION@" not in done.stdout
    subprocess.run(["sh", "-n"], input=done.stdout, text=True, check=True)


def test_a_name_that_nothing_was_said_for_is_an_error() -> None:
    command: list[str | Path] = [PACKAGING / "maintainer" / "fill", "/dev/stdin"]
    done = subprocess.run(
        command, input="echo @VERSION@\n", capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "nothing was said for" in done.stderr


def test_an_overlay_is_never_stopped_or_started_by_a_package() -> None:
    for script in SCRIPTS:
        called = re.findall(r"^\s*services (.*)$", script.read_text(), re.MULTILINE)
        assert all("vtsfs" not in call for call in called)
    stopped = [
        call
        for script in SCRIPTS
        for call in re.findall(r"^\s*services (.*)$", script.read_text(), re.MULTILINE)
        if call != "daemon-reload"
    ]
    assert sorted(set(stopped)) == [
        "stop copyagent.service",
        "try-restart copyagent.service",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--version", "0.2.0"), "a version has the form 0.2.0-1"),
        (("--version", "0.2.0~rc1-1"), "a version has the form 0.2.0-1"),
        (("--help-me",), "there is no option '--help-me'"),
        (("--tree", "/nonexistent"), "is no tree of a version"),
    ],
)
def test_what_the_build_refuses(arguments: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [PACKAGING / "build", *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert said in done.stderr


def test_needrestart_leaves_overlays_alone_and_nothing_else() -> None:
    text = (PACKAGING / "needrestart" / "vts-autocopy.conf").read_text()
    rules = [line for line in text.splitlines() if not line.startswith("#")]
    match = re.fullmatch(r"\$nrconf\{override_rc\}\{qr\((.*)\)\} = 0;", "".join(rules))
    assert match is not None
    names = [path.name for path in (PACKAGING / "systemd").iterdir()]
    spared = [name for name in names if re.match(match[1], name.replace("@.", "@VAULT00."))]
    assert spared == ["vtsfs@.service"]
