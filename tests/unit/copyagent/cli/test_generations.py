"""``copyagent generations``: how they are shown, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.generations_run import generation_document, shown
from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.core.on_record import DOUBTED
from tests.support.example_settings import EXAMPLE
from vtsfs.contract.signals import Identity
from vtsfs.runtime.exits import run_cli

AT = 1_767_225_600_000_000_000
NEW = PublishedCopy(
    7, Identity(1, 2, 5, AT, AT), 4096, "", TargetStamp(5, 1), "readback", AT, root="ab" * 32
)
OLD = replace(NEW, generation=5, name="BILL.X00001.g5.kept", root="", sha256="cd" * 32)


def test_each_is_one_line() -> None:
    listed = [generation_document("drsite", each) for each in (NEW, OLD)]
    document = {"tape": "/VAULT00/BILL/X00001", "told_by_targets": [], "generations": listed}
    assert shown(document) == (
        "/VAULT00/BILL/X00001\n"
        "  drsite: generation 7, 4.0 KiB, published 2026-01-01T00:00:00Z, published, "
        "digest abababababababab, verified by readback\n"
        "  drsite: generation 5, 4.0 KiB, published 2026-01-01T00:00:00Z, "
        "kept as BILL.X00001.g5.kept, digest cdcdcdcdcdcdcdcd, verified by readback"
    )


def test_a_doubted_one_and_the_word_of_a_target_are_marked() -> None:
    doubted = generation_document("drsite", replace(NEW, stamp=DOUBTED))
    text = shown({"tape": "T", "told_by_targets": ["drsite"], "generations": [doubted]})
    assert "DOUBTED" in text
    assert text.endswith("which others can edit.")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("X00001", "neither a tape nor a pool"),
        ("/VAULT00/BILL", "is a pool; name one tape"),
        ("/VAULT00/NONE/X00001", "/VAULT00/NONE is not under autocopy"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, says: str
) -> None:
    config = tmp_path / "settings.yaml"
    config.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    words = ["--config", str(config), "generations", name]
    assert run_cli(copyagent, program="copyagent", args=words) == 2
    assert says in capsys.readouterr().err
