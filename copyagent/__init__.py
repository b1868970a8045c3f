"""The copy agent: decides which tapes need a copy, makes it, retries it, and tells why."""
