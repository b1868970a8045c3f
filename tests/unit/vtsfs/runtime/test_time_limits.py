import re
import time

import pytest

from vtsfs.runtime.time_limits import TimeIsUp, processor_time_limit


def test_an_expression_without_end_is_ended() -> None:
    began = time.process_time()
    with pytest.raises(TimeIsUp), processor_time_limit(0.1):
        re.search(r"(a+)+$", "a" * 200 + "b")
    assert time.process_time() - began < 5.0


def test_what_is_done_in_time_is_left_alone_also_afterwards() -> None:
    for _ in range(3):
        with processor_time_limit(0.05):
            assert re.search(r"a+$", "aaa")
        began = time.process_time()
        while time.process_time() - began < 0.06:
            pass


def test_an_error_within_passes_through_and_ends_the_limit() -> None:
    with pytest.raises(ZeroDivisionError), processor_time_limit(0.05):
        _ = 1 // 0
    began = time.process_time()
    while time.process_time() - began < 0.06:
        pass
