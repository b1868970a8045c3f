"""The host link: logs on to a NonStop host and reads its printed EMS events."""
