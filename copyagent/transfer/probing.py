"""Asks a target whether it lets us in, without a tape: how any copy to it would end by now."""

from copyagent.core.copying import CopyFailed, CopyWaits, WaitReason
from copyagent.transfer.copier import Connect
from copyagent.transfer.target import HostKeyRejected, TargetError


async def probe(connect: Connect) -> CopyFailed | CopyWaits | None:
    """Log in at the target: None if that works, else how a copy would have ended."""
    try:
        async with connect():
            return None
    except HostKeyRejected as error:
        return CopyWaits(WaitReason.HOST_KEY, str(error))
    except TargetError as error:
        return CopyFailed(
            str(error),
            error.next_step,
            unreachable=True,
            permanent=error.permanent,
        )
