"""One request of a target and its answer: patience, and what each failure means for a copy."""

import math
import os
import posixpath
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import trio

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel, Trouble
from copyagent.ssh.sftp_packets import Answer, BadAnswer, Refusal, Request
from copyagent.transfer.target import (
    LinkLost,
    TargetError,
    TargetFull,
    TargetLacks,
    TargetMissing,
    TargetRefused,
)

_T = TypeVar("_T")

#: How long a request that is no transfer may take, in keep-alive intervals, before the server
#: process counts as frozen (sshd answers keep-alives on its behalf).
_PATIENCE = 4

#: What has to reach a disk at the target gets as much more time as this rate needs, in bytes per
#: second: with the default keep-alive, 64 MiB are given up within a minute.
_SLOWEST_DISK = 4 * 1024 * 1024

#: Less than one block of a transfer.
_FULL = 261_120


class Step(NamedTuple):
    """One of several requests that are made at once; see `Asker.in_order`."""

    doing: str
    request: Request
    read: Callable[[Answer], object]
    near: str


class Asker:
    """Makes requests over one SFTP channel and gives up on a server that does not answer."""

    def __init__(
        self,
        channel: SftpChannel,
        where: str,
        keepalive_s: float,
        *,
        round_trip_s: float = math.inf,
    ) -> None:
        self.channel = channel
        self.where = where
        self._keepalive_s = keepalive_s
        #: The quickest answer so far: what a round trip takes, in seconds.
        self.round_trip_s = round_trip_s

    def over(self, channel: SftpChannel) -> "Asker":
        """Do the same over another channel to the same server."""
        return Asker(channel, self.where, self._keepalive_s, round_trip_s=self.round_trip_s)

    async def __call__(
        self,
        doing: str,
        request: Request,
        read: Callable[[Answer], _T],
        *,
        near: str = "/",
        patience_s: float | None = None,
    ) -> _T:
        """Make *request* and *read* its answer.

        Raises `TargetError`: what a failure means, or that no answer came for *patience_s* seconds.
        *near* is the path to look at when the server gives no reason.
        """
        if patience_s is None:
            patience_s = self.patience_for(0)
        begun = trio.current_time()
        with trio.move_on_after(patience_s):
            found = await self.unbounded(doing, request, read, near=near)
            self.round_trip_s = min(self.round_trip_s, trio.current_time() - begun)
            return found
        raise LinkLost(f"{doing}: {self.where} did not answer within {patience_s:g} s")

    async def unbounded(
        self, doing: str, request: Request, read: Callable[[Answer], _T], *, near: str = "/"
    ) -> _T:
        """Do the same, but leave the giving up to the caller."""
        if request.needs and request.needs not in self.channel.offers:
            raise TargetLacks(doing, f"the server has no {request.needs.decode()}")
        try:
            return read(await self.channel.ask(request))
        except (Refusal, ChannelLost, BadAnswer) as trouble:
            raise await self.failure(doing, trouble, near) from trouble

    async def in_order(
        self, *steps: Step, patience_s: float | None = None
    ) -> list[object | TargetError]:
        """Make requests that the server does one after the other, in one round trip.

        Returns what each answer says, or the failure that it means: what follows is done all the
        same. Raises `TargetError` if the server lacks something, in which case nothing was asked,
        or the line fails.
        """
        for doing, request, _, _ in steps:
            if request.needs and request.needs not in self.channel.offers:
                raise TargetLacks(doing, f"the server has no {request.needs.decode()}")
        if patience_s is None:
            patience_s = self.patience_for(0)
        with trio.move_on_after(patience_s):
            answers = await self.channel.ask_all([step.request for step in steps])
            return [
                await self._said(step, answer) for step, answer in zip(steps, answers, strict=True)
            ]
        raise LinkLost(f"{steps[0].doing}: {self.where} did not answer within {patience_s:g} s")

    async def _said(self, step: Step, answer: Answer | ChannelLost) -> object | TargetError:
        try:
            if isinstance(answer, ChannelLost):
                raise answer
            return step.read(answer)
        except Refusal as trouble:
            return await self.failure(step.doing, trouble, step.near)
        except (ChannelLost, BadAnswer) as trouble:
            raise await self.failure(step.doing, trouble, step.near) from trouble

    async def failure(self, doing: str, trouble: Trouble, near: str) -> TargetError:
        """Say what *trouble* means; the server may have to be asked why."""
        if not isinstance(trouble, Refusal):
            return LinkLost(f"{doing}: the connection was lost ({trouble})")
        return _of_refusal(doing, trouble) or await self._explained(doing, near)

    def patience_for(self, size: int) -> float:
        """Say how long a request may take, in seconds, that moves *size* bytes to a disk."""
        return _PATIENCE * self._keepalive_s + size / _SLOWEST_DISK

    async def _explained(self, doing: str, near: str) -> TargetError:
        """Find out why the server said no more than "Failure": SFTP version 3 has few codes."""
        for path in (near, posixpath.dirname(near)):
            with trio.move_on_after(self.patience_for(0)):
                try:
                    answer = await self.channel.ask(packets.statvfs(os.fsencode(path)))
                    found = packets.file_system(answer)
                except Refusal:
                    continue
                except (ChannelLost, BadAnswer):
                    break
                if found.read_only:
                    return TargetRefused(
                        doing, "read-only file system", "make the target's vault writable"
                    )
                free = found.blocks_available * found.unit
                if free < _FULL or (found.files and not found.files_available):
                    return TargetFull(f"{doing}: no space left at the target")
                break
        return TargetRefused(
            doing,
            "the server gives no reason",
            "look at the target: a disk quota, a file in the way, or two file systems in one vault",
        )


def _of_refusal(doing: str, refusal: Refusal) -> TargetError | None:
    """Translate what needs no further question."""
    if refusal.missing:
        return TargetMissing(doing)
    if refusal.denied:
        return TargetRefused(doing, "permission denied")
    if refusal.full:
        return TargetFull(f"{doing}: {refusal}")
    if refusal.unsupported:
        return TargetLacks(doing, str(refusal))
    if refusal.silent:
        return None
    return TargetRefused(doing, f"the server answers: {refusal}")
