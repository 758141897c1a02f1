"""Checkpoints: trained networks as files, for further training, other people and other programs."""
