import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.units import (
    format_count,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
    write_duration,
    write_size,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("250ms", 0.25), ("30s", 30), ("5m", 300), ("1.5h", 5400), ("24h", 86400), (" 2 d ", 172800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "-5m", "5M", "1h5m", 300, None, "٣s5"])
def test_a_duration_needs_number_and_unit(text: object) -> None:
    with pytest.raises(ValueError, match="should be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("100 B", 100), ("512KiB", 524288), ("4 GiB", 4 << 30), ("0.5 TiB", 1 << 39)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["4 GB", "4g", "100", 100, "-1 KiB", None])
def test_a_size_needs_a_binary_unit(text: object) -> None:
    with pytest.raises(ValueError, match="should be a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.9, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (61, "1m 01s"),
        (3600, "1h 00m"),
        (3900, "1h 05m"),
        (86399, "23h 59m"),
        (86400 * 3 + 4 * 3600, "3d 04h"),
    ],
)
def test_durations_for_people(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1 << 30, "1.0 GiB"),
        (5 << 40, "5.0 TiB"),
        (5 << 52, "20480.0 TiB"),
    ],
)
def test_sizes_for_people(size: float, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(0, 2**60))
def test_a_size_for_people_is_near_the_size(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.06)


@given(st.floats(min_value=0, max_value=1e9, allow_nan=False).map(abs))
def test_a_duration_is_written_as_it_is_read(seconds: float) -> None:
    assert parse_duration(write_duration(seconds)) == seconds


@given(st.integers(min_value=0, max_value=1 << 50))
def test_a_size_is_written_as_it_is_read(size: int) -> None:
    assert parse_size(write_size(size)) == size


def test_whole_units_are_written_whole() -> None:
    assert [write_duration(s) for s in (0.0, 0.25, 90.0, 300.0, 86400.0)] == [
        "0s", "250ms", "90s", "5m", "1d",
    ]  # fmt: skip
    assert [write_size(s) for s in (0, 1000, 20 << 20)] == ["0 B", "1000 B", "20 MiB"]


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (1, ("copy", "copies"), "1 copy"),
        (0, ("copy", "copies"), "0 copies"),
        (2, ("tape",), "2 tapes"),
        (12_345, ("tape is", "tapes are"), "12,345 tapes are"),
    ],
)
def test_one_is_not_counted_like_many(count: int, words: tuple[str, ...], text: str) -> None:
    assert format_count(count, *words) == text
