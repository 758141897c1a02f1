"""Loading: batches of shuffled events, from blocks of files or from a copy."""
