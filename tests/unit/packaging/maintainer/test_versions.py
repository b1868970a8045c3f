"""Whatever is cut off in an upgrade, a whole version is started, and the next run finishes it."""

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.maintainer import FILES, Appliance, Cut, calling
from tests.support.nonstop import TREE
from tests.support.waiting import wait_until

OLD, NEW = "0.2.0-1", "0.10.0-1"
HALF = FILES[:3]

BEFORE = calling("locked keep_current")
BEGIN = calling('locked begin_version "$1"')
END = calling("locked end_upgrade", "locked remove_unused")
CONFIGURE = calling('locked begin_version "$1"', "locked end_upgrade", "locked remove_unused")
GO_BACK = calling('locked go_back "$1"')
CLEAN = calling("locked remove_unused")

Step = str | Callable[[Appliance], None]

#: Who installs does this, in this order; texts are scripts, which a power cut can hit anywhere.
DPKG: tuple[Step, ...] = (
    BEFORE,
    lambda on: on.unpack(NEW, HALF),
    lambda on: on.unpack(NEW),
    lambda on: on.remove(OLD, HALF),
    lambda on: on.remove(OLD),
    CONFIGURE,
)
RPM: tuple[Step, ...] = (
    BEFORE,
    lambda on: on.unpack(NEW, HALF),
    lambda on: on.unpack(NEW),
    BEGIN,
    lambda on: on.remove(OLD, HALF),
    lambda on: on.remove(OLD),
    END,
)


def unused(script: str) -> str:
    """Return *script* for a machine without processes: to look into all of ours takes most of its time."""
    assert "/proc/[0-9]*/" in script
    return script.replace("/proc/[0-9]*/", "/proc/nobody/")


@pytest.fixture
def appliance(tmp_path: Path) -> Appliance:
    """OLD is installed."""
    made = Appliance(tmp_path / "root")
    made.unpack(OLD)
    made.run(CONFIGURE, OLD)
    assert (made.started(), made.trees()) == (OLD, [OLD])
    return made


def go(on: Appliance, steps: tuple[Step, ...]) -> None:
    for step in steps:
        if isinstance(step, str):
            on.run(step, NEW)
        else:
            step(on)


def cuts(script: str, before: Appliance) -> Iterator[Appliance]:
    """Yield appliances on which *script* was cut off: before and within each of its commands."""
    for at in itertools.count(1):
        for half in (False, True):
            hit = before.again(before.root.with_name(f"cut-{at}-{half}"))
            try:
                hit.run(script, NEW, cut_at=at, half=half)
            except Cut as cut:
                yield hit
                if not cut.divisible:
                    break
            else:
                return
            finally:
                shutil.rmtree(hit.root)


@pytest.mark.parametrize("steps", [DPKG, RPM], ids=["dpkg", "rpm"])
def test_an_upgrade_cut_off_anywhere_leaves_a_whole_version_and_is_finished_by_the_next(
    steps: tuple[Step, ...], appliance: Appliance
) -> None:
    seen = set()
    steps = tuple(unused(step) if isinstance(step, str) else step for step in steps)
    for index, step in enumerate(steps):
        before = appliance.again(appliance.root.with_name(f"step-{index}"))
        go(before, steps[:index])
        hits = cuts(step, before) if isinstance(step, str) else iter([before])
        for hit in hits:
            seen.add(hit.started())
            # A service that stops now removes nothing that anybody needs.
            hit.run(unused(CLEAN))
            assert hit.started() in {OLD, NEW}
            go(hit, steps)
            assert (hit.started(), hit.trees()) == (NEW, [NEW]), f"cut in step {index}"
    assert seen == {OLD, NEW}


def test_dpkg_goes_on_with_the_step_that_was_cut_off(appliance: Appliance) -> None:
    """``dpkg --configure -a`` runs nothing but the last script again."""
    go(appliance, DPKG[:-1])
    for hit in cuts(unused(CONFIGURE), appliance):
        hit.run(unused(CONFIGURE), NEW)
        assert (hit.started(), hit.trees()) == (NEW, [NEW])


@pytest.mark.parametrize("unpacked", [(), HALF, FILES])
def test_an_upgrade_that_is_given_up_goes_back(
    appliance: Appliance, unpacked: tuple[str, ...]
) -> None:
    appliance.run(BEFORE)
    appliance.unpack(NEW, unpacked)
    appliance.remove(NEW, unpacked)
    appliance.run(GO_BACK, OLD)
    assert (appliance.started(), appliance.trees()) == (OLD, [OLD])


def test_the_way_back_can_be_cut_off_as_well(appliance: Appliance) -> None:
    appliance.run(BEFORE)
    for hit in cuts(calling(f"locked go_back {OLD}"), appliance):
        assert hit.started() == OLD
        go(hit, DPKG)
        assert (hit.started(), hit.trees()) == (NEW, [NEW])


def test_the_same_version_again(appliance: Appliance) -> None:
    appliance.run(BEFORE)
    assert appliance.started() == OLD
    appliance.unpack(OLD)
    appliance.run(CONFIGURE, OLD)
    assert (appliance.started(), appliance.trees()) == (OLD, [OLD])


def test_a_version_that_runs_stays_by_its_name_until_nobody_uses_it(appliance: Appliance) -> None:
    program = appliance.home / OLD / "bin" / "python3.13"
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([program, "600"]) as process:
        try:
            go(appliance, DPKG[:4])
            program.unlink()
            go(appliance, DPKG[4:])
            assert appliance.started() == NEW
            assert appliance.trees() == [NEW, OLD]
            assert program.exists()
            appliance.run(CLEAN)
            assert appliance.trees() == [NEW, OLD]
        finally:
            process.kill()
    maps = Path(f"/proc/{process.pid}/maps")
    wait_until(lambda: not maps.exists(), 5, "the process is gone")
    appliance.run(CLEAN)
    assert appliance.trees() == [NEW]


def test_what_is_started_while_files_are_unpacked_keeps_its_tree(appliance: Appliance) -> None:
    go(appliance, DPKG[:1])
    kept = appliance.home / f"{OLD}~kept"
    program = kept / "bin" / "python3.13"
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([program, "600"]) as process:
        try:
            go(appliance, DPKG[1:])
            assert appliance.started() == NEW
            assert all((kept / file).exists() for file in FILES)
            assert appliance.trees() == [NEW, kept.name]
        finally:
            process.kill()
    appliance.run(CLEAN)
    assert appliance.trees() == [NEW]


def test_a_command_that_has_just_begun_finds_its_tree(appliance: Appliance) -> None:
    """Its shell has read where `current` leads, and has not started the interpreter yet."""
    launcher = appliance.root / "usr" / "bin" / "vtsfs"
    with subprocess.Popen([launcher, "600"], executable="/bin/sleep") as process:
        try:
            go(appliance, DPKG)
            assert set(appliance.trees()) == {NEW, OLD, f"{OLD}~kept"}
        finally:
            process.kill()
    appliance.run(CLEAN)
    assert appliance.trees() == [NEW]


def test_of_what_cannot_be_looked_at_the_command_line_counts(appliance: Appliance) -> None:
    """A root process may not read the maps of one that can do more than it."""
    blind = calling(f"in_use {OLD} && echo used || echo unused").replace("/proc/[0-9]*/maps", "")
    assert appliance.run(blind).strip() == "unused"
    program = appliance.home / OLD / "bin" / "python3.13"
    shutil.copy(str(shutil.which("sleep")), program)
    with subprocess.Popen([program, "600"]) as process:
        try:
            assert appliance.run(blind).strip() == "used"
        finally:
            process.kill()


def test_without_room_nothing_is_changed(appliance: Appliance) -> None:
    full = calling("cp() { command cp -al \"$2/lib\" \"$3\"; echo 'cp: No space left on device' >&2; return 1; }",
                   "locked keep_current")  # fmt: skip
    with pytest.raises(subprocess.CalledProcessError) as failed:
        appliance.run(full)
    assert "make room" in failed.value.stderr
    assert "Nothing was changed" in failed.value.stderr
    assert (appliance.started(), appliance.trees()) == (OLD, [OLD])


def test_a_shell_that_stands_in_the_old_tree_keeps_nothing_back(appliance: Appliance) -> None:
    with subprocess.Popen(["sleep", "600"], cwd=appliance.home / OLD / "lib") as process:
        try:
            go(appliance, DPKG)
        finally:
            process.kill()
    assert (appliance.started(), appliance.trees()) == (NEW, [NEW])


def test_what_the_operator_left_in_the_old_tree_goes_with_it(appliance: Appliance) -> None:
    (appliance.home / OLD / "lib" / "notes.txt").write_text("mine")
    go(appliance, DPKG)
    assert (appliance.started(), appliance.trees()) == (NEW, [NEW])


def test_an_older_version_is_refused_until_that_very_one_is_wished_for(
    appliance: Appliance,
) -> None:
    refuse = calling('refuse_downgrade "$1" "$2"')
    for older, newer in [(OLD, NEW), (OLD, "0.2.0-2"), ("0.1.9-9", OLD), (OLD, f"{NEW}~kept")]:
        appliance.run(refuse, newer.removesuffix("~kept"), older)
        appliance.run(refuse, newer.removesuffix("~kept"), newer)
        with pytest.raises(subprocess.CalledProcessError) as failed:
            appliance.run(refuse, older, newer)
        assert f"version {newer.removesuffix('~kept')} is installed" in failed.value.stderr
        assert f"touch /var/lib/vts-autocopy/go-back-to-{older}" in failed.value.stderr
    state = appliance.root / "var" / "lib" / "vts-autocopy"
    state.mkdir(parents=True)
    (state / f"go-back-to-{OLD}").touch()
    appliance.run(refuse, OLD, NEW)
    with pytest.raises(subprocess.CalledProcessError):
        appliance.run(refuse, "0.1.0-1", NEW)


def test_a_first_installation_has_nothing_to_compare_with(tmp_path: Path) -> None:
    made = Appliance(tmp_path / "root")
    made.run(calling('refuse_downgrade 0.2.0-1 ""', "locked keep_current"))
    made.unpack(NEW)
    made.run(CLEAN)
    assert made.trees() == [NEW]
    made.run(CONFIGURE, NEW)
    assert made.started() == NEW


def test_removed_means_every_version(appliance: Appliance) -> None:
    go(appliance, DPKG[:3])
    appliance.run(calling("locked remove_all_versions"))
    assert not appliance.home.exists()


@pytest.mark.parametrize(
    ("script", "calls"),
    [
        ("debian/preinst", ["refuse_downgrade", "locked keep_current"]),
        ("debian/postinst", ["locked begin_version", "locked end_upgrade", "locked remove_unused"]),
        ("rpm/pre", ["refuse_downgrade", "locked keep_current"]),
        ("rpm/post", ["locked begin_version"]),
        ("rpm/posttrans", ["locked end_upgrade", "locked remove_unused"]),
    ],
)
def test_the_scripts_do_it_in_the_order_that_is_tested_here(script: str, calls: list[str]) -> None:
    text = (TREE / "packaging" / script).read_text()
    assert [text.index(call) for call in calls] == sorted(text.index(call) for call in calls)
