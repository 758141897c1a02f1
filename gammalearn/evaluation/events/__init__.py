"""Reconstructed events with their truth, read from DL2 files: one table, one row an event."""
