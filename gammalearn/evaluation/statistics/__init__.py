"""What evaluations count with: bins, resamples, differences, the same events in several files."""
