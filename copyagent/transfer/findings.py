"""What an examination of a target finds: one line for each step, with what to do about it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from copyagent.transfer.target import LinkLost, TargetError


class Result(StrEnum):
    """How a step went. A warning costs comfort or speed, a failure costs copies."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One step: its name, how it went, what was seen, and the remedy where one is needed."""

    step: str
    result: Result
    detail: str
    remedy: str = ""


@dataclass(slots=True)
class Findings:
    """All findings so far; *tell* hears of each at once."""

    tell: Callable[[Finding], None] = lambda _: None
    all: list[Finding] = field(default_factory=list)

    def add(self, step: str, result: Result, detail: str, remedy: str = "") -> None:
        """Note how *step* went."""
        finding = Finding(step, result, detail, remedy)
        self.all.append(finding)
        self.tell(finding)

    def ok(self, step: str, detail: str) -> None:
        """Note a step that went well."""
        self.add(step, Result.OK, detail)

    def warn(self, step: str, detail: str, remedy: str) -> None:
        """Note what is not as good as it could be."""
        self.add(step, Result.WARNING, detail, remedy)

    def fail(self, step: str, detail: str, remedy: str) -> None:
        """Note what keeps copies from being made."""
        self.add(step, Result.FAILED, detail, remedy)

    def skip(self, step: str, detail: str) -> None:
        """Note a step that was not made, and why."""
        self.add(step, Result.SKIPPED, detail)

    @property
    def failed(self) -> int:
        """How many steps failed."""
        return sum(one.result is Result.FAILED for one in self.all)

    @contextmanager
    def trying(self, step: str) -> Iterator[None]:
        """Make a target's failure within the block a finding; a lost link ends everything."""
        try:
            yield
        except LinkLost:
            raise
        except TargetError as error:
            self.fail(step, str(error), error.next_step)
