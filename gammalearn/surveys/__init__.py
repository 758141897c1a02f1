"""Surveys of the sky: supernovae by their light curves.

The networks are trained by the same engine as those of Cherenkov events. All else is here:
catalogue, readers, tasks, simulation and evaluation. Only the command line and
:mod:`gammalearn.run` import this package.
"""
