"""What a quantity is."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ...io.particles import plural
from ...plotting.style import FEW_IN_BIN, count_events
from ...settings import EvaluationSettings
from ..event_table import EventTable
from ..report.page import ReportMetric
from ..report.results import Findings, Result
from ..statistics.binning import energy_edges
from ..statistics.cuts import Cuts
from ..statistics.differences import Statistic, bootstrap_errors
from ..statistics.migration import MigrationAxis
from ..statistics.spread import bias_and_resolution, repeated_bias_and_resolution
from ..statistics.uncertainty import ONE_SIGMA, coverage, draw_uncertainty, pull_moments

__all__ = [
    "BY_TRUE_ENERGY",
    "FEW_EVENTS",
    "Quantity",
    "warn_of_empty_bins",
    "warn_of_few",
]

#: Signal events below which the report warns.
FEW_EVENTS = 100

#: How curves are given, in captions.
BY_TRUE_ENERGY = (
    f" by true energy; hollow points stand for fewer than {FEW_IN_BIN} events or showers. Errors: "
    "bootstrap over showers."
)


class Quantity(ABC):
    """One reconstructed quantity: where DL2 files hold it, and what an evaluation finds of it."""

    name: ClassVar[str]
    """Name in tables, metrics and sentences, where a space stands for each underscore."""

    is_main: ClassVar[bool] = False
    """Whether an observation of a source needs it. A DL2 file holds one of these at least, and it
    is told where it lacks one; the others are evaluated where files hold them beside these."""

    table_of: ClassVar[str | None] = None
    """Quantity in whose table it stands, and with which it is valid; by default it has its own."""

    groups: tuple[str, ...] = ()
    """Names of its table's group in DL2 files, by release of the data model."""

    columns: dict[str, tuple[str, u.UnitBase]]
    """Name here → name in the file (behind the algorithm's) and unit."""

    optional: dict[str, tuple[str, u.UnitBase]] = {}
    """As `columns`, for what only some reconstructions give: how far off they may be, mostly."""

    truth: dict[str, u.UnitBase] = {}
    """Columns of the simulated truth and their units."""

    lstchain: dict[str, tuple[str, u.UnitBase | None]] = {}
    """Name in ctapipe's files (behind the algorithm's) → lstchain's and unit, where that has it."""

    ctapipe_property: str | None = None
    """What ctapipe calls it where it combines telescopes."""

    is_logarithmic: bool = False
    """Whether means of telescopes are those of its logarithm."""

    statistics: tuple[Statistic, ...]
    """How good a reconstruction is, in numbers."""

    n_kinds: int = 1
    """Kinds of showers that it takes to measure it, see `kinds`."""

    of_signal: bool = True
    """Whether it is judged on the events of one particle."""

    undefined: str = ""
    """What is to be said where events in common do not suffice to measure it."""

    migrations: tuple[MigrationAxis, ...] = ()
    """What is shown in migration matrices."""

    uncertainty: tuple[str, ...] = ()
    """Columns of its predicted uncertainty; none if there are no `pulls`."""

    results: tuple[str, ...]
    """Names of the tables and pictures that `evaluate` and `observe` may give."""

    comparisons: tuple[str, ...] = ()
    """Names of those that `compare` may give."""

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return self.name.replace("_", " ")

    @property
    def validity(self) -> str:
        """Name in the file, behind the algorithm's, of what says whether a result is valid."""
        # That of main quantities is ctapipe's, whose other containers carry the quantity's name.
        return "is_valid" if self.is_main else f"{self.name}_is_valid"

    def known_truth(self, values: u.Quantity) -> u.Quantity:
        """The truth in a file, NaN where a value stands for none; by default all values count."""
        return values

    # What of the events can be judged.

    def is_in(self, events: QTable) -> bool:
        """Whether it was reconstructed (for quantities that are not main, with its truth)."""
        if self.is_main:
            return self.name in EventTable.of(events).algorithms
        return {*self.columns, *self.truth} <= set(events.colnames)

    def is_known(self, events: QTable) -> np.ndarray:
        """Which of the events have a result (for quantities that are not main, and its truth)."""
        if self.is_main:
            return np.asarray(events[f"{self.name}_is_valid"])
        known = self._is_finite(events)
        return known if self.table_of is None else known & events[f"{self.table_of}_is_valid"]

    def _is_finite(self, events: QTable) -> np.ndarray:
        values = [np.isfinite(events[name]) for name in (*self.columns, *self.truth)]
        return np.all(values, axis=0)

    def select(self, events: QTable, particle: str) -> QTable:
        """The particle's events that have a result, see `is_known`."""
        return events[np.asarray(events["particle"] == particle) & self.is_known(events)]

    # What is measured.

    def error(self, events: QTable) -> np.ndarray:
        """How far each event is off, in the unit of the statistics; shape (n_events,).

        Raises
        ------
        NotImplementedError
            If there is no such number, as of the particle type, which has a `measure` of its own.
        """
        raise NotImplementedError

    def measure(self, events: QTable) -> dict[str, float]:
        """The statistics of events, by name; by default bias and resolution of `error`."""
        found = bias_and_resolution(self.error(events))
        return dict(zip((s.name for s in self.statistics), found, strict=True))

    def remeasure(self, events: QTable, repeats: np.ndarray) -> np.ndarray:
        """As `measure`, of events that are there several times.

        Parameters
        ----------
        events : astropy.table.QTable
        repeats : numpy.ndarray of int
            How often each event is there, shape (n_resamples, n_events).

        Returns
        -------
        statistics : numpy.ndarray
            Shape (n_resamples, n_statistics).
        """
        return repeated_bias_and_resolution(self.error(events), repeats)

    def kinds(self, events: QTable) -> np.ndarray:
        """The kind of each event's shower, an integer; as many of each are drawn as there are."""
        return np.zeros(len(events), dtype=int)

    def bins_per_decade(self, settings: EvaluationSettings) -> int:
        """Bins a decade of true energy in which reconstructions are compared."""
        return settings.bins_per_decade

    def with_errors(
        self,
        resolution: Callable[[QTable, u.Quantity], QTable],
        events: QTable,
        signal: str,
        settings: EvaluationSettings,
    ) -> QTable:
        """What a function gives of the events by true energy, with errors."""
        edges = energy_edges(settings.energy_range, settings.bins_per_decade)
        table = resolution(events, edges)
        for name, error in bootstrap_errors(events, self, edges).items():
            table[f"{name}_error"] = error * table[name].unit
        table.meta["particle"] = signal
        return table

    # What is found and how it is told.

    def metrics(self, events: QTable) -> list[str]:
        """Names of the numbers that an evaluation of the events gives, whether or not it can."""
        return [statistic.name for statistic in self.statistics]

    def evaluate(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        """Numbers, tables, pictures and sentences on what was reconstructed.

        Parameters
        ----------
        events : astropy.table.QTable
            From `read_events`.
        signal : str
            The particle to judge by.
        settings : EvaluationSettings
        cuts : Cuts or None
            Of a sensitivity, if those on gammaness apply to the events of the signal.
        """
        if self.is_in(events):
            return self.find(events, signal, settings, cuts)
        told = f"The files hold no reconstructed {self.words}; its figures are left out."
        return Findings(
            dict.fromkeys(self.metrics(events)), warnings=[told] if self.is_main else []
        )

    @abstractmethod
    def find(
        self, events: QTable, signal: str, settings: EvaluationSettings, cuts: Cuts | None
    ) -> Findings:
        """As `evaluate`, of events that have it."""

    @abstractmethod
    def describe(self, metrics: Mapping[str, object]) -> list[ReportMetric]:
        """The rows of the report on its metrics; of those not main, where they have values."""

    def observe(self, events: QTable, settings: EvaluationSettings) -> list[Result]:
        """How results are distributed that have no truth; by default nothing is shown."""
        return []

    def compare(
        self, common: Sequence[Sequence[QTable]], labels: Sequence[str], edges: u.Quantity
    ) -> list[Result]:
        """What a comparison shows besides the statistics; by default nothing.

        Parameters
        ----------
        common : sequence of sequence of astropy.table.QTable
            The runs of each reconstruction, see `differences`.
        labels : sequence of str
            Of the reconstructions, the reference first.
        edges : astropy.units.Quantity
            Of the bins in true energy.
        """
        return []

    # What becomes of a predicted uncertainty.

    def pulls(self, events: QTable) -> np.ndarray:
        """Errors in units of the predicted ones.

        Parameters
        ----------
        events : astropy.table.QTable
            From `select_uncertain`.

        Returns
        -------
        pulls : numpy.ndarray
            Shape (n_events, n_coordinates), standard normal where uncertainties are right.

        Raises
        ------
        NotImplementedError
            If no `uncertainty` of it is predicted.
        """
        raise NotImplementedError

    def has_uncertainty(self, events: QTable) -> bool:
        """Whether its uncertainty was predicted for any event."""
        return {*self.columns, *self.truth, *self.uncertainty} <= set(events.colnames)

    def is_uncertain(self, events: QTable) -> np.ndarray:
        """Which events have a positive, finite uncertainty."""
        values = np.array([events[name].value for name in self.uncertainty])
        return np.all(np.isfinite(values) & (values > 0), axis=0)

    def has_pull(self, events: QTable) -> np.ndarray:
        """Which events with an uncertainty have a pull; by default all with result and truth."""
        return self._is_finite(events)

    def select_uncertain(self, events: QTable) -> QTable:
        """The events with an uncertainty and a pull."""
        if not self.has_uncertainty(events):
            return events[:0]
        return events[self.is_uncertain(events) & self.has_pull(events)]

    def warn_of_lost_pulls(self, reconstructed: QTable, signal: str) -> list[str]:
        """Sentences on events with an uncertainty that have no pull; by default none is lost."""
        return []

    def evaluate_uncertainty(self, events: QTable, signal: str) -> Findings:
        """Pulls and coverage, where the files hold predicted uncertainties."""
        names = ("pull_mean", "pull_mean_error", "pull_width", "pull_width_error", "coverage_68")
        metrics = dict.fromkeys(f"{self.name}_{name}" for name in names)
        if not self.has_uncertainty(events):
            return Findings(metrics)
        reconstructed = self.select(events, signal)
        selected = self.select_uncertain(reconstructed)
        pulls = self.pulls(selected)
        table = coverage(pulls)
        moments = pull_moments(pulls, np.asarray(selected["shower"]))
        metrics |= {f"{self.name}_pull_{name}": value for name, value in moments.items()}
        metrics[f"{self.name}_coverage_68"] = float(coverage(pulls, [ONE_SIGMA])["coverage"][0])
        table.meta |= {"particle": signal, **moments}
        result = Result(
            f"{self.name}_uncertainty",
            draw_uncertainty(pulls, table, moments, self.words, signal),
            f"How far the {self.words} of {plural(signal)} is off, in units of the uncertainty "
            "that was predicted of each, and how many lie within what should hold a fraction of "
            "them; above the diagonal uncertainties are too large, below too small. Errors: 68 % "
            "binomial intervals.",
            table,
        )
        return Findings(metrics, [result], self.warn_of_lost_pulls(reconstructed, signal))


def warn_of_few(selected: QTable, signal: str, what: str) -> list[str]:
    """A sentence if so few events have a result that chance decides."""
    if len(selected) >= FEW_EVENTS:
        return []
    verb = "has" if len(selected) == 1 else "have"
    return [
        f"Only {count_events(len(selected), signal)} {verb} a reconstructed {what}: below "
        f"{FEW_EVENTS} events the numbers on it are dominated by chance."
    ]


def warn_of_empty_bins(table: QTable, events: QTable, signal: str, what: str) -> list[str]:
    """A sentence if bins that the signal's true energies span have no reconstructed event."""
    true = events["true_energy"][np.asarray(events["particle"] == signal)]
    if len(true) == 0:
        return []
    spanned = (table["true_energy_high"] > true.min()) & (table["true_energy_low"] <= true.max())
    n_empty = int(np.sum(spanned & (table["n_events"] == 0)))
    if n_empty == 0:
        return []
    return [
        f"{n_empty} of the {int(spanned.sum())} energy bins that the {plural(signal)} span have no "
        f"event with a reconstructed {what}; there the curves have gaps."
    ]
