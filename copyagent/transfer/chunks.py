"""A tape as chunks with a digest each: what names its content, and what two contents differ in.

Chunks are 256 KiB up to 4 GiB of tape and double with its size, so that a map has at most 16 Ki of
them; the last may be short. 256 KiB because a scattered change touches few of them and a map is
still only 1/8192 of its tape. Digests are BLAKE3, 32 bytes.

A written map is: magic and version (8 bytes), size (8 bytes, big-endian), the digests, and the
BLAKE3 digest of all that precedes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

from blake3 import blake3

from copyagent.transfer import ranges
from vtsfs.contract.extents import ExtentSet, Range

#: Bytes of one digest.
DIGEST = 32

SMALLEST_CHUNK = 256 * 1024
MOST_CHUNKS = 16 * 1024

_MAGIC = b"VTSMAP\0\1"
_HEAD = len(_MAGIC) + 8

#: The longest written map, in bytes.
MAX_BYTES = _HEAD + MOST_CHUNKS * DIGEST + DIGEST

#: File offsets have 63 bits.
_LARGEST = 2**63 - 1


def chunk_size(size: int) -> int:
    """Return how long the chunks of a tape of *size* bytes are."""
    chunk = SMALLEST_CHUNK
    while size > chunk * MOST_CHUNKS:
        chunk *= 2
    return chunk


def chunk_count(size: int) -> int:
    """Return how many chunks a tape of *size* bytes has."""
    return -(-size // chunk_size(size))


def chunk_range(index: int, size: int) -> Range:
    """Return where chunk *index* of a tape of *size* bytes begins and ends."""
    chunk = chunk_size(size)
    return index * chunk, min((index + 1) * chunk, size)


def chunk_ranges(indexes: Iterable[int], size: int) -> ExtentSet:
    """Return the bytes of those chunks of a tape of *size* bytes; neighbours become one range."""
    return ranges.exact(chunk_range(index, size) for index in sorted(indexes))


def touched(extents: Iterable[Range], size: int) -> tuple[int, ...]:
    """Return the chunks of a tape of *size* bytes that *extents* have bytes in, in order."""
    chunk = chunk_size(size)
    found: list[int] = []
    for start, end in ranges.clipped(extents, 0, size):
        first = start // chunk
        if found and found[-1] == first:
            first += 1
        found.extend(range(first, -(-end // chunk)))
    return tuple(found)


def digest(data: bytes | memoryview) -> bytes:
    """Return the digest of a whole chunk's bytes."""
    return blake3(data).digest()


@lru_cache(maxsize=256)
def zero_digest(length: int) -> bytes:
    """Return the digest of *length* zero bytes."""
    hasher, block = blake3(), bytes(min(length, SMALLEST_CHUNK))
    left = length
    while left:
        hasher.update(block[:left])
        left -= min(left, len(block))
    return hasher.digest()


@dataclass(frozen=True)
class ChunkMap:
    """The digests of a tape's chunks: *size* is the tape's, in bytes; *digests* one after another.

    Raises ValueError if their number is not what the size asks for.
    """

    size: int
    digests: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.size <= _LARGEST:
            raise ValueError(f"no tape has {self.size} bytes")
        if len(self.digests) != DIGEST * chunk_count(self.size):
            raise ValueError(f"{len(self.digests)} bytes of digests for a tape of {self.size}")

    @property
    def chunk(self) -> int:
        """How many bytes a chunk has; the last may have fewer."""
        return chunk_size(self.size)

    def __len__(self) -> int:
        return len(self.digests) // DIGEST

    def digest(self, index: int) -> bytes:
        """Return the digest of one chunk."""
        if not 0 <= index < len(self):
            raise IndexError(f"chunk {index} of {len(self)}")
        return self.digests[index * DIGEST : (index + 1) * DIGEST]

    def range(self, index: int) -> Range:
        """Return where a chunk begins and ends."""
        return chunk_range(index, self.size)

    def ranges(self) -> list[Range]:
        """Return where each chunk begins and ends, in order."""
        return [self.range(index) for index in range(len(self))]

    def known(self) -> dict[int, bytes]:
        """Return each chunk's digest by its index."""
        return {index: self.digest(index) for index in range(len(self))}

    @cached_property
    def root(self) -> str:
        """The content's name: the hex BLAKE3 digest of version, size and all digests."""
        return blake3(_MAGIC + self.size.to_bytes(8, "big") + self.digests).hexdigest()

    def is_zero(self, index: int) -> bool:
        """Tell whether a chunk holds zero bytes only."""
        start, end = self.range(index)
        return self.digest(index) == zero_digest(end - start)

    def zeros(self) -> ExtentSet:
        """Return the bytes of all chunks that hold zero bytes only."""
        return chunk_ranges(filter(self.is_zero, range(len(self))), self.size)


def comparable(base: ChunkMap, size: int) -> bool:
    """Tell whether a tape of *size* bytes has chunks as long as those of *base*."""
    return base.chunk == chunk_size(size)


def unlike(base: ChunkMap, size: int) -> tuple[int, ...]:
    """Return the chunks of a tape of *size* bytes that cover other offsets than those of *base*.

    They are all of them if the two are not `comparable`.
    """
    if not comparable(base, size):
        return tuple(range(chunk_count(size)))
    shared = min(base.size, size) // base.chunk
    if base.size == size:
        shared = len(base)
    return tuple(range(shared, chunk_count(size)))


def differing(base: ChunkMap, new: ChunkMap) -> ExtentSet | None:
    """Return the bytes of *new* in whose chunks it differs from *base*; all beyond base's end do.

    None if the two have chunks of different length: then nothing is known.
    """
    if not comparable(base, new.size):
        return None
    if base.size == new.size and base.digests == new.digests:
        return ranges.exact()
    changed = [
        index
        for index in range(min(len(base), len(new)))
        if base.digest(index) != new.digest(index)
    ]
    return chunk_ranges([*changed, *range(len(base), len(new))], new.size)


def _expect_digest(found: bytes) -> None:
    if len(found) != DIGEST:
        raise ValueError(f"a digest has {DIGEST} bytes, not {len(found)}")


class MapBuilder:
    """Makes the map of a tape of *size* bytes from its bytes; *known* digests need no bytes.

    Chunks may come in any order. A long chunk may come in pieces, each where the one before ended;
    a chunk that comes again from its start takes the place of what was known of it.
    """

    def __init__(self, size: int, known: Mapping[int, bytes] | None = None) -> None:
        self.size = size
        self._chunk = chunk_size(size)
        self._digests: dict[int, bytes] = {}
        self._begun: dict[int, tuple[blake3, int]] = {}
        for index, found in (known or {}).items():
            _expect_digest(found)
            self._digests[index] = found

    def feed(self, offset: int, data: bytes | memoryview) -> None:
        """Take in the bytes at *offset*; raise ValueError where they leave a gap in a chunk."""
        view = memoryview(data)
        if offset < 0 or offset + len(view) > self.size:
            raise ValueError(f"bytes {offset} to {offset + len(view)} of {self.size}")
        while view:
            index, into = divmod(offset, self._chunk)
            piece = view[: self._chunk - into]
            self._feed_chunk(index, into, piece)
            offset += len(piece)
            view = view[len(piece) :]

    def feed_zeros(self, start: int, end: int) -> None:
        """Take in zero bytes from *start* to *end*, as of a hole; whole chunks cost nothing."""
        while start < end:
            index, into = divmod(start, self._chunk)
            first, last = chunk_range(index, self.size)
            length = min(last, end) - start
            if length == last - first:
                self._begun.pop(index, None)
                self._digests[index] = zero_digest(length)
            else:
                length = min(length, SMALLEST_CHUNK)
                self._feed_chunk(index, into, memoryview(bytes(length)))
            start += length

    def _feed_chunk(self, index: int, into: int, piece: memoryview) -> None:
        start, end = chunk_range(index, self.size)
        if into == 0:
            self._digests.pop(index, None)
            hasher, done = blake3(), 0
        else:
            hasher, done = self._begun.pop(index, (blake3(), -1))
        if into != done:
            raise ValueError(f"chunk {index} goes on at byte {max(done, 0)}, not at {into}")
        hasher.update(piece)
        if into + len(piece) == end - start:
            self._begun.pop(index, None)
            self._digests[index] = hasher.digest()
        else:
            self._begun[index] = hasher, into + len(piece)

    def digest(self, index: int) -> bytes | None:
        """Return a chunk's digest, None if it is not whole yet."""
        return self._digests.get(index)

    def known(self) -> dict[int, bytes]:
        """Return the digests of the chunks that are whole, by index."""
        return dict(self._digests)

    def is_zero(self, index: int) -> bool:
        """Tell whether a chunk is whole and holds zero bytes only."""
        start, end = chunk_range(index, self.size)
        return self._digests.get(index) == zero_digest(end - start)

    def missing(self) -> tuple[int, ...]:
        """Return the chunks that are not whole yet, in order."""
        return tuple(i for i in range(chunk_count(self.size)) if i not in self._digests)

    def result(self) -> ChunkMap:
        """Return the map; raise ValueError while any chunk is missing."""
        missing = self.missing()
        if missing:
            raise ValueError(f"{len(missing)} chunks are missing, such as chunk {missing[0]}")
        digests = (self._digests[index] for index in range(chunk_count(self.size)))
        return ChunkMap(self.size, b"".join(digests))


def encode(chunk_map: ChunkMap) -> bytes:
    """Write a map; `decode` reads it."""
    body = _MAGIC + chunk_map.size.to_bytes(8, "big") + chunk_map.digests
    return body + blake3(body).digest()


def decode(data: bytes) -> ChunkMap | None:
    """Read what `encode` wrote; None for anything else, whatever was done to it."""
    if not _HEAD + DIGEST <= len(data) <= MAX_BYTES or not data.startswith(_MAGIC):
        return None
    body, checksum = data[:-DIGEST], data[-DIGEST:]
    if blake3(body).digest() != checksum:
        return None
    try:
        return ChunkMap(int.from_bytes(body[len(_MAGIC) : _HEAD], "big"), body[_HEAD:])
    except ValueError:
        return None
