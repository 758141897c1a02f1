"""Cores, memory and threads of the machine."""
