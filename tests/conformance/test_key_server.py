"""What a key server does; one definition for every implementation.

Another implementation joins `BENCHES`: a bench gives the server what it has, and takes it away.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import pytest

from vtsfs.encryption.key_servers import FileKeyServer, KeyServer, KeyServerFailed


class Bench(Protocol):
    """A key server, and the hands that give it keys."""

    server: KeyServer

    def holds(self, key_ids: Iterable[str]) -> None:
        """Let the server have exactly these keys."""
        ...

    def breaks(self) -> None:
        """Let the server be unable to answer."""
        ...


class FileBench:
    def __init__(self, top: Path) -> None:
        self._path = top / "keys"
        self.server: KeyServer = FileKeyServer(self._path)
        self.holds([])

    def holds(self, key_ids: Iterable[str]) -> None:
        self._path.write_text("".join(f"{key_id}\n" for key_id in key_ids), encoding="utf-8")

    def breaks(self) -> None:
        self._path.unlink()


BENCHES: dict[str, Callable[[Path], Bench]] = {"file": FileBench}


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    return BENCHES[request.param](tmp_path)


def test_a_server_has_its_keys_and_no_others(bench: Bench) -> None:
    bench.holds(["KEY1", "0abc", "Schlüssel 7"])
    asked = ["KEY1", "0abc", "Schlüssel 7", "KEY2", "key1", "KEY", "KEY11", ""]
    assert [bench.server.has_key(key_id) for key_id in asked] == [True] * 3 + [False] * 5


def test_a_server_without_keys_answers(bench: Bench) -> None:
    assert not bench.server.has_key("KEY1")


def test_a_key_that_is_added_or_taken_away_counts_at_once(bench: Bench) -> None:
    for key_ids in ([], ["KEY1"], ["KEY2"], ["KEY1", "KEY2"], []):
        bench.holds(key_ids)
        for key_id in ("KEY1", "KEY2"):
            assert bench.server.has_key(key_id) is (key_id in key_ids)


def test_no_answer_is_not_no(bench: Bench) -> None:
    bench.holds(["KEY1"])
    assert bench.server.has_key("KEY1")
    bench.breaks()
    for key_id in ("KEY1", "KEY2"):
        with pytest.raises(KeyServerFailed) as failed:
            bench.server.has_key(key_id)
        assert str(failed.value)
    bench.holds(["KEY2"])
    assert bench.server.has_key("KEY2")


def test_threads_ask_at_the_same_time(bench: Bench) -> None:
    bench.holds(["KEY1"])
    answers: list[bool] = []

    def ask() -> None:
        answers.extend(bench.server.has_key(key_id) for key_id in ["KEY1", "KEY2"] * 50)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers.count(True), answers.count(False)) == (400, 400)
