"""The licence's file: its signed text, and where it is kept. What follows from it is in `core`."""
