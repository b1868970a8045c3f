"""Plans are carried out on bytes in memory: whatever is known, the result is the source."""

from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.transfer import plan, ranges
from copyagent.transfer.chunks import ChunkMap, MapBuilder, chunk_count, chunk_range, touched
from copyagent.transfer.plan import BLOCK, GAP, Plan, Source
from vtsfs.contract.extents import ExtentSet, Range

CHUNK = 256 * 1024
MIB, GIB = 1024**2, 1024**3


def map_of(content: bytes) -> ChunkMap:
    builder = MapBuilder(len(content))
    builder.feed(0, content)
    return builder.result()


@dataclass(frozen=True)
class Tape:
    """A tape before and after some writing: *written* covers all that changed."""

    old: bytes
    new: bytes
    written: ExtentSet

    @property
    def holes(self) -> ExtentSet:
        """Return the blocks of the new content that are zero, as a file system could show them."""
        zero = [
            (at, min(at + BLOCK, len(self.new)))
            for at in range(0, len(self.new), BLOCK)
            if not self.new[at : at + BLOCK].strip(b"\0")
        ]
        return ranges.exact(zero)


@st.composite
def tapes(draw: st.DrawFn) -> Tape:
    """Draw a history of writes, cuts and growth over blocks, some of them zero."""
    blocks = st.lists(st.sampled_from([b"\0", b"a", b"b"]), max_size=5)
    part = st.sampled_from([BLOCK, CHUNK // 2, CHUNK])
    old = b"".join(fill * draw(part) for fill in draw(blocks)) + draw(st.binary(max_size=9))
    new = bytearray(old)
    written = ExtentSet()
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(new)))
        data = draw(st.sampled_from([b"\0", b"w", b"a"])) * draw(
            st.sampled_from([1, 100, BLOCK, 3 * BLOCK, CHUNK])
        )
        new[at : at + len(data)] = data
        written.add(at, at + len(data))
    if draw(st.booleans()):
        size = draw(st.integers(0, len(new) + 10))
        if size > len(new):
            written.add(len(new), size)
        new[size:] = bytes(max(size - len(new), 0))
    return Tape(old, bytes(new), ranges.clipped(written, 0, len(new)))


def carry_out(made: Plan, tape: Tape, stage: bytearray, *, earlier: bytes = b"") -> None:
    for start, end in made.keep:
        assert end <= len(tape.old), "a server-side copy past the end would succeed short"
        stage[start:end] = tape.old[start:end]
    for start, end in made.resume:
        stage[start:end] = earlier[start:end]
    for start, end in made.send:
        stage[start:end] = tape.new[start:end]


def expect_disjoint(made: Plan) -> None:
    assert not ranges.both(made.send, made.keep)
    assert not ranges.both(made.send, made.resume)
    assert not ranges.both(made.keep, made.resume)
    assert all(end <= made.size for part in (made.send, made.keep) for _, end in part)


def finish_map(made: Plan, tape: Tape) -> ChunkMap:
    builder = MapBuilder(made.size, made.known)
    for start, end in made.unread:
        builder.feed(start, tape.new[start:end])
    return builder.result()


def looked_at(tape: Tape, changed: ExtentSet | None) -> dict[int, bytes]:
    digests: dict[int, bytes] = {}
    base, new = map_of(tape.old), map_of(tape.new)
    while wanted := plan.next_look(base, len(tape.new), changed, digests):
        assert not set(wanted) & set(digests), "nothing is read twice"
        digests.update((index, new.digest(index)) for index in wanted)
    return digests


@settings(max_examples=300, deadline=None)
@given(tapes(), st.data())
def test_whatever_is_known_the_stage_becomes_the_source(tape: Tape, data: st.DataObject) -> None:
    changed = tape.written if data.draw(st.booleans(), "extents known") else None
    base = map_of(tape.old) if data.draw(st.booleans(), "base known") else None
    digests = looked_at(tape, changed) if base and data.draw(st.booleans(), "looked at") else {}
    size = len(tape.new)
    shown = ranges.without([(0, size)] if size else [], tape.holes)
    source = Source(size, shown if data.draw(st.booleans(), "holes known") else None, digests)
    durable = None
    if data.draw(st.booleans(), "resumed"):
        cuts = sorted(data.draw(st.lists(st.integers(0, size), max_size=4)))
        durable = ExtentSet(zip(cuts[::2], cuts[1::2], strict=False))
    made = plan.make(source, base, changed, durable=durable)
    expect_disjoint(made)
    stage = bytearray(size)
    carry_out(made, tape, stage, earlier=tape.new)
    assert bytes(stage) == tape.new
    assert finish_map(made, tape) == map_of(tape.new)
    assert made.skipped == size - made.send.total()


@settings(max_examples=200, deadline=None)
@given(tapes(), st.data())
def test_a_base_is_brought_forward_in_place(tape: Tape, data: st.DataObject) -> None:
    changed = tape.written if data.draw(st.booleans(), "extents known") else None
    size = len(tape.new)
    shown = ranges.without([(0, size)] if size else [], tape.holes)
    source = Source(
        size,
        shown if data.draw(st.booleans(), "holes known") else None,
        looked_at(tape, changed) if data.draw(st.booleans(), "looked at") else {},
    )
    made = plan.make(source, map_of(tape.old), changed, in_place=True)
    expect_disjoint(made)
    assert not made.keep
    stage = bytearray(tape.old[:size].ljust(size, b"\0"))
    carry_out(made, tape, stage)
    assert bytes(stage) == tape.new


@settings(max_examples=200, deadline=None)
@given(tapes(), st.data())
def test_a_late_server_side_copy_writes_right_bytes(tape: Tape, data: st.DataObject) -> None:
    """What a frozen server still executes after everything else must change nothing."""
    changed = tape.written if data.draw(st.booleans()) else None
    digests = looked_at(tape, changed)
    made = plan.make(Source(len(tape.new), None, digests), map_of(tape.old), changed)
    stage = bytearray(tape.new)
    for start, end in made.keep:
        stage[start:end] = tape.old[start:end]
    assert bytes(stage) == tape.new


@settings(max_examples=200, deadline=None)
@given(tapes())
def test_with_exact_extents_little_more_than_them_is_sent(tape: Tape) -> None:
    made = plan.make(Source(len(tape.new)), map_of(tape.old), tape.written)
    beyond = [(len(tape.old), len(tape.new))] if len(tape.old) < len(tape.new) else []
    wide = ranges.rounded_out(ranges.joined(tape.written, beyond), 64 * 1024, len(tape.new))
    assert not ranges.without(made.send, wide)


def test_the_way_is_named() -> None:
    old = b"a" * CHUNK + b"b" * CHUNK
    base, new = map_of(old), map_of(b"a" * CHUNK + b"c" * CHUNK)
    size = new.size
    assert plan.make(Source(size)).way == "whole"
    assert plan.make(Source(size), base).way == "whole"
    assert plan.make(Source(size), base, ExtentSet([(5, 6)])).way == "extents"
    assert plan.make(Source(size, None, new.known()), base).way == "digests"
    assert plan.make(Source(size, None, base.known()), base).way == "equal"
    assert plan.make(Source(size), base, ExtentSet()).way == "equal"
    longer = Source(size + 1, None, base.known())
    assert plan.make(longer, base, ExtentSet()).way == "extents"
    assert plan.make(Source(size - 1), base, ExtentSet()).way == "extents"


def test_an_empty_tape_has_nothing_to_send() -> None:
    made = plan.make(Source(0))
    assert (made.send, made.keep, made.unread) == (ExtentSet(), ExtentSet(), ExtentSet())


def test_ranges_are_sent_not_chunks() -> None:
    base = map_of(b"x" * 4 * CHUNK)
    made = plan.make(Source(4 * CHUNK), base, ExtentSet([(CHUNK + 5000, CHUNK + 5001)]))
    assert list(made.send) == [(CHUNK + 4096, CHUNK + 8192)]
    assert list(made.unread) == [(CHUNK, 2 * CHUNK)]
    assert list(made.keep) == [(0, CHUNK + 4096), (CHUNK + 8192, 4 * CHUNK)]


def test_ranges_close_together_are_sent_as_one() -> None:
    base = map_of(b"x" * 4 * CHUNK)
    near, far = (BLOCK + GAP - 1, BLOCK + GAP), (3 * GAP, 3 * GAP + 1)
    made = plan.make(Source(4 * CHUNK), base, ExtentSet([(0, BLOCK), near, far]))
    assert list(made.send) == [(0, BLOCK + GAP), (3 * GAP, 3 * GAP + BLOCK)]


def test_a_cut_tape_is_kept_as_far_as_it_goes() -> None:
    base = map_of(b"x" * 4 * CHUNK)
    made = plan.make(Source(CHUNK + 10), base, ExtentSet())
    assert (made.way, list(made.send), list(made.keep)) == ("extents", [], [(0, CHUNK + 10)])
    assert list(made.unread) == [(CHUNK, CHUNK + 10)]


def test_an_appended_tape_sends_what_is_new() -> None:
    base = map_of(b"x" * (4 * CHUNK + 10))
    size = 6 * CHUNK
    made = plan.make(Source(size), base, ExtentSet([(4 * CHUNK + 10, size)]))
    assert list(made.send) == [(4 * CHUNK, size)]
    # Also where the extents were silent about it.
    assert list(plan.make(Source(size), base, ExtentSet()).send) == [(4 * CHUNK, size)]


def test_chunks_of_another_length_are_no_obstacle_to_extents() -> None:
    base = ChunkMap(4 * GIB, bytes(32 * 16384))
    size = 4 * GIB + MIB
    made = plan.make(Source(size), base, ExtentSet([(4 * GIB, size)]))
    assert list(made.send) == [(4 * GIB, size)]
    assert made.unread.total() == size
    assert plan.next_look(base, size, ExtentSet([(4 * GIB, size)]), {}) == ()
    assert plan.make(Source(size), base).way == "whole"


def test_a_digest_that_contradicts_the_extents_is_believed() -> None:
    old, new = b"x" * 3 * CHUNK, b"x" * CHUNK + b"y" * CHUNK + b"x" * CHUNK
    known = map_of(new).known()
    made = plan.make(Source(len(new), None, known), map_of(old), ExtentSet([(0, 1)]))
    assert list(made.send) == [(CHUNK, 2 * CHUNK)]


def test_zeros_of_the_source_are_not_sent_into_a_fresh_stage() -> None:
    old, new = b"x" * 2 * CHUNK, b"x" * CHUNK + bytes(CHUNK)
    source = Source(len(new), None, map_of(new).known())
    assert not plan.make(source, map_of(old)).send
    assert list(plan.make(source, map_of(old), in_place=True).send) == [(CHUNK, 2 * CHUNK)]


def test_zeros_of_the_base_are_not_copied() -> None:
    old = b"x" * CHUNK + bytes(CHUNK) + b"x" * CHUNK
    made = plan.make(Source(len(old)), map_of(old), ExtentSet([(0, 1)]))
    assert list(made.keep) == [(4096, CHUNK), (2 * CHUNK, 3 * CHUNK)]


def of_size(size: int, different: range | tuple[int, ...] = ()) -> tuple[ChunkMap, ChunkMap]:
    """Return two made-up maps that differ in some chunks."""
    count = chunk_count(size)
    base = b"".join(index.to_bytes(32, "big") for index in range(1, count + 1))
    new = b"".join(
        bytes([255 if index in different else 0]) + (index + 1).to_bytes(31, "big")
        for index in range(count)
    )
    return ChunkMap(size, base), ChunkMap(size, new)


def looks(base: ChunkMap, new: ChunkMap, changed: ExtentSet | None) -> list[int]:
    """Return how many chunks each look takes."""
    digests: dict[int, bytes] = {}
    taken = []
    while wanted := plan.next_look(base, new.size, changed, digests):
        digests.update((index, new.digest(index)) for index in wanted)
        taken.append(len(wanted))
    return taken


def test_a_tape_that_was_written_anew_is_not_read_twice() -> None:
    base, new = of_size(2 * GIB, range(8192))
    assert looks(base, new, None) == [plan.SAMPLE]
    assert looks(base, new, ExtentSet([(0, 2 * GIB)])) == [plan.SAMPLE]


def test_a_long_tape_with_little_change_is_compared_chunk_by_chunk() -> None:
    base, new = of_size(2 * GIB, (7, 4000))
    assert looks(base, new, None) == [plan.SAMPLE, 8192 - plan.SAMPLE]


def test_a_small_change_is_looked_at_as_a_whole() -> None:
    base, new = of_size(2 * GIB, range(8192))
    scattered = ExtentSet((at * 10 * MIB, at * 10 * MIB + 1) for at in range(200))
    assert looks(base, new, scattered) == [len(touched(scattered, 2 * GIB))]
    small_base, small_new = of_size(64 * MIB)
    assert looks(small_base, small_new, None) == [256]


def test_nothing_is_looked_at_where_it_cannot_help() -> None:
    base, new = of_size(2 * GIB)
    assert plan.next_look(None, new.size, None, {}) == ()
    assert looks(base, new, ExtentSet()) == []
    appended = ChunkMap(2 * GIB + MIB, bytes(32 * 8196))
    assert looks(base, appended, ExtentSet([(2 * GIB, 2 * GIB + MIB)])) == []


def test_the_sample_is_spread_over_all_that_may_have_changed() -> None:
    base, _ = of_size(4 * GIB)
    sample = plan.next_look(base, 4 * GIB, None, {})
    assert len(sample) == plan.SAMPLE
    assert sample[0] == 0
    assert 15_000 < sample[-1] < 16_384
    assert sample == tuple(sorted(set(sample)))


def test_a_resumed_stage_gives_what_it_holds_first() -> None:
    base = map_of(b"x" * 4 * CHUNK)
    changed = ExtentSet([(CHUNK, 3 * CHUNK)])
    durable = ExtentSet([(0, CHUNK + 5), (2 * CHUNK - 5, 3 * CHUNK)])
    made = plan.make(Source(4 * CHUNK), base, changed, durable=durable)
    assert list(made.resume) == [(0, CHUNK), (2 * CHUNK, 3 * CHUNK)]
    assert list(made.send) == [(CHUNK, 2 * CHUNK)]
    assert list(made.keep) == [(3 * CHUNK, 4 * CHUNK)]


def test_the_durable_end_of_a_tape_counts_though_it_is_no_whole_block() -> None:
    made = plan.make(Source(CHUNK + 7), durable=ExtentSet([(CHUNK, CHUNK + 7)]))
    assert list(made.resume) == [(CHUNK, CHUNK + 7)]


def test_a_plan_of_many_ranges_is_made_in_no_time() -> None:
    size = 4 * GIB
    base, _ = of_size(size)
    step = 64 * 1024
    many: list[Range] = [(at, at + 1) for at in range(0, size, step)]
    made = plan.make(Source(size), base, ranges.exact(many))
    assert len(made.send) == len(many)
    assert len(made.keep) == len(many)
    assert made.send.total() == len(many) * BLOCK
    assert chunk_range(1, size) in ranges.clipped(made.unread, CHUNK, 2 * CHUNK)
    assert replace(made).skipped == size - made.send.total()
