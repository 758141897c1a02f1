"""Explanation: what a result of an object comes from, and maps of objects."""
