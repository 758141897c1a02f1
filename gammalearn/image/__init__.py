"""Images: their cleaning and their parameters."""
