"""The whole look at a tree, as the command does it."""

from pathlib import Path

from bundling.check import BUILD_PATH, MOST, REPOSITORY, machine_names, problems, shown


def test_what_is_no_tree(tmp_path: Path) -> None:
    assert problems(tmp_path, []) == [f"{tmp_path}: is no tree of a version"]


def test_each_kind_of_look_is_taken(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "x.py").write_text(f"made in {BUILD_PATH}\n")
    (tmp_path / "bin" / "x.pth").touch()
    (tmp_path / "bin" / "x.pth").chmod(0o666)
    found = "\n".join(problems(tmp_path, machine_names()))
    for part in ("holds", "no byte-code", "does not belong", "mode 0666", "sbom.json"):
        assert part in found


def test_the_clone_and_the_build_path_are_looked_for() -> None:
    assert {BUILD_PATH, str(REPOSITORY)} <= set(machine_names())


def test_a_flood_of_problems_is_cut_short_and_that_is_said() -> None:
    assert shown(["a", "b"]) == "a\nb\n"
    lines = shown([str(n) for n in range(MOST + 7)]).splitlines()
    assert len(lines) == MOST + 1
    assert lines[-1] == "and 7 more"
