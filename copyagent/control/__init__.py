"""The operator's socket: what may be asked of a running agent, by whom, and how it is carried."""
