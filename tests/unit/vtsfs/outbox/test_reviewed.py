"""What could end the overlay from outside, or fold a change away: each once went wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
import trio

from tests.support.signal_sink import a_signal, earlier, identity
from tests.unit.vtsfs.outbox.test_feed import world
from tests.unit.vtsfs.outbox.test_folding import numbered, session
from vtsfs.contract.signals import Kind
from vtsfs.outbox.folding import fold

HUGE = b"9" * 40


@pytest.mark.parametrize("request_", [b'{"subscribe": %s}\n', b'{"ack": %s}\n'])
async def test_a_number_beyond_all_bounds_ends_that_connection_alone(
    scratch: Path, request_: bytes
) -> None:
    async with world(scratch) as here, here.connect() as good:
        await good.hello()
        async with here.connect() as bad:
            await bad.hello()
            await bad.stream.send_all(request_ % HUGE)
            with trio.move_on_after(1):
                await bad.line()
        await good.send(status=True)
        assert await good.line() == {"status": {"vault": "VAULT00"}}


def test_a_session_of_an_unlinked_file_does_not_fold_its_successor_away() -> None:
    """Two files had the name one after the other; the first, unlinked, is closed last."""
    first = a_signal(Kind.MOUNTED, "a", before=identity(1), after=identity(1))
    ended = replace(a_signal(Kind.DISMOUNTED, "a", before=identity(1)), identity=None)
    *before, new = numbered(first, *session("b", 5, 6), ended)
    assert fold(earlier(before), new).replaced == ()
