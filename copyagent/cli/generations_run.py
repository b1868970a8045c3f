"""``copyagent generations``: by the agent's word, or by the targets' own records without one."""

from functools import partial
from pathlib import Path
from typing import Any

from copyagent.cli.display import how_proven
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import run_with_asyncio
from copyagent.cli.target_names import copies_named
from copyagent.core.copying import PublishedCopy
from copyagent.core.dates import iso
from copyagent.core.on_record import DOUBTED, OnRecord
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_size

Document = dict[str, Any]


def generations_of(config: Path, tape: TapeId) -> Document:
    """Return what targets have of *tape*; raises `RequestFailed` if none has anything."""
    ledger = Ledger(read_settings(config))
    targets = [e.target for e in copies_named(ledger.settings, tape.pool_id, None)]
    found, told = run_with_asyncio(partial(ledger.look_up, tape, targets))
    listed = [each for copy in found for each in _listed(copy)]
    if not listed:
        raise RequestFailed(f"no copy of {tape} is on record at {', '.join(targets)}")
    return {
        "schema": 1,
        "tape": str(tape),
        "told_by_targets": told,
        "generations": listed,
    }


def _listed(copy: OnRecord) -> list[Document]:
    published = [] if copy.published is None else [copy.published]
    return [generation_document(copy.target, each) for each in (*published, *copy.kept)]


def generation_document(target: str, copy: PublishedCopy) -> Document:
    """Return one generation at one target as ``generations --json`` prints it."""
    return {
        "target": target,
        "generation": copy.generation,
        "published": not copy.name,
        "name": copy.name or None,
        "size": copy.size,
        "at": iso(copy.published_ns),
        "modified": iso(copy.source.mtime_ns),
        "root": copy.root,
        "sha256": copy.sha256,
        "verified": copy.verified,
        "doubted": copy.stamp == DOUBTED,
    }


def shown(document: Document) -> str:
    """Show the generations in lines, one each."""
    lines = [str(document["tape"])]
    for each in document["generations"]:
        what = "published" if each["published"] else f"kept as {each['name']}"
        digest = each["root"] or each["sha256"]
        doubted = ", DOUBTED: not what was published" if each["doubted"] else ""
        lines.append(
            f"  {each['target']}: generation {each['generation']}, {format_size(each['size'])}, "
            f"published {each['at']}, {what}, digest {digest[:16]}, "
            f"{how_proven(each['verified'])}{doubted}"
        )
    if document["told_by_targets"]:
        told = ", ".join(document["told_by_targets"])
        lines.append(
            f"The agent does not tell: what {told} has is by its own record, which others can edit."
        )
    return "\n".join(lines)
