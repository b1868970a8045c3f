"""Run the scripted host as a process: ``python -m tests.support.ems_host --help``."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import trio

from tests.support.ems_host.clock import HostClock
from tests.support.ems_host.control import obey
from tests.support.ems_host.layout import Layout
from tests.support.ems_host.options import HostOptions
from tests.support.ems_host.scenario import SCRIPTS, Scenario, load_scenario, play
from tests.support.ems_host.server import EmsHost, open_ems_host
from tests.support.ems_host.ssh import ssh_front

LOGINS = ("TACL", "TACLS", "XYGATE", "SAFEGUARD")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tests.support.ems_host", description="A scripted NonStop host on 127.0.0.1."
    )
    parser.add_argument("--port", type=int, default=0, help="port of Telnet (default: any)")
    parser.add_argument("--shell-port", type=int, default=0, help="port that SSH is bridged to")
    parser.add_argument("--port-file", type=Path, help="file to write the port to, once it listens")
    parser.add_argument("--shell-port-file", type=Path, help="the same for the port behind SSH")
    parser.add_argument("--ssh", type=Path, help="directory for an SSH server in front of it")
    parser.add_argument("--control", type=Path, help="Unix socket for control lines (else stdin)")
    parser.add_argument("--script", type=Path, help="file of control lines to run at the start")
    names = sorted(path.stem for path in SCRIPTS.glob("*.yaml"))
    parser.add_argument(
        "--scenario", choices=names, help="what happens, over and over, while somebody listens"
    )
    parser.add_argument("--node", default="\\DEV2", help="system name, with its backslash")
    parser.add_argument("--login", default="TACL", choices=LOGINS)
    parser.add_argument("--user", default="VTS.EMS")
    parser.add_argument("--password-file", type=Path, help="file with the password it accepts")
    parser.add_argument("--width", type=int, default=79)
    return parser.parse_args()


def _scenario(arguments: argparse.Namespace) -> Scenario | None:
    if not arguments.scenario:
        return None
    return load_scenario(SCRIPTS / f"{arguments.scenario}.yaml")


def _options(arguments: argparse.Namespace, scenario: Scenario | None) -> HostOptions:
    options = scenario.options() if scenario else HostOptions()
    options.login, options.user = arguments.login, arguments.user
    if arguments.password_file:
        options.password = arguments.password_file.read_text().rstrip("\r\n")
    return options


async def _run(arguments: argparse.Namespace, script: list[str]) -> None:
    scenario = _scenario(arguments)
    ports = {"port": arguments.port, "shell_port": arguments.shell_port}
    layout = Layout(node=arguments.node, width=arguments.width)
    clock = HostClock.of_this_machine()
    async with (
        open_ems_host(_options(arguments, scenario), layout, clock=clock, **ports) as host,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(_end_on_signal, nursery.cancel_scope)
        with contextlib.ExitStack() as stack:
            await _be_reachable(host, arguments, stack, nursery)
            if scenario is not None:
                nursery.start_soon(_play_over_and_over, host, scenario)
            if not await _run_script(host, script):
                nursery.cancel_scope.cancel()
            if not arguments.control:
                async with trio.lowlevel.FdStream(os.dup(0)) as typed:
                    await _obey_lines(host, typed, sys.stdout.fileno())
                nursery.cancel_scope.cancel()
            await trio.sleep_forever()


async def _be_reachable(
    host: EmsHost,
    arguments: argparse.Namespace,
    stack: contextlib.ExitStack,
    nursery: trio.Nursery,
) -> None:
    if arguments.ssh:
        sshd = ssh_front(arguments.ssh, host.shell_port)
        await trio.to_thread.run_sync(stack.enter_context, sshd)
        print(
            f"ssh: 127.0.0.1 port {sshd.port}, user {sshd.user}, key {sshd.key}, "
            f"known_hosts {sshd.known_hosts}",
            flush=True,
        )
    if arguments.control:
        await nursery.start(_serve_control, host, arguments.control, nursery.cancel_scope)
    else:
        print(f"telnet: 127.0.0.1 port {host.port}, user {host.options.user}", file=sys.stderr)
    if arguments.shell_port_file:
        _write_port(arguments.shell_port_file, host.shell_port)
    if arguments.port_file:
        _write_port(arguments.port_file, host.port)


async def _play_over_and_over(host: EmsHost, scenario: Scenario) -> None:
    while True:
        await host.wait_until(lambda: host.printing > 0, within=float("inf"))
        await play(host, scenario)
        await trio.sleep(1.0)


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
    trio.run(_run, arguments, script)


if __name__ == "__main__":
    main()
