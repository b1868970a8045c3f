"""Where in a file and its predecessors a host's clock begins."""

from pathlib import Path

import pytest

from copyagent.core.host_clock import printed_second
from copyagent.ems.rotation import Known
from tests.support.followed import Followed, append, rotate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ems.log"
    path.write_bytes(b"")
    return path


def line(second: int, text: str = "EVENT") -> bytes:
    return rb"26-11-22 %02d:%02d:%02d \DEV2.$ZSVR TANDEM.TAPE.G06 000659 %s" % (
        second // 3600,
        second // 60 % 60,
        second % 60,
        f"{text}\n".encode(),
    )


def at(second: int) -> int:
    found = printed_second(
        f"26-11-22 {second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
    )
    assert found is not None
    return found


def begun_at(path: Path, second: int) -> bytes:
    followed = Followed(path, at(second))
    try:
        return followed.read()
    finally:
        followed.follower.close()


def test_it_begins_where_the_host_s_clock_says(path: Path) -> None:
    for second in range(0, 1000, 10):
        append(path, line(second) + b"        MORE OF IT\n")
    text = path.read_bytes()
    for second in (0, 5, 500, 985, 990):
        expected = line(-(-second // 10) * 10)
        assert begun_at(path, second) == text[text.index(expected) :]
    assert begun_at(path, 991) == b""


def test_late_events_near_the_place_are_not_left_out(path: Path) -> None:
    lines = [line(second) for second in (100, 200, 260, 255, 240, 261, 250, 300)]
    append(path, b"".join(lines))
    assert begun_at(path, 256) == b"".join(lines[2:])


def test_it_begins_in_a_file_rotated_away(path: Path) -> None:
    for second in range(1000):
        append(path, line(second))
        if second % 100 == 99:
            rotate(path)
    append(path, line(1000))
    expected = b"".join(line(second) for second in range(750, 1001))
    assert begun_at(path, 750) == expected
    assert begun_at(path, 1000) == line(1000)
    assert begun_at(path, 1001) == b""


def test_what_is_not_there_any_more_begins_with_what_is(path: Path) -> None:
    append(path, line(500) + line(501))
    rotate(path)
    append(path, line(502))
    assert begun_at(path, 400) == line(500) + line(501) + line(502)


def test_a_long_way_back_through_more_than_a_block(path: Path) -> None:
    filler = b"        " + b"x" * 90 + b"\n"
    with path.open("wb") as file:
        for second in range(60):
            file.write(line(second))
            file.write(filler * 1000)
    text = path.read_bytes()
    for second in (0, 1, 17, 59):
        assert begun_at(path, second) == text[text.index(line(second)) :]


def test_what_has_no_times_is_read_from_its_end(path: Path) -> None:
    append(path, b"99-99-99 99:99:99 nonsense\n\xff\xfe\0\0 26-11-22 17:00:00 not at the edge\n")
    assert begun_at(path, 0) == b""


def test_the_century_is_told_from_the_year(path: Path) -> None:
    last = b"99-12-31 23:59:59 a\n"
    first = b"00-01-01 00:00:00 b\n"
    append(path, last + first)
    second = printed_second("00-01-01 00:00:00")
    assert second is not None
    followed = Followed(path, second)
    assert followed.read() == first
    followed.follower.close()


def test_a_file_is_known_again_when_it_has_grown_or_was_copied() -> None:
    whole = b"x" * 64
    known = Known([(1, 2, b"abc"), (1, 3, whole), (1, 4, b"")])
    assert known.has((1, 2, b"abcd"))
    assert known.has((9, 9, whole))
    assert not known.has((1, 2, b"another"))
    assert not known.has((1, 4, b"abc"))
    assert not known.has((9, 9, b"abc"))
