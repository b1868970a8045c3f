"""Has a file at the target the content that a tape here has? Both are read; neither is changed."""

import hashlib

import trio

from copyagent.transfer.chunks import SMALLEST_CHUNK, MapBuilder
from copyagent.transfer.commands import parse_sha256, sha256_command
from copyagent.transfer.published import Reader
from copyagent.transfer.source import SourceTape
from copyagent.transfer.verification import digest_patience_s

_READ = 16 * SMALLEST_CHUNK


async def differs(reader: Reader, path: str, source: SourceTape) -> str:
    """Say in what *path* differs from *source*, nothing if it does not.

    By the target's own digest where it gives one. Raises `TargetError`, `SourceProblem`, OSError.
    """
    size = source.identity.size
    builder, sha256 = MapBuilder(size), hashlib.sha256()
    for start in range(0, size, _READ):
        data = await trio.to_thread.run_sync(source.read, start, min(_READ, size - start))
        builder.feed(start, data)
        sha256.update(data)
        reader.report(start + len(data))
    if reader.target.can.commands is not False:
        answer = await reader.target.run(sha256_command(path), digest_patience_s(size))
        theirs = parse_sha256(answer.output) if answer and answer.status == 0 else None
        if theirs is not None:
            return "" if theirs == sha256.hexdigest() else "its content is another one there"
    chunk_map = builder.result()
    file = await reader.target.open(path)
    wrong = await reader.compare(file, chunk_map, set(range(len(chunk_map))))
    await file.close()
    if not wrong:
        return ""
    first, _ = next(iter(wrong))
    return f"{wrong.total()} bytes are in chunks that differ, the first from byte {first} on"
