"""An SFTP server process is started at the other end of a connection, or it is said why not."""

import asyncio

import asyncssh

from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel
from copyagent.ssh.sftp_packets import BadAnswer
from copyagent.transfer.target import TargetRefused, TargetUnreachable


async def start_sftp(connection: asyncssh.SSHClientConnection) -> SftpChannel:
    """Start an SFTP server at the other end of *connection*; raises `TargetError`."""
    try:
        return await SftpChannel.open(connection)
    except asyncssh.ChannelOpenError as error:
        if error.code == asyncssh.OPEN_CONNECT_FAILED:
            raise TargetUnreachable(
                f"the connection ended when SFTP was started: {error}"
            ) from error
        raise _no_sftp(error) from error
    except BadAnswer as error:
        raise _no_sftp(error) from error
    except (ChannelLost, asyncssh.Error, OSError, asyncio.CancelledError) as error:
        raise TargetUnreachable(
            f"the connection ended when SFTP was started: {error}",
            "see the target's sshd log; the user there may be allowed no sftp subsystem, "
            "or start-up files of his shell may print something",
        ) from error


def _no_sftp(error: Exception) -> TargetRefused:
    return TargetRefused(
        "starting SFTP", str(error), "let the target's sshd serve the sftp subsystem"
    )
