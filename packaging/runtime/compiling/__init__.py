"""Compiles the interpreter that packages bring along, and what it needs, out of locked sources."""
