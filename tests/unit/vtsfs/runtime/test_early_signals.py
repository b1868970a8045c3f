"""A signal that comes too early is noted, and ends nobody."""

import os
import signal

import trio

from vtsfs.runtime.early_signals import noted


async def test_it_is_noted_where_nobody_waits_and_left_to_whoever_does() -> None:
    before = signal.getsignal(signal.SIGHUP)
    with noted(signal.SIGHUP) as early:
        os.kill(os.getpid(), signal.SIGHUP)
        with trio.open_signal_receiver(signal.SIGHUP) as arriving, trio.fail_after(10):
            os.kill(os.getpid(), signal.SIGHUP)
            async for number in arriving:
                assert number == signal.SIGHUP
                break
        assert early == [signal.SIGHUP]
        os.kill(os.getpid(), signal.SIGHUP)
        assert early == [signal.SIGHUP, signal.SIGHUP]
    assert signal.getsignal(signal.SIGHUP) == before
