"""``packaging/bundle/build``: makes the tree of one version."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bundling import bill
from bundling import tree as trees
from bundling.cache import cache_root
from bundling.check import machine_names, problems, shown
from bundling.foundation import lay_foundation
from bundling.lock import BundleError, read_lock

REPOSITORY = Path(__file__).resolve().parents[3]
HERE = REPOSITORY / "packaging" / "bundle"


def main() -> int:
    """Carry out the command line; return the exit status."""
    asked = _parser().parse_args()
    try:
        commit = _commit(asked.commit)
        _tell_of_changes()
        with tempfile.TemporaryDirectory(dir=_parent_of(asked.out), prefix=".making-") as scratch:
            made = Path(scratch, asked.version)
            build(asked.runtime.resolve(), asked.version, made, commit, asked.edition)
            wrong = problems(made, [*machine_names(), scratch, str(asked.runtime.resolve())])
            if wrong:
                raise BundleError(f"the tree is not as it should be:\n{shown(wrong)}")
            if asked.out.is_dir():
                shutil.rmtree(asked.out)
            made.rename(asked.out)
    except BundleError as error:
        sys.stderr.write(f"bundle: {error}\n")
        return 1
    return 0


def build(runtime: Path, version: str, tree: Path, commit: str, edition: Path | None) -> None:
    """Make the tree of *version* in the new directory *tree*; raises `BundleError`."""
    pins = read_lock(HERE / "requirements.lock")
    components = lay_foundation(tree, version, runtime, pins, HERE, cache_root())
    trees.copy_programs(REPOSITORY, commit, tree)
    trees.set_version(tree, version)
    site = trees.site_packages(tree)
    if edition is not None:
        shutil.copyfile(edition, site / "copyagent" / "edition.py")
    trees.write_launchers(tree)
    epoch = _epoch(commit)
    text = json.dumps(bill.bill(version, commit, epoch, components), indent=1, ensure_ascii=False)
    (tree / bill.FILE).write_text(f"{text}\n", encoding="utf-8")
    trees.settle(tree, 0)
    trees.write_byte_code(tree, version, *(site / name for name in trees.PACKAGES))
    trees.settle(tree, epoch)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="packaging/bundle/build", description=__doc__)
    parser.add_argument("--runtime", type=Path, required=True, help="what packaging/runtime made")
    parser.add_argument("--version", required=True, help="the package's version, as 0.2.0-1")
    parser.add_argument("--out", type=Path, required=True, help="the tree; replaced if it is there")
    parser.add_argument("--commit", default="HEAD", help="of which the programs are taken")
    parser.add_argument("--edition", type=Path, help="replaces copyagent/edition.py")
    return parser


def _git(*words: str) -> str:
    ended = subprocess.run(
        ["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True, check=False
    )
    if ended.returncode:
        raise BundleError(
            f"{ended.stderr.strip()}\na package is made of a commit: build in a clone of the"
            " repository, not in an unpacked archive"
        )
    return ended.stdout.strip()


def _commit(name: str) -> str:
    return _git("rev-parse", "--verify", f"{name}^{{commit}}")


def _epoch(commit: str) -> int:
    given = os.environ.get("SOURCE_DATE_EPOCH")
    return int(given or _git("log", "-1", "--format=%ct", commit))


def _tell_of_changes() -> None:
    changed = _git("status", "--porcelain", "--", *trees.PACKAGES, "packaging/bundle")
    if changed:
        sys.stderr.write(f"bundle: not committed, so not in this build:\n{changed}\n")


def _parent_of(out: Path) -> Path:
    out.parent.mkdir(parents=True, exist_ok=True)
    return out.parent


if __name__ == "__main__":
    sys.exit(main())
