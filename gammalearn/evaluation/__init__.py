"""How well reconstructed events match their truth, from DL2 files alone.

:func:`evaluate` writes all tables, pictures and the report, :func:`compare` those of several
reconstructions of the same events; the functions it is made of take an
astropy table of events (from :func:`read_events`) and bin edges, and return a table.
"""

from .angular_resolution import angular_resolution, overall_angular_resolution
from .combination import combine_telescopes
from .comparison import compare
from .differences import differences, differences_by_energy
from .energy_resolution import energy_resolution, overall_energy_resolution
from .evaluation import evaluate
from .events import read_events
from .migration import migration_matrix, migration_spread, relative_azimuth
from .report import ReportSection, Worded
from .separation import area_under_curve, gammaness_histogram, mean_gammaness, roc_curve
from .skipped import section_of_skipped, skipped_files

__all__ = [
    "ReportSection",
    "Worded",
    "angular_resolution",
    "area_under_curve",
    "combine_telescopes",
    "compare",
    "differences",
    "differences_by_energy",
    "energy_resolution",
    "evaluate",
    "gammaness_histogram",
    "mean_gammaness",
    "migration_matrix",
    "migration_spread",
    "overall_angular_resolution",
    "overall_energy_resolution",
    "read_events",
    "relative_azimuth",
    "roc_curve",
    "section_of_skipped",
    "skipped_files",
]
