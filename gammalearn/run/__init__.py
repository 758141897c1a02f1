"""The run of an experiment: simulate, fit, reconstruct, evaluate."""
