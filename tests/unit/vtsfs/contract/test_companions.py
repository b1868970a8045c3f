import pytest

from vtsfs.contract.companions import fault_of, label_of
from vtsfs.contract.naming import NamePatterns


@pytest.mark.parametrize("pattern", ["{label}.*", "{label}.meta", ".{label}.idx", "{label}[-.]?*"])
def test_patterns_of_companions(pattern: str) -> None:
    assert fault_of(pattern) == ""


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("*.meta", "{label}"),
        ("{label}.{label}", "{label}"),
        ("meta/{label}.xml", "slash"),
        ("{label}.\0", "slash"),
        ("{label}", "the tape itself"),
        ("{label}*", "the tape itself"),
        ("*{label}**", "the tape itself"),
    ],
)
def test_patterns_that_cannot_be_meant(pattern: str, fault: str) -> None:
    assert fault in fault_of(pattern)


@pytest.mark.parametrize(
    ("name", "pattern", "label"),
    [
        ("X00001.meta", "{label}.*", "X00001"),
        ("X00001.meta.old", "{label}.*", "X00001"),
        ("X00001", "{label}.*", None),
        ("X00001.", "{label}.*", "X00001"),
        (".meta", "{label}.*", None),
        ("x y.meta", "{label}.*", None),
        ("X00001.META", "{label}.meta", None),
        (".X00001.idx", ".{label}.idx", "X00001"),
        # What has a tape's name is a tape.
        ("X00001-2", "{label}-*", None),
        ("X00001-2.a", "{label}*.a", "X00001-2"),
        ("X00001.meta", "", None),
    ],
)
def test_whose_companion_a_name_is(name: str, pattern: str, label: str | None) -> None:
    patterns = (pattern,) if pattern else ()
    assert label_of(name, patterns, NamePatterns().is_label) == label


def test_companions_are_those_of_their_pool() -> None:
    patterns = NamePatterns(companions={"BILL": ("{label}.*", "{label}-idx.*")})
    assert patterns.tape_of_companion("BILL", "X00001.meta") == "X00001"
    # Both patterns fit; the tape with the longer label is meant.
    assert patterns.tape_of_companion("BILL", "X00001-idx.2") == "X00001-idx"
    assert patterns.tape_of_companion("PAY", "X00001.meta") is None
