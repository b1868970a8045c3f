"""The grammar of VTSPolicy: what is understood, what is refused, and that nothing breaks it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.policy_commands import (
    NotUnderstood,
    OtherCommand,
    SyncOrder,
    read_command,
)
from vtsfs.contract.naming import PoolId, TapeId

POOL = PoolId.parse("/VAULT00/BILL")
TAPE = TapeId.parse("/VAULT00/BILL/X00001")


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ('VTSPolicy IDR "/VAULT00/BILL"', SyncOrder(POOL)),
        ("VTSPolicy IDR '/VAULT00/BILL/X00001'", SyncOrder(TAPE)),
        ('vtspolicy idr "/VAULT00/BILL"', SyncOrder(POOL)),
        ('VTSPolicy IDR"/VAULT00/BILL"', SyncOrder(POOL)),
        ('  VTSPolicy   IDR   "  /VAULT00/BILL  "  ', SyncOrder(POOL)),
        ('VTSPolicy IDR "/VAULT00/BILL s=VTS1"', SyncOrder(POOL, "VTS1")),
        ('VTSPolicy IDR "/VAULT00/BILL s = VTS1"', SyncOrder(POOL, "VTS1")),
        ('VTSPolicy IDR "/VAULT00/BILL source= VTS1 d =dr"', SyncOrder(POOL, "VTS1", "dr")),
        ('VTSPolicy IDR "/VAULT00/BILL destination=a.b-c.org"', SyncOrder(POOL, None, "a.b-c.org")),
        (
            "VTSPolicy IDR '/VAULT00/BILL s=VTS1 st=VTS1 o=/opt/a r=14,d'",
            SyncOrder(POOL, "VTS1"),
        ),
        (
            "VTSPolicy IDR '/VAULT00/BILL sourceTSM=x destinationTSM=y optfile=z'",
            SyncOrder(POOL),
        ),
    ],
)
def test_what_is_understood(text: str, order: SyncOrder) -> None:
    assert read_command(text) == order


@pytest.mark.parametrize(
    ("argument", "fault"),
    [
        ("", "what follows IDR is not in quotes"),
        ("/VAULT00/BILL s=VTS1", "what follows IDR is not in quotes"),
        ('"', "its quote is not closed"),
        ('"/VAULT00/BILL s=VTS1', "its quote is not closed"),
        ("\"/VAULT00/BILL s=VTS1'", "its quote is not closed"),
        ('"/VAULT00/BILL" s=VTS1', "something follows its closing quote"),
        ('"/VAULT00/BILL" "/VAULT00/PAY"', "something follows its closing quote"),
        ('""', "'' is not a pool"),
        ('"BILL"', "'BILL' is not a pool"),
        ('"/VAULT00/BILL/X/Y"', "is not a pool"),
        ('"/VAULT00/.trash"', "is not a pool"),
        ('"/VAULT00/BILL/"', "is not a tape"),
        ('"/VAULT00/BILL X00001"', "X00001 is not of the form keyword=value"),
        ('"/VAULT00/BILL s="', "s is not of the form keyword=value"),
        ('"/VAULT00/BILL =VTS1"', "= is not of the form keyword=value"),
        ('"/VAULT00/BILL s=="', "s is not of the form keyword=value"),
        ('"/VAULT00/BILL s=a=b"', "= is not of the form keyword=value"),
        ('"/VAULT00/BILL s=a b=c=d"', "b is no known keyword"),
        ('"/VAULT00/BILL S=VTS1"', "S is no known keyword"),
        ('"/VAULT00/BILL Source=VTS1"', "Source is no known keyword"),
        ('"/VAULT00/BILL s=VTS1 source=VTS2"', "source stands there twice"),
        ('"/VAULT00/BILL s=VTS1 force=yes"', "force is no known keyword"),
    ],
)
def test_what_is_refused_and_why(argument: str, fault: str) -> None:
    found = read_command(f"VTSPolicy IDR {argument}")
    assert isinstance(found, NotUnderstood)
    assert fault in found.fault


def test_a_command_that_is_not_understood_still_says_whose_it_is() -> None:
    found = read_command('VTSPolicy IDR "/VAULT00/BILL s=OTHER force=yes"')
    assert isinstance(found, NotUnderstood)
    assert found.source == "OTHER"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('VTSPolicy FTX "/VAULT01/Pool s=VTS1 st=VTS1 o=opt1 r=14,d"', "FTX"),
        ("VTSPolicy Erase - X00001 s=VTS1", "ERASE"),
        ("VTSPolicy delete - X00001", "DELETE"),
        ("VTSPolicy TSM 'archive /VAULT00/BILL/X00001'", "TSM"),
        ("VTSPolicy Frobnicate everything", ""),
        ("VTSPolicy", ""),
        ("VTSPolicyIDR '/VAULT00/BILL'", ""),
        ("VTSPolicy IDRX '/VAULT00/BILL'", ""),
        ("nothing of the kind", ""),
    ],
)
def test_other_commands_are_told_apart(text: str, name: str) -> None:
    assert read_command(text) == OtherCommand(name)


_names = st.text("ABCXYZabc0189.-_#$@,", min_size=1, max_size=12)
_labels = st.from_regex(r"\A[A-Za-z0-9@#$][A-Za-z0-9@#$_-]{0,11}\Z")
_wheres = st.one_of(
    st.builds(PoolId, st.just("VAULT07"), _labels),
    st.builds(TapeId, st.just("VAULT07"), _labels, _labels),
)
_blanks = st.sampled_from(["", " ", "   "])
_gaps = st.sampled_from([" ", "  ", "\t "])


@given(
    where=_wheres,
    source=st.none() | _names,
    destination=st.none() | _names,
    quote=st.sampled_from("\"'"),
    names=st.tuples(st.sampled_from(["s", "source"]), st.sampled_from(["d", "destination"])),
    blanks=st.lists(_blanks, min_size=5, max_size=5),
    gap=_gaps,
)
def test_an_order_written_down_in_any_way_is_read_as_it_was_meant(
    where: PoolId | TapeId,
    source: str | None,
    destination: str | None,
    quote: str,
    names: tuple[str, str],
    blanks: list[str],
    gap: str,
) -> None:
    words = [str(where)]
    for name, value in zip(names, (source, destination), strict=True):
        if value is not None:
            words.append(f"{name}{blanks[0]}={blanks[1]}{value}")
    inside = f"{blanks[2]}{gap.join(words)}{blanks[3]}"
    text = f"VTSPolicy IDR{blanks[4]}{quote}{inside}{quote}"
    assert read_command(text) == SyncOrder(where, source, destination)


@given(st.one_of(st.text(), st.text("VTSPolicyIDR \"'=/sd.")))
def test_no_text_breaks_it(text: str) -> None:
    read_command(text)
    read_command(f"VTSPolicy IDR {text}")
    found = read_command(f'VTSPolicy IDR "{text}')
    assert isinstance(found, SyncOrder | NotUnderstood)


@pytest.mark.parametrize(
    "argument",
    [
        "=" * 50_000,
        "s=" * 25_000,
        " " * 50_000 + "=",
        "/" * 50_000,
        '"' + "a " * 25_000,
        "s = a " * 8_000 + '"',
        "'" * 50_000,
    ],
    ids=lambda argument: argument[:3],
)
def test_each_character_is_looked_at_a_bounded_number_of_times(argument: str) -> None:
    """Quadratic time would take minutes for these."""
    for quote in ('"', "'", ""):
        read_command(f"VTSPolicy IDR {quote}{argument}{quote}")
        read_command(f"VTSPolicy {argument}")


@given(st.sampled_from(['VTSPolicy IDR "/VAULT00/BILL s=VTS1 d=dr"']), st.integers(0, 40))
def test_half_a_command_is_never_an_order(text: str, end: int) -> None:
    assert not isinstance(read_command(text[:end]), SyncOrder)
