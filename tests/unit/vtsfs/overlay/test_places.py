import pytest

from copyagent.transfer.layout import Layout
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
        (b".vts-autocopy/TAPESRV1/BILL.X00001.0a1b.g3.5f.stage", Place(staging=True)),
        (b".other/TAPESRV2/a.stage", Place(staging=True)),
        (b".vts-autocopy", ELSEWHERE),
        (b".vts-autocopy/X00001", ELSEWHERE),
        (b".vts-autocopy/X00001.stage", ELSEWHERE),
        (b".vts-autocopy/TAPESRV1/.stage", ELSEWHERE),
        (b".vts-autocopy/TAPESRV1/X00001", ELSEWHERE),
        (b".vts-autocopy/TAPESRV1/records/a.stage", ELSEWHERE),
        (b"BILL/TAPESRV1/a.stage", ELSEWHERE),
        (b".trash/X00001", ELSEWHERE),
    ],
)
def test_place(path: bytes, place: Place) -> None:
    assert place_of("VAULT00", path, NamePatterns()) == place


def test_what_the_copier_calls_a_stage_is_one() -> None:
    layout = Layout("/VAULT00", ".vts-autocopy", "TAPESRV1", TapeId("VAULT00", "BILL", "X00001"))
    stage = layout.stage(3, "5f").removeprefix("/VAULT00/").encode()
    assert place_of("VAULT00", stage, NamePatterns()) == Place(staging=True)
    for path in (layout.manifest, layout.intent, *layout.fences):
        relative = path.removeprefix("/VAULT00/").encode()
        assert place_of("VAULT00", relative, NamePatterns()) == ELSEWHERE


def test_patterns_are_the_site_s() -> None:
    patterns = NamePatterns(label=r"T\d+")
    assert place_of("VAULT00", b"BILL/X00001", patterns) == ELSEWHERE
    assert place_of("VAULT00", b"BILL/T1", patterns).tape is not None
