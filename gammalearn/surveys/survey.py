"""What a survey is: the parts of an experiment that it has of its own."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from astropy.table import Table

from ..errors import InputFileError
from .catalogue import Catalogue

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from torch import Tensor, nn

    from ..evaluation.report.page import ReportSection
    from ..evaluation.report.provenance import InputFile
    from ..tasks import Task
    from ..training.fit import Trainable
    from .checkpoint import TrainedSurveyNetwork
    from .evaluation import Figure
    from .explanation.objects import ObjectExplanation

__all__ = ["ResultSet", "Survey"]


@dataclass(frozen=True)
class ResultSet:
    """A table of predictions with what it comes from.

    Attributes
    ----------
    label : str
    table : Table
    file : InputFile or None
    """

    label: str
    table: Table
    file: "InputFile | None" = None


class Survey(ABC):
    """One kind of survey. Its methods import what they need: torch and scikit-learn are slow."""

    name: ClassVar[str]
    """Value of ``survey`` in the settings, and kind of the checkpoints."""

    objects: ClassVar[str]
    """What its objects are, in the plural."""

    known: ClassVar[str]
    """What an evaluation needs to be known of an object, such as its type."""

    result: ClassVar[str]
    """What its tables of predictions are, in words."""

    column: ClassVar[str]
    """The column by which its tables of predictions are told from others."""

    needed: ClassVar[tuple[str, ...]]
    """Numbers that each row of its tables has."""

    ranges: ClassVar[Mapping[str, tuple[float, float]]]
    """Least and largest number that a column of its tables can have; NaN is not known."""

    baseline: ClassVar[str]
    """What the trees are called, next to the network."""

    compared: ClassVar[tuple[str, ...]]
    """Figures whose differences a comparison shows."""

    seen: ClassVar[dict[str, Any]]
    """What its networks are built for beside the settings: names and types."""

    same_seen: ClassVar[tuple[str, ...]]
    """What networks that predict together have in common of what is `seen`."""

    same_data: ClassVar[tuple[str, ...]]
    """And of the settings of their data."""

    def check(self, table: Table, path: Path) -> None:
        """Refuse a table of predictions with impossible values.

        Raises
        ------
        InputFileError
            The message names the column and the object.
        """
        for name in self.needed:
            if name not in table.colnames:
                raise InputFileError(
                    f"'{path}' has no column {name}; make the table with `gammalearn predict`."
                )
        for name, (least, largest) in self.ranges.items():
            if name not in table.colnames:
                continue
            values = table[name]
            if values.dtype.kind not in "iuf" or values.ndim != 1:
                raise InputFileError(
                    f"'{path}': the column {name} does not have one number in each row; make the "
                    "table again with `gammalearn predict`."
                )
            # Where a table has nothing, it is not known.
            values = np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
            possible = (values >= least) & (values <= largest)
            if name not in self.needed:
                possible |= np.isnan(values)
            if not possible.all():
                row = int(np.flatnonzero(~possible)[0])
                raise InputFileError(
                    f"'{path}': {name} is {values[row]:g} for the object "
                    f"'{table['object_id'][row]}', and can be {least:g} to {largest:g}; make the "
                    "table again with `gammalearn predict`."
                )

    @abstractmethod
    def simulate(self, settings: Any) -> Catalogue:
        """A simulated catalogue."""

    @abstractmethod
    def read(self, experiment: Any) -> tuple[list[Path], Catalogue, Catalogue]:
        """Files to learn from, their objects, and those of the test.

        Raises
        ------
        GammaLearnError
            If a file cannot be used.
        """

    @abstractmethod
    def prepare(self, experiment: Any, catalogue: Catalogue, files: list[Path]) -> "Trainable":
        """Split the objects and build the network.

        Raises
        ------
        GammaLearnError
            If nothing can be learned from them.
        """

    @abstractmethod
    def build_network(self, experiment: Any, seen: Mapping[str, Any]) -> "nn.Module":
        """An untrained network."""

    @abstractmethod
    def tasks(self, experiment: Any) -> "dict[str, Task]":
        """The tasks of its networks, by name."""

    @abstractmethod
    def views(
        self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str
    ) -> tuple[dict[str, Any], Catalogue]:
        """What a network sees of the objects, as one batch, and the objects that it sees.

        Raises
        ------
        InputFileError
            If the objects are not of the kind that the network was made for; ``what`` says which.
        """

    @abstractmethod
    def patches(self, view: Any) -> np.ndarray:
        """Parts of an object's fluxes to leave out, one after the other.

        Returns
        -------
        ndarray of bool, shape (n_patches, ...)
            True where a flux is left out; beyond the first, the dimensions are those of the fluxes.
        """

    @abstractmethod
    def without(self, views: Any, masks: "Tensor") -> Any:
        """What a network sees of objects without some of their fluxes.

        Parameters
        ----------
        views : Views
        masks : Tensor of bool
            Of the shape of the fluxes; True where a flux is left out.
        """

    @abstractmethod
    def draw_explanation(self, explanation: "ObjectExplanation", bands: Sequence[str]) -> "Picture":
        """A picture of what a result of an object comes from."""

    @abstractmethod
    def truth(self, catalogue: Catalogue) -> tuple[str, np.ndarray]:
        """What is known of the objects, in words, and its values: names, or numbers."""

    @abstractmethod
    def alike(self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str) -> Catalogue:
        """The objects that a network can predict, with its bands.

        Raises
        ------
        InputFileError
            If the objects are not of the kind that the network was made for; ``what`` says which.
        """

    def predict(
        self,
        trained: "TrainedSurveyNetwork",
        catalogue: Catalogue,
        what: str,
        progress: bool = False,
    ) -> Table:
        """A table with a row for each object, without its provenance.

        The network computes on the device that it is on.

        Raises
        ------
        InputFileError
            If the objects are not of the kind that the network was made for; ``what`` says which.
        """
        return self._predict(trained, self.alike(trained, catalogue, what), progress)

    @abstractmethod
    def _predict(self, trained: "TrainedSurveyNetwork", alike: Catalogue, progress: bool) -> Table:
        """A table of objects that are `alike`."""

    @abstractmethod
    def predict_with_trees(self, experiment: Any, learned: Catalogue, test: Catalogue) -> Table:
        """The same of the trees, which have learned from the same objects."""

    @abstractmethod
    def truth_in_common(self, learned: Catalogue, test: Catalogue) -> int:
        """Number of test objects that are learned from with their truth."""

    @abstractmethod
    def with_truth(self, table: Table) -> Table:
        """The objects whose truth is known."""

    @abstractmethod
    def figures(self, table: Table, settings: Any) -> "dict[str, Figure]":
        """The figures of a table of `with_truth`, with errors by bootstrap."""

    @abstractmethod
    def pictures(
        self,
        sets: Sequence[ResultSet],
        folder: Path,
        settings: Any,
        found: "Mapping[str, Mapping[str, Figure]]",
    ) -> "Iterator[tuple[str, Picture, str]]":
        """Name, picture and caption of each; the folder gets the tables that they show."""

    @abstractmethod
    def counts(self, table: Table) -> list[list[object]]:
        """Numbers of the objects for the report, the first row a heading."""

    def sections(self, sets: Sequence[ResultSet], settings: Any) -> "list[ReportSection]":
        """What else the report has."""
        return []

    @abstractmethod
    def describe_network(self, trained: "TrainedSurveyNetwork") -> dict[str, object]:
        """What ``gammalearn info`` says of a network, beside what it says of all."""

    @abstractmethod
    def describe_table(self, table: Table) -> dict[str, object]:
        """What ``gammalearn info`` says of a table of predictions."""
