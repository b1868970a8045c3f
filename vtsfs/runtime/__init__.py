"""How a process of ours behaves: logs, event log, systemd, exits, durable files (stdlib + trio)."""
