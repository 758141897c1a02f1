"""Event lists with their response for high-level analysis: DL3 in the format of GADF."""
