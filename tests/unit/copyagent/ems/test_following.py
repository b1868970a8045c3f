"""A real file that grows, is rotated, deleted, truncated: every line once, in order."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.ems.following import TRUNCATED, Follower
from copyagent.ems.rotation import FileTrouble
from tests.support.followed import PATIENCE, Followed, append, rotate


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "ems.log"
    path.write_bytes(b"")
    return path


@pytest.fixture
def followed(path: Path) -> Iterator[Followed]:
    followed = Followed(path)
    yield followed
    followed.follower.close()


# ---- growing and being renamed --------------------------------------------------------------------


def test_what_is_there_before_is_not_read(path: Path) -> None:
    append(path, b"old\n")
    followed = Followed(path)
    append(path, b"new\n")
    assert followed.read() == b"new\n"
    followed.follower.close()


def test_a_file_that_has_come_since_is_read_from_its_beginning(path: Path) -> None:
    append(path, b"new\n")
    followed = Followed(path, is_new=True)
    assert followed.read() == b"new\n"
    followed.follower.close()


def test_pieces_without_an_end_come_as_they_are(path: Path, followed: Followed) -> None:
    append(path, b"26-11-22 ")
    assert followed.read() == b"26-11-22 "
    assert followed.read() == b""
    append(path, b"17:00:00\nx")
    assert followed.read() == b"17:00:00\nx"


def test_much_at_once_comes_in_pieces(path: Path, followed: Followed) -> None:
    data = b"".join(b"%07d\n" % number for number in range(100_000))
    append(path, data)
    assert followed.read() == data


def test_the_old_file_is_read_until_the_new_one_has_something(
    path: Path, followed: Followed
) -> None:
    with path.open("ab", buffering=0) as printer:
        printer.write(b"1\n")
        rotate(path)
        assert followed.read() == b"1\n"
        printer.write(b"2\n")
        path.touch()
        assert followed.read() == b"2\n"
        printer.write(b"3\n")
    append(path, b"4\n")
    assert followed.read() == b"3\n4\n"
    append(path, b"5\n")
    assert followed.read() == b"5\n"
    assert followed.gaps == []


def test_files_rotated_away_unseen_are_read_in_order(path: Path, followed: Followed) -> None:
    append(path, b"1\n")
    followed.read()
    for number in range(2, 6):
        append(path, b"%d\n" % number)
        rotate(path)
        path.touch()
    append(path, b"6\n")
    assert followed.read() == b"2\n3\n4\n5\n6\n"
    assert followed.gaps == []


def test_files_rotated_away_before_are_left_alone(path: Path) -> None:
    for number in range(3):
        append(path, b"%d\n" % number)
        rotate(path)
    append(path, b"3\n")
    followed = Followed(path, is_new=True)
    assert followed.read() == b"3\n"
    rotate(path)
    append(path, b"4\n")
    assert followed.read() == b"4\n"
    followed.follower.close()


def test_a_line_that_a_file_left_without_its_end_is_ended(path: Path, followed: Followed) -> None:
    append(path, b"half a li")
    followed.read()
    rotate(path)
    append(path, b"new\n")
    assert followed.read() == b"\nnew\n"


def test_deleted_and_made_anew(path: Path, followed: Followed) -> None:
    append(path, b"1\n")
    path.unlink()
    assert followed.read() == b"1\n"
    append(path, b"2\n")
    assert followed.read() == b"2\n"
    assert followed.gaps == []


def test_a_link_that_is_set_to_the_next_file(tmp_path: Path) -> None:
    link = tmp_path / "current"
    for day in (20, 21, 22, 23):
        (tmp_path / f"ems-202611{day}").write_bytes(b"")
    link.symlink_to("ems-20261121")
    followed = Followed(link)
    append(link, b"1\n")
    (tmp_path / "next").symlink_to("ems-20261122")
    (tmp_path / "next").rename(link)
    append(tmp_path / "ems-20261121", b"2\n")
    append(link, b"3\n")
    assert followed.read() == b"1\n2\n3\n"
    followed.follower.close()


def test_compressed_and_other_files_beside_it_are_no_part_of_it(
    path: Path, followed: Followed
) -> None:
    append(path, b"1\n")
    followed.read()
    for name in ("ems.log.1.gz", "ems.log.bak", "other.log.1", "ems.log.2x"):
        path.with_name(name).write_bytes(b"not this\n")
    path.with_name("ems.log.7").mkdir()
    os.mkfifo(path.with_name("ems.log.8"))
    path.with_name("ems.log.9").symlink_to("nowhere")
    rotate(path)
    append(path, b"2\n")
    assert followed.read() == b"2\n"


def test_a_longer_edition_in_its_place_is_gone_on_with(path: Path, followed: Followed) -> None:
    for number in range(100):
        append(path, b"%d\n" % number)
    followed.read()
    edition = path.with_name("ems.log.tmp")
    edition.write_bytes(path.read_bytes() + b"new\n")
    edition.rename(path)
    assert followed.read() == b"new\n"
    append(path, b"newer\n")
    assert followed.read() == b"newer\n"
    assert followed.gaps == []


def test_a_mirror_of_a_rotated_file_is_gone_on_with(path: Path, followed: Followed) -> None:
    """Every file is written anew, the rotated ones as well."""

    def mirror(name: str, data: bytes) -> None:
        edition = path.with_name("edition")
        edition.write_bytes(data)
        edition.rename(path.with_name(name))

    def lines(first: int, last: int) -> bytes:
        return b"".join(b"%070d\n" % number for number in range(first, last))

    mirror("ems.log", lines(0, 10))
    followed.read()
    mirror("ems.log.1", lines(0, 15))
    mirror("ems.log", lines(15, 20))
    followed.read()
    mirror("ems.log.2", lines(0, 15))
    mirror("ems.log.1", lines(15, 25))
    mirror("ems.log", lines(25, 30))
    followed.read()
    assert followed.text == lines(0, 30)
    assert followed.gaps == []


# ---- copied and truncated -------------------------------------------------------------------------


def copy_and_truncate(path: Path) -> None:
    path.with_name(f"{path.name}.1").write_bytes(path.read_bytes())
    os.truncate(path, 0)


def test_the_rest_of_a_truncated_file_is_in_its_copy(path: Path, followed: Followed) -> None:
    append(path, b"1\n")
    followed.read()
    append(path, b"2\n")
    copy_and_truncate(path)
    append(path, b"3\n")
    assert followed.read() == b"2\n3\n"
    assert followed.gaps == [TRUNCATED]
    append(path, b"4\n")
    assert followed.read() == b"4\n"


def test_a_file_truncated_before_anything_of_it_was_read(path: Path, followed: Followed) -> None:
    append(path, b"1\n")
    copy_and_truncate(path)
    append(path, b"2\n")
    assert followed.read() == b"1\n2\n"
    assert followed.gaps == [TRUNCATED]


def test_a_truncated_file_without_a_copy(path: Path, followed: Followed) -> None:
    append(path, b"1\nhalf")
    followed.read()
    os.truncate(path, 0)
    assert followed.read() == b"\n"
    append(path, b"3\n")
    assert followed.read() == b"3\n"
    assert followed.gaps == [TRUNCATED]


def test_a_truncated_file_that_is_as_long_again(path: Path, followed: Followed) -> None:
    append(path, b"1111\n")
    followed.read()
    os.truncate(path, 0)
    append(path, b"2222\n3333\n")
    assert followed.read() == b"2222\n3333\n"
    assert followed.gaps == [TRUNCATED]


def test_who_goes_on_printing_at_his_place_leaves_a_hole(path: Path) -> None:
    with path.open("wb", buffering=0) as printer:
        followed = Followed(path)
        printer.write(b"x" * 9_999_999 + b"\n")
        followed.read()
        os.truncate(path, 0)
        printer.write(b"2\n")
        found = followed.read()
    assert found.lstrip(b"\0") == b"2\n"
    assert len(found) < 10_000, "the hole is not read"
    followed.follower.close()


# ---- no file --------------------------------------------------------------------------------------


def test_absent_for_long_it_counts_as_unreadable(path: Path, followed: Followed) -> None:
    path.unlink()
    followed.read()
    followed.now = PATIENCE - 0.1
    followed.read()
    followed.now = PATIENCE
    with pytest.raises(FileTrouble, match="No such file") as raised:
        followed.read()
    assert raised.value.absent


def test_absent_for_a_while_again_and_again_is_fine(path: Path, followed: Followed) -> None:
    for number in range(4):
        path.unlink()
        followed.now += PATIENCE - 0.1
        followed.read()
        append(path, b"%d\n" % number)
        assert followed.read() == b"%d\n" % number


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


INSTEAD = [
    (Path.mkdir, "a directory"),
    (make_fifo, "a FIFO"),
    (make_loop, "symbolic links"),
    (lambda path: path.symlink_to("/dev/zero"), "a device"),
]


@pytest.mark.parametrize(("make", "why"), INSTEAD)
def test_anything_but_a_file_is_refused(tmp_path: Path, make: object, why: str) -> None:
    path = tmp_path / "ems.log"
    assert callable(make)
    make(path)
    with pytest.raises(FileTrouble, match=why) as raised:
        Follower(path, None, patience=PATIENCE)
    assert str(path) in str(raised.value)
    assert not raised.value.absent


@pytest.mark.parametrize(("make", "why"), INSTEAD)
def test_anything_but_a_file_that_takes_its_place(
    path: Path, followed: Followed, make: object, why: str
) -> None:
    append(path, b"1\n")
    path.unlink()
    assert callable(make)
    make(path)
    assert followed.follower.read(0.0) == b"1\n"
    with pytest.raises(FileTrouble, match=why):
        followed.follower.read(0.0)


def test_a_link_to_nothing_is_an_absent_file(tmp_path: Path) -> None:
    make_link_to_nothing(tmp_path / "ems.log")
    with pytest.raises(FileTrouble) as raised:
        Follower(tmp_path / "ems.log", None, patience=PATIENCE)
    assert raised.value.absent


def test_no_file_stays_open(path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    followed = Followed(path)
    for number in range(5):
        append(path, b"%d\n" % number)
        rotate(path)
        append(path, b"x\n")
        copy_and_truncate(path)
        append(path, b"y\n")
        followed.read()
    followed.follower.close()
    with pytest.raises(FileTrouble):
        Followed(path.with_name("missing"))
    assert len(os.listdir("/proc/self/fd")) == before


# ---- any schedule ---------------------------------------------------------------------------------


@dataclass
class Printer:
    """Whoever prints into the file: keeps it open until told to open it anew."""

    path: Path
    printed: list[bytes] = field(default_factory=list)
    file: object = None

    def __post_init__(self) -> None:
        self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self.rotated = 0

    def print(self, pieces: int) -> None:
        data = b"%06d\n" % len(self.printed)
        self.printed.append(data)
        for start in range(0, len(data), max(1, len(data) // pieces)):
            os.write(self.fd, data[start : start + max(1, len(data) // pieces)])

    def rename(self) -> None:
        if self.path.exists():
            self.rotated += 1
            rotate(self.path)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)

    def reopen(self) -> None:
        os.close(self.fd)
        self.fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("print"), st.integers(1, 4)),
        st.tuples(st.sampled_from(["rename", "reopen", "rename and reopen", "read"]), st.just(0)),
    ),
    max_size=40,
)


@settings(max_examples=120, deadline=None)
@given(STEPS)
def test_every_line_once_and_in_order_however_it_is_rotated(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "ems.log"
        printer = Printer(path)
        followed = Followed(path)
        for step, pieces in steps:
            match step:
                case "print":
                    printer.print(pieces)
                case "read":
                    followed.read()
                case "reopen":
                    printer.reopen()
                case _:
                    printer.rename()
                    if "reopen" in step:
                        printer.reopen()
        printer.reopen()
        printer.print(1)
        followed.read()
        followed.follower.close()
        os.close(printer.fd)
        assert followed.text == b"".join(printer.printed)
        assert followed.gaps == []


@settings(max_examples=120, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("print"), st.integers(1, 4)),
            st.tuples(st.sampled_from(["copy and truncate", "delete", "read"]), st.just(0)),
        ),
        max_size=40,
    )
)
def test_truncation_repeats_nothing_and_is_told(steps: list[tuple[str, int]]) -> None:
    with TemporaryDirectory() as directory:
        path = Path(directory) / "ems.log"
        printer = Printer(path)
        followed = Followed(path)
        lost = False
        for step, pieces in steps:
            match step:
                case "print":
                    printer.print(pieces)
                case "read":
                    followed.read()
                case "delete":
                    followed.read()
                    printer.delete()
                    printer.reopen()
                case _:
                    lost = lost or bool(path.stat().st_size)
                    copy_and_truncate(path)
        printer.print(1)
        followed.read()
        followed.follower.close()
        os.close(printer.fd)
        lines = followed.text.splitlines(keepends=True)
        assert lines == sorted(set(lines))
        assert set(lines) <= set(printer.printed)
        if lines != printer.printed:
            assert lost
