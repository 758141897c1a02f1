"""What an evaluation finds of each reconstructed quantity, one quantity a file."""
