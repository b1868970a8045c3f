import stat

from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Kind
from vtsfs.overlay.moves import Report, reports_of_exchange, reports_of_rename
from vtsfs.overlay.places import ELSEWHERE, Place

FILE, DIRECTORY, LINK = stat.S_IFREG | 0o644, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777
BILL, PAY = PoolId("VAULT00", "BILL"), PoolId("VAULT00", "PAY")
A, B = TapeId("VAULT00", "BILL", "A00001"), TapeId("VAULT00", "PAY", "B00001")
AT_A, AT_B = Place(tape=A), Place(tape=B)
STAGE = Place(staging=True)


def one(source: Place, target: Place, mode: int = FILE, *, replaced: bool = False) -> Report | None:
    reports = reports_of_rename(source, target, mode, replaced=replaced)
    assert len(reports) <= 1
    return reports[0] if reports else None


def test_a_tape_gets_another_name() -> None:
    assert one(AT_A, AT_B) == Report(Kind.MOVED, PAY, B, origin=str(A))
    assert one(AT_A, AT_B, replaced=True) == Report(
        Kind.MOVED, PAY, B, origin=str(A), cause="rename-over"
    )


def test_a_file_becomes_a_tape() -> None:
    assert one(ELSEWHERE, AT_B) == Report(Kind.MOVED, PAY, B)
    assert one(ELSEWHERE, AT_B, replaced=True) == Report(Kind.CHANGED, PAY, B, cause="rename-over")


def test_a_tape_becomes_a_mere_file() -> None:
    for target in (ELSEWHERE, STAGE):
        assert one(AT_A, target) == Report(Kind.REMOVED, BILL, A)


def test_a_publication() -> None:
    for replaced in (True, False):
        assert one(STAGE, AT_A, replaced=replaced) == Report(
            Kind.RECEIVED, BILL, A, cause="publish"
        )


def test_what_is_no_file_is_no_tape() -> None:
    assert one(ELSEWHERE, AT_A, LINK) is None
    assert one(ELSEWHERE, AT_A, LINK, replaced=True) == Report(
        Kind.REMOVED, BILL, A, cause="rename-over"
    )
    assert one(AT_A, AT_B, DIRECTORY) is None
    assert one(STAGE, ELSEWHERE) is None


def test_pools() -> None:
    assert one(Place(pool=BILL), Place(pool=PAY), DIRECTORY) == Report(
        Kind.MOVED, PAY, origin="/VAULT00/BILL"
    )
    assert one(ELSEWHERE, Place(pool=PAY), DIRECTORY) == Report(Kind.MOVED, PAY)
    assert one(Place(pool=BILL), ELSEWHERE, DIRECTORY) == Report(Kind.REMOVED, BILL)


def test_an_exchange_removes_no_name() -> None:
    assert reports_of_exchange(AT_A, AT_B, (FILE, FILE)) == [
        Report(Kind.MOVED, PAY, B, origin=str(A)),
        Report(Kind.MOVED, BILL, A, origin=str(B)),
    ]
    assert reports_of_exchange(STAGE, AT_A, (FILE, FILE)) == [
        Report(Kind.RECEIVED, BILL, A, cause="publish")
    ]
    assert reports_of_exchange(AT_A, ELSEWHERE, (FILE, LINK)) == [Report(Kind.REMOVED, BILL, A)]
