from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.errors import SettingsError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings, parse_settings
from vtsfs.contract.settings_file import read_settings

FILES = Path(__file__).parents[3] / "settings"
VALID = sorted((FILES / "valid").glob("*.yaml"))
INVALID = sorted((FILES / "invalid").glob("*.yaml"))


def named(path: Path) -> str:
    return path.stem


def expected(text: str) -> list[str]:
    """Each comment line at the top of an invalid file is a part of one problem's text."""
    found = []
    for line in text.splitlines():
        if not line.startswith("# "):
            break
        found.append(line.removeprefix("# "))
    return found


@pytest.mark.parametrize("path", VALID, ids=named)
def test_a_valid_file(path: Path) -> None:
    assert isinstance(read_settings(path), Settings)


@pytest.mark.parametrize("path", INVALID, ids=named)
def test_an_invalid_file_is_told_by_file_and_key(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    fragments = expected(text)
    assert fragments
    with pytest.raises(SettingsError) as refused:
        parse_settings(text, "site.yaml")
    problems = refused.value.problems
    assert all(problem.startswith("site.yaml: ") for problem in problems)
    for fragment in fragments:
        assert any(fragment in problem for problem in problems), problems
    assert len(problems) == len(fragments), problems


def test_every_section_and_key_appears_in_a_valid_file() -> None:
    text = (FILES / "valid" / "everything.yaml").read_text(encoding="utf-8")
    given_settings = parse_settings(text, "x")
    assert given_settings.model_fields_set == set(Settings.model_fields)
    assert given_settings.retry.interval == pytest.approx(90)
    assert given_settings.cross_check.settle == pytest.approx(0.5)
    assert given_settings.patterns_of("VAULT00").tape_of_companion("BILL", "T1.meta") == "T1"
    assert given_settings.patterns_of("VAULT01").companions == {}
    assert given_settings.targets["drsite"].vaults["VAULT01"] == Path("/VAULT01")
    assert given_settings.targets["drsite"].algorithms.kex == ("diffie-hellman-group14-sha1",)
    assert given_settings.ems.hosts["DEV2"].vaults == ("VAULT00", "VAULT01")


def test_defaults_are_the_originals() -> None:
    settings = read_settings(FILES / "valid" / "smallest.yaml")
    assert (settings.retry.attempts, settings.retry.interval) == (12, 300)
    assert settings.control_socket() == Path("/run/vts-autocopy/copyagent.sock")
    assert settings.feed_socket("VAULT00") == Path("/run/vts-autocopy/vtsfs-VAULT00.sock")
    assert settings.outbox_path("VAULT00").is_relative_to(settings.paths.state)
    assert settings.agent_directory().is_relative_to(settings.paths.state)


def test_a_merged_mapping_may_be_overridden() -> None:
    settings = read_settings(FILES / "valid" / "anchors.yaml")
    assert settings.targets["near"].host == "near.example.com"
    assert settings.targets["far"].host == "far.example.com"
    assert settings.targets["far"].user == "vts"


def test_where_a_tape_goes() -> None:
    settings = read_settings(FILES / "valid" / "everything.yaml")
    tape = TapeId.parse("/VAULT01/TEST/X00001")
    assert settings.target_tape(tape, "drsite") == TapeId.parse("/VAULT01/COPY/X00001")
    assert settings.target_tape(tape, "elsewhere") is None
    assert settings.target_tape(TapeId.parse("/VAULT01/NONE/X00001"), "drsite") is None
    assert len(settings.copies_of(PoolId.parse("/VAULT00/BILL"))) == 1
    bill = TapeId.parse("/VAULT00/BILL/X00001")
    assert settings.companions_of(bill, "drsite") == ("{label}.*", "{label}-index")
    assert settings.companions_of(bill, "elsewhere") == ()
    assert settings.companions_of(tape, "drsite") == ()


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.yaml: cannot be read: No such file.*--config"):
        read_settings(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"binary\.yaml: cannot be read: "):
        read_settings(tmp_path / "binary.yaml")


@given(st.text(alphabet="{}[]:-, \n&*!<?|>'\"%@`#abc01", max_size=60))
def test_any_text_is_settings_or_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        parse_settings(text, "x")


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(SettingsError, match="not YAML"):
        parse_settings("[" * 20_000, "x")
