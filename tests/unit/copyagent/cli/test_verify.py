"""``copyagent verify``: what may be asked, and how what was found is told."""

from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from copyagent.cli.verify import share_of
from copyagent.cli.verify_run import Wanted, places_of, sentence
from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.core.on_record import OnRecord
from copyagent.transfer.published import Looked, Result
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Identity
from vtsfs.runtime.exits import run_cli

TAPE = TapeId("VAULT00", "BILL", "X00001")
COPY = PublishedCopy(7, Identity(1, 2, 5, 1, 1), 5, "", TargetStamp(5, 1), "size", root="aa")
RECORD = OnRecord(TAPE, "drsite", "copied", 7, None, COPY)
TWO_TARGETS = EXAMPLE.replace(
    "autocopy:",
    """  backup:
    host: 127.0.0.2
    user: vts
    key: ROOT/key
    known_hosts: ROOT/known_hosts
    vaults: {VAULT00: /far/VAULT00}
autocopy:
  - {pool: /VAULT00/PAY, target: drsite, target_pool: /VAULT00/PAY}
  - {pool: /VAULT00/BILL, target: backup, target_pool: /VAULT00/BILL}""",
)


def test_a_share() -> None:
    assert share_of("5%") == 0.05
    assert share_of("100%") == 1.0
    for text in ("0%", "101%", "5", "five%", "-1%", "%", "nan%"):
        with pytest.raises(UsageError, match="share"):
            share_of(text)


def test_which_copies_are_meant(tmp_path: Path) -> None:
    settings = example_settings(tmp_path, TWO_TARGETS)
    bill, pay = PoolId("VAULT00", "BILL"), PoolId("VAULT00", "PAY")

    def places(where: TapeId | PoolId | None, target: str | None = None) -> object:
        return list(places_of(settings, Wanted(where, target, None, False)))

    assert places(None) == [("drsite", pay), ("backup", bill), ("drsite", bill)]
    assert places(bill) == [("backup", bill), ("drsite", bill)]
    assert places(TAPE, "drsite") == [("drsite", TAPE)]
    with pytest.raises(UsageError, match="is not copied to backup"):
        places(pay, "backup")
    with pytest.raises(UsageError, match="is not under autocopy"):
        places(PoolId("VAULT00", "NONE"))
    with pytest.raises(UsageError, match="no target"):
        places(None, "nowhere")


def test_what_was_found_is_told_in_words() -> None:
    good = Looked(Result.GOOD, "sha256")
    assert sentence(RECORD, good, "") == f"{TAPE} at drsite (generation 7): good, by sha256"
    wrong = Looked(Result.WRONG, "readback", "its content is another one")
    assert sentence(RECORD, wrong, "it is compared now") == (
        f"{TAPE} at drsite (generation 7): WRONG, by readback: its content is another one\n"
        "  it is compared now"
    )
    nothing = replace(RECORD, published=None)
    assert sentence(nothing, Looked(Result.MISSING), "") == f"{TAPE} at drsite: MISSING"


def test_a_tape_that_is_none_is_refused(tmp_path: Path) -> None:
    words = ["--config", str(tmp_path / "none.yaml"), "verify", "X00001"]
    assert run_cli(copyagent, program="copyagent", args=words) == 2
