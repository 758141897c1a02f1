"""How well reconstructed events match their truth, from DL2 files alone.

:func:`evaluate` writes all tables, pictures and the report, :func:`compare` those of several
reconstructions of the same events; the functions it is made of take an
astropy table of events (from :func:`read_events`) and bin edges, and return a table.
"""

from .comparison import compare
from .evaluation import evaluate
from .events.combination import combine_telescopes
from .events.reading import read_events
from .quantities import MAIN_QUANTITIES, QUANTITIES, Quantity
from .quantities.direction import angular_resolution, overall_angular_resolution
from .quantities.energy import energy_resolution, overall_energy_resolution
from .report.page import ReportSection, Worded
from .report.skipped import section_of_skipped, skipped_files
from .statistics.differences import differences, differences_by_energy
from .statistics.migration import migration_matrix, migration_spread, relative_azimuth
from .statistics.separation import area_under_curve, gammaness_histogram, mean_gammaness, roc_curve

__all__ = [
    "MAIN_QUANTITIES",
    "QUANTITIES",
    "Quantity",
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
