"""Which refusals are told: a tape engine that tries again and again must not flood the log. Pure."""

from vtsfs.contract.naming import TapeId

#: Seconds in which one tape, as encrypted with one key, has one message at most.
INTERVAL_S = 3600.0
#: Messages in that time for all tapes together; who reads a whole vault is told of often enough.
MOST = 1000


class Refusals:
    """Counts every refusal and says which of them are to be written."""

    def __init__(self, interval_s: float = INTERVAL_S, most: int = MOST) -> None:
        self._interval_s = interval_s
        self._most = most
        #: When a tape was last told of, and how often it was refused since.
        self._told: dict[tuple[TapeId, str], tuple[float, int]] = {}
        self.total = 0

    def count(self, tape: TapeId, key_id: str, now_s: float) -> int | None:
        """Count a refusal at *now_s* (a clock that never goes back).

        Returns None if it is not to be written, else how many of the tape were not since the last.
        """
        self.total += 1
        what = (tape, key_id)
        if what in self._told:
            told_at, untold = self._told[what]
            if now_s < told_at + self._interval_s:
                self._told[what] = (told_at, untold + 1)
                return None
            del self._told[what]
        else:
            untold = 0
        if len(self._told) >= self._most:
            self._forget_before(now_s - self._interval_s)
        if len(self._told) >= self._most:
            return None
        self._told[what] = (now_s, 0)
        return untold

    def _forget_before(self, limit_s: float) -> None:
        self._told = {w: told for w, told in self._told.items() if told[0] > limit_s}
