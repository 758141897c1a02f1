"""Readers: one file a format, and what is computed or told of files that lack something."""
