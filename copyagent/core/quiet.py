"""When what was said last, so that the same is not said again too soon; also across restarts."""

from dataclasses import dataclass, field

#: What was said: the ID of a message, and what it was about.
Topic = tuple[int, str]

_NS = 1_000_000_000

#: After this time nothing that was said keeps anything from being said again, in seconds: a day.
FORGOTTEN_S = 86_400.0

#: How many topics are remembered over a restart: the newest.
MOST_KEPT = 1000


@dataclass(slots=True)
class Quiet:
    """The topics, with when each was said: monotonic seconds, and nanoseconds since the epoch.

    *dirty* if it is not saved as it is.
    """

    topics: dict[Topic, tuple[float, int]] = field(default_factory=dict)
    dirty: bool = False

    def is_due(self, topic: Topic, mono: float, wall_ns: int, quiet_s: float) -> bool:
        """Tell whether *topic* was not spoken of for *quiet_s*; it is now, if so."""
        last = self.topics.get(topic)
        if last is not None and mono < last[0] + quiet_s:
            return False
        self.topics.pop(topic, None)
        self.topics[topic] = (mono, wall_ns)
        self.dirty = True
        return True

    def at(self, topic: Topic) -> float | None:
        """Return when *topic* was spoken of last, in monotonic seconds; None if it was not."""
        last = self.topics.get(topic)
        return None if last is None else last[0]

    def forget(self, topic: Topic) -> None:
        """Let *topic* be spoken of again at once."""
        if self.topics.pop(topic, None) is not None:
            self.dirty = True

    def kept(self, wall_ns: int) -> list[tuple[int, str, int]]:
        """Return what is worth keeping, oldest first; older topics are forgotten."""
        after = wall_ns - int(FORGOTTEN_S * _NS)
        self.topics = {topic: at for topic, at in self.topics.items() if at[1] > after}
        listed = [(id_, about, at[1]) for (id_, about), at in self.topics.items()]
        return listed[-MOST_KEPT:]

    def recover(self, mono: float, wall_ns: int) -> None:
        """After a restart: only the wall clock of the former run means anything.

        One that was set back makes what was said seem to have been said just now, no later.
        """
        for topic, (_, said_ns) in self.topics.items():
            self.topics[topic] = (mono - max((wall_ns - said_ns) / _NS, 0.0), said_ns)


def remembered(kept: list[tuple[int, str, int]]) -> Quiet:
    """Return what a former run has `Quiet.kept`; `Quiet.recover` has to follow."""
    return Quiet({(id_, about): (0.0, said_ns) for id_, about, said_ns in kept})
