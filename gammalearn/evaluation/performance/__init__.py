"""What an observation can expect: effective area and sensitivity."""
