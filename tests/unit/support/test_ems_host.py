"""The scripted host: what it prints is what the manuals print, and its control lines work."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.support.ems_host import EmsHost, Layout, open_ems_host, wrap
from tests.support.ems_host.control import obey
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]


def test_an_event_is_laid_out_with_a_hanging_indent() -> None:
    layout = Layout(node="\\NET", process="$FTI1", ssid="TANDEM.MHS.G01", width=79, indent=8)
    text = "$ZL1 MR.\\NET.MRGRP1 $RL11: OSI resource problem with device \\NET.$LAPX.#Z0004BW"
    assert layout.lines("96-10-03 15:09:51", 23, text) == [
        "96-10-03 15:09:51 \\NET.$FTI1             TANDEM.MHS.G01          000023 $ZL1",
        "        MR.\\NET.MRGRP1 $RL11: OSI resource problem with device",
        "        \\NET.$LAPX.#Z0004BW",
    ]
    (first, *_) = layout.lines("96-10-03 15:09:51", 23, text, critical=True)
    assert " * TANDEM.MHS.G01 " in first


@given(
    st.lists(st.text("abcDEF12$", min_size=1, max_size=30)), st.integers(1, 60), st.integers(0, 9)
)
def test_wrapping_keeps_every_word_and_the_width(words: list[str], width: int, indent: int) -> None:
    parts = wrap(" ".join(words), width, indent)
    assert [word for part in parts for word in part.split()] == words
    for number, part in enumerate(parts):
        assert len(part) <= max(width, indent + 1) or " " not in part.strip()
        assert part.startswith(" " * indent) or number == 0


async def ask(host: EmsHost, *lines: str) -> list[str | None]:
    return [await obey(host, line) for line in lines]


async def test_control_lines() -> None:
    async with open_ems_host() as host:
        assert await ask(
            host,
            "mount X00001 with drive=$VTAPE0 comment='NIGHTLY BACKUP'",
            "mount scratch with request=7",
            "mounted 7 N00001",
            "opened N00001 $VTAPE0",
            "dismounted N00001 $VTAPE0",
            "rejected 8 X00002",
            "substituted X00003 X00004",
            "takeover",
            "print 601 $ZSVR: 0042 MOUNT X00001 NO RING",
            "raw half a line",
            "width 60",
            "indent 4",
            "refuse on",
            "accept off",
            "drop",
            "sleep 0",
            "status",
            "",
            "# a remark",
        ) == [
            "ok 42",
            "ok 7",
            *["ok"] * 14,
            "ok connections=0 printing=0",
            None,
            None,
        ]
        assert (host.layout.width, host.layout.indent) == (60, 4)
        assert host.options.refuses_log_on
        assert not host.options.accepts


@pytest.mark.parametrize(
    "line",
    [
        "mount",
        "mount X00001",
        "mount X00001 perhaps",
        "mount X00001 with colour=red",
        "mount X00001 with 7",
        "mounted seven X00001",
        "refuse",
        "fly",
        "mount 'no end",
        "set colour red",
        "set delay slowly",
        "set echoes perhaps",
        "clock tomorrow",
        "flood 3 water",
        "rotate",
        "wait 0.01",
    ],
)
async def test_a_wrong_control_line_is_answered_with_an_error(line: str) -> None:
    async with open_ems_host() as host:
        answer = await obey(host, line)
        assert answer is not None
        assert answer.startswith("error ")
        assert len(answer) > len("error ")


async def test_it_hangs_up_when_its_block_ends() -> None:
    async with open_ems_host() as host:
        stream = await trio.open_tcp_stream("127.0.0.1", host.port)
        assert await stream.receive_some(100)
    with trio.fail_after(5):
        try:
            while await stream.receive_some(1000):
                pass
        except trio.BrokenResourceError:
            pass
    await stream.aclose()
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", host.port)


def test_as_a_process_it_is_controlled_over_a_socket(scratch: Path) -> None:
    port_file, control, script = scratch / "port", scratch / "control", scratch / "script"
    script.write_text("width 50\n# a remark\n")
    arguments = ["--port-file", port_file, "--control", control, "--script", script]
    command = [sys.executable, "-m", "tests.support.ems_host", *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        wait_until(port_file.exists, 20.0, "the port file")
        with socket.create_connection(("127.0.0.1", int(port_file.read_text()))):
            pass
        with socket.socket(socket.AF_UNIX) as client, client.makefile("rw") as lines:
            client.connect(str(control))
            for line, answer in (("mount X1 no", "ok 42"), ("quit", "ok")):
                lines.write(f"{line}\n")
                lines.flush()
                assert lines.readline().strip() == answer
        assert process.communicate(timeout=10)[0] == "width 50 -> ok\n"
        assert process.returncode == 0
    assert not control.exists()


def test_as_a_process_it_reads_its_input_and_ends_with_it() -> None:
    command = [sys.executable, "-m", "tests.support.ems_host"]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        input="status\nfly\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert ended.stdout == "ok connections=0 printing=0\nerror no such command: fly\n"
