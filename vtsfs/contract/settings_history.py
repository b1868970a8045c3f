"""The settings section ``history``: how long the evidence is kept."""

from typing import Annotated

from pydantic import Field

from vtsfs.contract.setting_values import Model, Seconds

#: The fewest entries, and the shortest time in seconds: less would be gone before anybody looked.
LEAST_MOST = 10_000
LEAST_KEEP = 86_400.0


class HistoryKept(Model):
    """For how long entries of the history are kept, in seconds, and how many at the most.

    Most of a million entries take a disk some 900 MB; a dismount and its copy are two.
    """

    keep: Annotated[Seconds, Field(ge=LEAST_KEEP)] = 400 * 86_400.0
    most: Annotated[int, Field(ge=LEAST_MOST)] = 1_000_000
