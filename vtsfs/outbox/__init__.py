"""Signals that must not be lost: the durable outbox and the socket that hands them over."""
