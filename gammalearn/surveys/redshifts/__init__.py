"""Redshifts of galaxies by their cut-outs in several bands."""
