import time
import uuid

from vtsfs.runtime.clock import boot_id, mono_ns, wall_ns


def test_the_clocks_are_the_machines() -> None:
    before = time.time_ns()
    assert before <= wall_ns() <= time.time_ns()
    first = time.monotonic_ns()
    assert first <= mono_ns() <= time.monotonic_ns()


def test_the_boot_has_a_name() -> None:
    assert str(uuid.UUID(boot_id())) == boot_id()
