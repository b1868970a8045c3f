"""Tests, benchmarks and the demonstration of vts-autocopy."""
