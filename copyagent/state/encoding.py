"""Records as JSON and back. The dataclasses themselves are the schema; pydantic checks each field.

Every copy state carries its ``kind``, which tells the members of the union apart.
"""

import json
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from copyagent.core.book import Acknowledged
from copyagent.core.calls import Calls
from copyagent.core.floods import Matter, Run
from copyagent.core.gates import Pause
from copyagent.core.host_mounts import HostMounts
from copyagent.core.journal import Entry
from copyagent.core.licence import LicenceMemory
from copyagent.core.link import Link
from copyagent.core.on_record import OnRecord
from copyagent.core.owed import BehindAlarm
from copyagent.core.records import TapeRecord
from copyagent.core.uncovered import CoverAlarm
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import PoolId

RECORD: TypeAdapter[TapeRecord] = TypeAdapter(TapeRecord)
MOUNTS: TypeAdapter[HostMounts] = TypeAdapter(HostMounts)
ACKS: TypeAdapter[dict[str, Acknowledged]] = TypeAdapter(dict[str, Acknowledged])
LINKS: TypeAdapter[dict[str, Link]] = TypeAdapter(dict[str, Link])
HEARD: TypeAdapter[Entry] = TypeAdapter(Entry)
ON_RECORD: TypeAdapter[OnRecord] = TypeAdapter(OnRecord)
NAMES: TypeAdapter[set[str]] = TypeAdapter(set[str])
BEHIND: TypeAdapter[list[tuple[PoolId, str, BehindAlarm]]] = TypeAdapter(
    list[tuple[PoolId, str, BehindAlarm]]
)
PAUSES: TypeAdapter[dict[str, Pause]] = TypeAdapter(dict[str, Pause])
UNCOVERED: TypeAdapter[dict[str, CoverAlarm]] = TypeAdapter(dict[str, CoverAlarm])
CALLS: TypeAdapter[Calls] = TypeAdapter(Calls)
SAID: TypeAdapter[list[tuple[int, str, int]]] = TypeAdapter(list[tuple[int, str, int]])
FLOODS: TypeAdapter[list[tuple[Matter, Run]]] = TypeAdapter(list[tuple[Matter, Run]])
LICENCE: TypeAdapter[LicenceMemory] = TypeAdapter(LicenceMemory)
FIELDS: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])

_T = TypeVar("_T")


def encode(adapter: TypeAdapter[_T], value: _T) -> str:
    """Write *value* as JSON; what is not UTF-8 in a text, as in another file system's name, as ``?``.

    Whoever gives something such a name must not end the agent by having it told of.
    """
    try:
        return adapter.dump_json(value).decode()
    except PydanticSerializationError:
        plain = adapter.dump_python(value, mode="json")
        return json.dumps(plain, ensure_ascii=False).encode(errors="replace").decode()


def decode(adapter: TypeAdapter[_T], text: str, what: str) -> _T:
    """Read what `encode` wrote; raise `StateError` naming *what* for anything else."""
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        raise StateError(
            f"{what} in the agent's state cannot be read ({error.error_count()} faults); "
            "install the release that wrote it, or move the state away: it is then found again by "
            "comparing every tape"
        ) from error
