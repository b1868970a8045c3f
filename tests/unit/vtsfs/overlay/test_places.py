import pytest

from vtsfs.contract.naming import NamePatterns, PoolId, TapeId
from vtsfs.overlay.places import ELSEWHERE, Place, place_of


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"BILL", Place(pool=PoolId("VAULT00", "BILL"))),
        (b"BILL/X00001", Place(tape=TapeId("VAULT00", "BILL", "X00001"))),
        (b"BILL/deeper/X00001", ELSEWHERE),
        (b"BILL/X00001.meta", ELSEWHERE),
        (b"BILL/.hidden", ELSEWHERE),
        (b"BILL/X0\xff", ELSEWHERE),
        (b"BILL/X0\n", ELSEWHERE),
        (b"bad pool/X00001", ELSEWHERE),
        (b".vts-autocopy", Place(staging=False)),
        (b".vts-autocopy/X00001", Place(staging=True)),
        (b".vts-autocopy/TAPESRV1/a/b", Place(staging=True)),
    ],
)
def test_place(path: bytes, place: Place) -> None:
    assert place_of("VAULT00", path, NamePatterns()) == place


def test_patterns_are_the_site_s() -> None:
    patterns = NamePatterns(label=r"T\d+")
    assert place_of("VAULT00", b"BILL/X00001", patterns) == ELSEWHERE
    assert place_of("VAULT00", b"BILL/T1", patterns).tape is not None
