"""What is known of how a target fares."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class TargetHealth:
    """What is known of one target. *asked* is when it was probed last (monotonic seconds).

    *trouble* means that nothing could be copied there, *next_step* is what to do about it; *remark*
    is for the operator. *down*: it did not let us in at all, so that no copy need try. *unfit* are
    the vaults there that take no copies, with the cause.
    """

    trouble: str = ""
    next_step: str = ""
    down: bool = False
    since_ns: int = 0
    asked: float = 0.0
    probing: bool = False
    remark: str = ""
    unfit: dict[str, str] = field(default_factory=dict)
