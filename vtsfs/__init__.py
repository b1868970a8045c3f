"""The overlay on virtual tape storage: turns opens and closes into mount and dismount signals."""

__version__ = "0.2.0"
