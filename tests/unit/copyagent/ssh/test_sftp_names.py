import pytest

from copyagent.ssh.sftp_names import links_in


@pytest.mark.parametrize(
    ("line", "links"),
    [
        (b"-rw-r-----    2 vts      vts       1048576 Jan  1 00:00 X00001", 2),
        (b"drwxrwsr-x   12 0        0            4096 Jan  1  2024 BILL", 12),
        (b"-rw-r--r--+   1 vts      vts             5 Jan  1 00:00 9 9", 1),
        (b"?---------    ? 0        0            4096 Jan  1  2024 X00001", None),
        (b"X00001", None),
        (b"", None),
        (b"-rw-r----- two vts 2 vts", None),
    ],
)
def test_the_number_of_links_is_read_or_unknown(line: bytes, links: int | None) -> None:
    assert links_in(line) == links
