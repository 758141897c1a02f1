"""The common look of all pictures."""
