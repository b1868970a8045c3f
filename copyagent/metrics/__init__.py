"""Figures about the agent, offered to a monitoring system by HTTP."""
