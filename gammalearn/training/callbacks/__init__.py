"""Callbacks: what happens beside a training step: checkpoints, pictures, logs, the end."""
