"""Run the scripted host as a process: ``python -m tests.support.ems_host --help``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import trio

from tests.support.ems_host.control import obey
from tests.support.ems_host.layout import Layout
from tests.support.ems_host.server import EmsHost, open_ems_host
from tests.support.ems_host.terminal import HostOptions


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.support.ems_host", description="A scripted NonStop host on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="port to listen on (default: any)")
    parser.add_argument("--port-file", type=Path, help="file to write the port to, once it listens")
    parser.add_argument("--control", type=Path, help="Unix socket for control lines (else stdin)")
    parser.add_argument("--script", type=Path, help="file of control lines to run at the start")
    parser.add_argument("--node", default="\\DEV2", help="system name, with its backslash")
    parser.add_argument("--login", default="TACL", choices=["TACL", "TACLS", "SAFEGUARD"])
    parser.add_argument("--user", default="VTS.EMS")
    parser.add_argument("--password-file", type=Path, help="file with the password it accepts")
    parser.add_argument("--width", type=int, default=79)
    return parser.parse_args()


def _printed_at() -> str:
    return time.strftime("%y-%m-%d %H:%M:%S")


def _options(arguments: argparse.Namespace) -> HostOptions:
    options = HostOptions(login=arguments.login, user=arguments.user)
    if arguments.password_file:
        options.password = arguments.password_file.read_text().rstrip("\r\n")
    return options


async def _run(arguments: argparse.Namespace, options: HostOptions, script: list[str]) -> None:
    layout = Layout(node=arguments.node, width=arguments.width)
    async with (
        open_ems_host(options, layout, port=arguments.port, clock=_printed_at) as host,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_end_on_signal, nursery.cancel_scope)
        if arguments.control:
            await nursery.start(_serve_control, host, arguments.control, nursery.cancel_scope)
        if arguments.port_file:
            _write_port(arguments.port_file, host.port)
        if not await _run_script(host, script):
            nursery.cancel_scope.cancel()
        if not arguments.control:
            async with trio.lowlevel.FdStream(os.dup(0)) as typed:
                await _obey_lines(host, typed, sys.stdout.fileno())
            nursery.cancel_scope.cancel()


def _write_port(path: Path, port: int) -> None:
    # Renamed into place: who waits for the file must not read half of it.
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_text(f"{port}\n")
    temporary.rename(path)


async def _end_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async for _ in signals:
            scope.cancel()


async def _run_script(host: EmsHost, lines: list[str]) -> bool:
    """Run a script's lines; false after its ``quit``, or at the first line that failed."""
    for line in lines:
        answer = await obey(host, line)
        if line.strip() == "quit":
            return False
        if answer is not None:
            print(f"{line} -> {answer}", flush=True)
            if answer.startswith("error"):
                return False
    return True


async def _obey_lines(host: EmsHost, source: trio.abc.ReceiveStream, answers_fd: int) -> None:
    buffer = b""
    async for chunk in source:
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            if line.strip() == b"quit":
                return
            answer = await obey(host, line.decode())
            if answer is not None:
                os.write(answers_fd, f"{answer}\n".encode())


@contextlib.contextmanager
def _listening(path: Path) -> Iterator[trio.socket.SocketType]:
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        try:
            yield trio.socket.from_stdlib_socket(listening)
        finally:
            path.unlink(missing_ok=True)


async def _serve_control(
    host: EmsHost,
    path: Path,
    scope: trio.CancelScope,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    async def serve(stream: trio.SocketStream) -> None:
        buffer = b""
        with contextlib.suppress(trio.BrokenResourceError):
            async for chunk in stream:
                *lines, buffer = (buffer + chunk).split(b"\n")
                for line in lines:
                    if line.strip() == b"quit":
                        await stream.send_all(b"ok\n")
                        scope.cancel()
                    answer = await obey(host, line.decode())
                    if answer is not None:
                        await stream.send_all(f"{answer}\n".encode())

    with _listening(path) as listening:
        task_status.started()
        await trio.serve_listeners(serve, [trio.SocketListener(listening)])


def main() -> None:
    """Run until ``quit``, the end of standard input, SIGTERM or SIGINT."""
    arguments = _arguments()
    script = arguments.script.read_text().splitlines() if arguments.script else []
    trio.run(_run, arguments, _options(arguments), script)


if __name__ == "__main__":
    main()
