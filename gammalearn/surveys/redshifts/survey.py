"""Photometric redshifts as a survey."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from ...settings.surveys import RedshiftEvaluation, RedshiftExperiment, SimulatedGalaxies
from ..catalogue import MOST_REDDENING, MOST_REDSHIFT, MOST_SIGNIFICANCE, Catalogue
from ..galaxies.survey import CutoutSurvey
from ..survey import ResultSet
from .predictions import check_predictions
from .selection import with_known_redshift

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

    from ...tasks import Task
    from ...training.fit import Trainable
    from ..checkpoint import TrainedSurveyNetwork
    from ..evaluation import Figure
    from .network import RedshiftNetwork

__all__ = ["Redshifts"]


class Redshifts(CutoutSurvey):
    """Redshifts of galaxies by their cut-outs."""

    name = "redshifts"
    known = "redshift"
    result = "photometric redshifts"
    column = "density"
    needed = ("redshift",)
    ranges = {
        **dict.fromkeys(("redshift", "redshift_low", "redshift_high"), (0, MOST_REDSHIFT)),
        "true_redshift": (0, MOST_REDSHIFT),
        "ebv": (0, MOST_REDDENING),
        "signal_to_noise": (-MOST_SIGNIFICANCE, MOST_SIGNIFICANCE),
        "ellipticity": (0, 1),
        # As many as a cut-out has pixels at most.
        "n_neighbours": (0, 1e6),
    }
    baseline = "trees on colours"
    compared = ("sigma_mad", "eta", "crps")
    same_data = ("redshift_max",)

    def check(self, table: Table, path: Path) -> None:
        super().check(table, path)
        check_predictions(table, path)

    def simulate(self, settings: SimulatedGalaxies) -> Catalogue:
        from .simulation import simulate

        return simulate(settings)

    def read(self, experiment: RedshiftExperiment) -> tuple[list[Path], Catalogue, Catalogue]:
        files, learned, test = self.read_alike(experiment.data)
        return files, with_known_redshift(learned, experiment.data.redshift_max), test

    def prepare(
        self, experiment: RedshiftExperiment, catalogue: Catalogue, files: list[Path]
    ) -> "Trainable":
        from .preparation import prepare

        return prepare(experiment, catalogue, files)

    def build_network(
        self, experiment: RedshiftExperiment, seen: Mapping[str, Any]
    ) -> "RedshiftNetwork":
        from .network import build_network

        return build_network(experiment, seen)

    def tasks(self, experiment: RedshiftExperiment) -> "dict[str, Task]":
        from .tasks import build_tasks

        return build_tasks(experiment.data.redshift_max, experiment.crps_weight)

    def truth(self, catalogue: Catalogue) -> tuple[str, np.ndarray]:
        return "redshift", np.asarray(catalogue.objects["redshift"], dtype=float)

    def _predict(self, trained: "TrainedSurveyNetwork", alike: Catalogue, progress: bool) -> Table:
        from .prediction import predict

        return predict(trained, alike, progress)

    def predict_with_trees(
        self, experiment: RedshiftExperiment, learned: Catalogue, test: Catalogue
    ) -> Table:
        from .prediction import predict_with_trees

        return predict_with_trees(experiment, learned, test)

    def with_truth(self, table: Table) -> Table:
        from .evaluation import with_truth

        return with_truth(table)

    def figures(self, table: Table, settings: RedshiftEvaluation) -> "dict[str, Figure]":
        from .evaluation import figures

        return figures(table, settings)

    def pictures(
        self,
        sets: Sequence[ResultSet],
        folder: Path,
        settings: RedshiftEvaluation,
        found: "Mapping[str, Mapping[str, Figure]]",
    ) -> "Iterator[tuple[str, Picture, str]]":
        from .report import pictures

        return pictures(sets, folder, settings, found)

    def counts(self, table: Table) -> list[list[object]]:
        from .report import counts

        return counts(table)

    def describe_network(self, trained: "TrainedSurveyNetwork") -> dict[str, object]:
        redshift_max = trained.experiment.data.redshift_max
        return {**super().describe_network(trained), "redshifts": f"to {redshift_max:g}"}

    def describe_table(self, table: Table) -> dict[str, object]:
        redshift = np.asarray(table["redshift"], dtype=float)
        values: dict[str, object] = {}
        if len(redshift):
            values["redshifts"] = f"{redshift.min():.3f} to {redshift.max():.3f}"
        if "true_redshift" in table.colnames:
            known = np.isfinite(np.asarray(table["true_redshift"], dtype=float))
            values["of known redshift"] = int(known.sum())
        return values
