import os
import signal

import pytest
import trio

from vtsfs.runtime.tasks import run_until_signalled


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_good_order(number: signal.Signals) -> None:
    happened: list[object] = []

    async def run() -> None:
        try:
            os.kill(os.getpid(), number)
            await trio.sleep_forever()
        finally:
            happened.append("cleaned up")

    with trio.fail_after(10):
        received = await run_until_signalled(run, stopping=happened.append)
    assert received == number
    assert happened == [number, "cleaned up"]


async def test_its_own_end_ends_it() -> None:
    with trio.fail_after(10):
        assert await run_until_signalled(trio.lowlevel.checkpoint) is None


async def test_its_error_is_passed_on() -> None:
    async def run() -> None:
        await trio.lowlevel.checkpoint()
        raise KeyError("x")

    with pytest.raises(ExceptionGroup) as group:
        await run_until_signalled(run)
    assert group.group_contains(KeyError)
