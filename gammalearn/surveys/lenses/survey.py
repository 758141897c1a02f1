"""Strong lenses as a survey."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from ...settings.surveys import LensEvaluation, LensExperiment, SimulatedLenses
from ..catalogue import MOST_EINSTEIN_RADIUS, MOST_SIGNIFICANCE, Catalogue
from ..galaxies.survey import CutoutSurvey
from ..survey import ResultSet
from .selection import with_known_type
from .types import LENS, is_lens

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture

    from ...evaluation.report.page import ReportSection
    from ...tasks import Task
    from ...training.fit import Trainable
    from ..checkpoint import TrainedSurveyNetwork
    from ..evaluation import Figure
    from .network import LensFinder

__all__ = ["Lenses"]


class Lenses(CutoutSurvey):
    """Search for strong lenses by cut-outs of galaxies."""

    name = "lenses"
    known = "type"
    result = "probabilities of lenses"
    column = "probability_lens"
    needed = ("probability_lens",)
    ranges = {
        "probability_lens": (0, 1),
        "einstein_radius": (0, MOST_EINSTEIN_RADIUS),
        "arc_signal_to_noise": (0, MOST_SIGNIFICANCE),
    }
    baseline = "trees on arcs"
    compared = ("auc", "accuracy", "completeness_of_clear")
    same_data = ()

    def simulate(self, settings: SimulatedLenses) -> Catalogue:
        from .simulation import simulate

        return simulate(settings)

    def read(self, experiment: LensExperiment) -> tuple[list[Path], Catalogue, Catalogue]:
        files, learned, test = self.read_alike(experiment.data)
        return files, with_known_type(learned), test

    def prepare(
        self, experiment: LensExperiment, catalogue: Catalogue, files: list[Path]
    ) -> "Trainable":
        from .preparation import prepare

        return prepare(experiment, catalogue, files)

    def build_network(self, experiment: LensExperiment, seen: Mapping[str, Any]) -> "LensFinder":
        from .network import build_network

        return build_network(experiment, seen)

    def tasks(self, experiment: LensExperiment) -> "dict[str, Task]":
        from .tasks import build_tasks

        return build_tasks()

    def truth(self, catalogue: Catalogue) -> tuple[str, np.ndarray]:
        return "type", np.asarray(catalogue.objects["type"])

    def _predict(self, trained: "TrainedSurveyNetwork", alike: Catalogue, progress: bool) -> Table:
        from .prediction import predict

        return predict(trained, alike, progress)

    def predict_with_trees(
        self, experiment: LensExperiment, learned: Catalogue, test: Catalogue
    ) -> Table:
        from .prediction import predict_with_trees

        return predict_with_trees(experiment, learned, test)

    def with_truth(self, table: Table) -> Table:
        from .evaluation import with_truth

        return with_truth(table)

    def figures(self, table: Table, settings: LensEvaluation) -> "dict[str, Figure]":
        from .evaluation import figures

        return figures(table, settings)

    def pictures(
        self,
        sets: Sequence[ResultSet],
        folder: Path,
        settings: LensEvaluation,
        found: "Mapping[str, Mapping[str, Figure]]",
    ) -> "Iterator[tuple[str, Picture, str]]":
        from .report import pictures

        return pictures(sets, folder, settings, found)

    def counts(self, table: Table) -> list[list[object]]:
        from .report import counts

        return counts(table)

    def sections(
        self, sets: Sequence[ResultSet], settings: LensEvaluation
    ) -> "list[ReportSection]":
        from .report import sections

        return sections(sets, settings)

    def describe_table(self, table: Table) -> dict[str, object]:
        values: dict[str, object] = {
            "likely lenses": int((np.asarray(table["probability_lens"], dtype=float) > 0.5).sum())
        }
        if "true_type" in table.colnames:
            truth = is_lens(table["true_type"])
            n_lenses, n_others = int((truth == 1).sum()), int((truth == 0).sum())
            values["true types"] = f"{n_lenses} {LENS}, {n_others} no {LENS}"
        return values
