"""SSH: what copies and host links ask of a line, done over it; asyncio and asyncssh are here alone.

The rooms that use it define what they want (`copyagent.transfer.target`, `copyagent.ems.wire`) and
are given it by the daemon; they do not know this one.
"""
