"""A monitoring system looks at a real agent while its target goes and comes."""

import socket
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from copyagent.metrics.catalogue import CATALOGUE, PREFIX
from tests.support.site import Site
from tests.support.sshd import free_port
from tests.support.waiting import wait_until
from tests.support.world import POOL, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

PORT = free_port()

#: The values of a scrape: by name without its prefix, and the values of its labels in their order.
Values = dict[tuple[str, ...], float]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    def adjust(site: Site) -> None:
        site.settings["metrics"] = {"listen": f"127.0.0.1:{PORT}"}
        # However slow this machine is, the target must be back before the ladder is at its end.
        site.settings["retry"]["attempts"] = 1000

    with open_world(adjust=adjust) as opened:
        yield opened


def parsed(text: str) -> Values:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            known = CATALOGUE.get(sample.name)
            order = sample.labels if known is None else known.labels
            values = (sample.labels[label] for label in order)
            found[sample.name.removeprefix(PREFIX), *values] = sample.value
    return found


def scraped() -> Values:
    """Ask by TCP, as Prometheus does."""
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=20) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return parsed(answer.read().decode())


def is_offered() -> bool:
    try:
        scraped()
    except OSError:
        return False
    return True


def scraped_by_socket(path: Path) -> Values:
    """Ask by the Unix socket, as curl does with ``--unix-socket``."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
        told = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, text = told.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    return parsed(text.decode())


def test_a_failing_target_is_seen_from_outside_and_so_is_its_return(world: World) -> None:
    way = (POOL, "drsite")
    world.protect("SEEN1", content(100_000))
    before = scraped()
    assert before["target_up", "drsite"] == 1
    assert before["vault_attached", "VAULT00"] == 1
    assert before["tapes", *way, "copied"] == 1
    assert before["unprotected_tapes", *way] == before["pending_bytes", *way] == 0
    assert before["copies_total", *way, "copied"] == 1
    assert before["sent_bytes_total", *way] == 100_000
    assert before["copy_duration_seconds_count", *way] == 1
    copied_at = before["last_copy_timestamp_seconds", *way]
    assert copied_at > before["start_time_seconds",]
    failed_before = before["copy_attempts_total", *way, "failed"]

    world.sshd.stop()
    world.tape("SEEN2").write_bytes(content(200_000))
    world.wait_for("SEEN2", "retry ")
    # Figures of the last second are handed out again.
    wait_until(lambda: scraped()["target_up", "drsite"] == 0, 20.0, "the target is down")
    while_down = scraped()
    assert while_down["unprotected_tapes", *way] == 1
    assert while_down["pending_bytes", *way] == 200_000
    assert while_down["oldest_unprotected_seconds", *way] > 0
    assert while_down["copy_attempts_total", *way, "failed"] > failed_before
    assert while_down["messages_total", "424110", "warning"] >= 1
    assert while_down["last_copy_timestamp_seconds", *way] == copied_at
    lacking = sum(n for key, n in while_down.items() if key[:3] == ("tapes", *way)) - 1
    assert lacking == while_down["tapes", *way, "copied"] == 1
    assert set(while_down) == set(before)

    # The next run tells by a socket, and still knows when a tape was copied last.
    path = world.site.root / "run" / "metrics.sock"
    world.site.settings["metrics"] = {"listen": str(path)}
    world.restart_agent()
    wait_until(path.exists, 20.0, "figures are offered on the socket")
    again = scraped_by_socket(path)
    assert again["last_copy_timestamp_seconds", *way] == pytest.approx(copied_at)
    assert again["copies_total", *way, "copied"] == 0
    assert again["unprotected_tapes", *way] == 1

    world.sshd.start()
    world.wait_for("SEEN2", "copied")
    wait_until(lambda: scraped_by_socket(path)["target_up", "drsite"] == 1, 20.0, "it is up again")
    after = scraped_by_socket(path)
    assert after["unprotected_tapes", *way] == 0
    assert after["copies_total", *way, "copied"] == 1
    assert after["last_copy_timestamp_seconds", *way] > copied_at

    # Where they are offered can be changed while the agent runs; what was counted goes on.
    world.site.settings["metrics"] = {"listen": f"127.0.0.1:{PORT}"}
    world.site.write_settings()
    world.site.must("copyagent", "reload", "--json")
    wait_until(lambda: not path.exists(), 20.0, "the socket is gone")
    wait_until(is_offered, 20.0, "figures are offered on the port again")
    moved = scraped()
    assert moved["copies_total", *way, "copied"] == 1
    assert moved["start_time_seconds",] == after["start_time_seconds",]
    assert moved["settings_file_in_force",] == 1
