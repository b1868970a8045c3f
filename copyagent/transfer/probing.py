"""Asks a target whether it lets us in, without a tape: how any copy to it would end by now."""

from collections.abc import Awaitable, Callable, Iterable

from copyagent.core.copying import CopyFailed, CopyWaits, WaitReason
from copyagent.transfer.copier import Connect
from copyagent.transfer.guards import expect_renames
from copyagent.transfer.layout import Layout
from copyagent.transfer.staging import expect_vault
from copyagent.transfer.target import HostKeyRejected, Target, TargetError, VaultUnfit


async def _nothing(_: Target) -> None:
    """Look at nothing more."""


async def probe(
    connect: Connect, look: Callable[[Target], Awaitable[None]] = _nothing
) -> CopyFailed | CopyWaits | None:
    """Log in at the target, and *look*: None if that works, else how a copy would have ended."""
    try:
        async with connect() as target:
            await look(target)
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


async def unfit_vaults(target: Target, layouts: Iterable[Layout]) -> dict[str, str]:
    """Return which of the laid out vaults take no copies now, and why; writes nothing.

    What a copy found wrong with a vault is over only when this finds it well.
    """
    unfit = {}
    for layout in layouts:
        try:
            await expect_vault(target, layout)
            await expect_renames(target, layout)
        except VaultUnfit as error:
            unfit[layout.tape.vault] = str(error)
    return unfit
