"""Supernovae as a survey."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from ...io.finding import find_files
from ...settings.surveys import SimulatedCatalogue, SupernovaEvaluation, SupernovaExperiment
from ..catalogue import MOST_REDSHIFT, MOST_SIGNIFICANCE, Catalogue, join_catalogues
from ..readers import REMEDY, read_objects
from ..survey import ResultSet, Survey
from .types import TYPES, class_of, counted_types

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from ...evaluation.report.page import ReportSection
    from ...tasks import Task
    from ...training.fit import Trainable
    from ..checkpoint import TrainedSurveyNetwork
    from ..evaluation import Figure
    from ..explanation.objects import ObjectExplanation
    from .light_curves import LightCurves
    from .network import SupernovaNetwork

__all__ = ["Supernovae"]


class Supernovae(Survey):
    """Classification of supernovae by their light curves."""

    name = "supernovae"
    objects = "supernovae"
    known = "type"
    result = "classified supernovae"
    column = "probability_Ia"
    needed = ("probability_Ia",)
    ranges = {
        "probability_Ia": (0, 1),
        **{f"probability_type_{name}": (0, 1) for name in TYPES},
        "host_redshift": (0, MOST_REDSHIFT),
        "true_redshift": (0, MOST_REDSHIFT),
        "signal_to_noise": (-MOST_SIGNIFICANCE, MOST_SIGNIFICANCE),
    }
    baseline = "trees on features"
    compared = ("auc", "accuracy")
    seen = {"bands": list[str]}
    same_seen = ("bands",)
    same_data = ("host_redshift",)

    def simulate(self, settings: SimulatedCatalogue) -> Catalogue:
        from .simulation import simulate

        return simulate(settings)

    def read(self, experiment: SupernovaExperiment) -> tuple[list[Path], Catalogue, Catalogue]:
        data = experiment.data
        files = find_files(data.train, "data.train", REMEDY)
        learned = read_objects(files)
        if data.labels == "confirmed":
            hidden = ~np.asarray(learned.objects["confirmed"], dtype=bool)
            learned = _without_types(learned, hidden)
        parts = [learned]
        if data.unlabelled:
            others = find_files(data.unlabelled, "data.unlabelled", REMEDY)
            files = [*files, *others]
            unlabelled = read_objects(others)
            parts.append(_without_types(unlabelled, np.ones(len(unlabelled), dtype=bool)))
        test = read_objects(find_files(data.test, "data.test", REMEDY))
        joined = join_catalogues(parts)
        # What the network is not made for is told before it is trained.
        return files, joined, test.with_bands(joined.bands, "data.test")

    def prepare(
        self, experiment: SupernovaExperiment, catalogue: Catalogue, files: list[Path]
    ) -> "Trainable":
        from .preparation import prepare

        return prepare(experiment, catalogue, files)

    def build_network(
        self, experiment: SupernovaExperiment, seen: Mapping[str, Any]
    ) -> "SupernovaNetwork":
        from .network import build_network

        return build_network(experiment, seen["bands"])

    def tasks(self, experiment: SupernovaExperiment) -> "dict[str, Task]":
        from .tasks import build_tasks

        return build_tasks(experiment.tasks)

    def views(
        self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str
    ) -> "tuple[dict[str, Any], Catalogue]":
        from .classification import views_of

        alike = self.alike(trained, catalogue, what)
        rows = np.arange(len(alike))
        return dict(views_of(alike, rows, trained.experiment.data.host_redshift)), alike

    def patches(self, view: "LightCurves") -> np.ndarray:
        from .explanation import patches

        return patches(view)

    def without(self, views: "LightCurves", masks: "Tensor") -> "LightCurves":
        from .explanation import without

        return without(views, masks)

    def draw_explanation(self, explanation: "ObjectExplanation", bands: Sequence[str]) -> "Picture":
        from .explanation import draw_explanation

        return draw_explanation(explanation, bands)

    def truth(self, catalogue: Catalogue) -> tuple[str, np.ndarray]:
        return "type", class_of(catalogue.objects["type"])

    def alike(self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str) -> Catalogue:
        return catalogue.with_bands(trained.seen["bands"], what)

    def _predict(self, trained: "TrainedSurveyNetwork", alike: Catalogue, progress: bool) -> Table:
        from .classification import classify

        return classify(trained, alike, progress)

    def predict_with_trees(
        self, experiment: SupernovaExperiment, learned: Catalogue, test: Catalogue
    ) -> Table:
        from .features import classify_with_trees

        seed = experiment.training.seed
        return classify_with_trees(learned, test, experiment.data.host_redshift, seed)

    def truth_in_common(self, learned: Catalogue, test: Catalogue) -> int:
        has_type = np.asarray(learned.objects["type"]) != ""
        names = set(map(str, learned.objects["object_id"][has_type]))
        return len(names & set(map(str, test.objects["object_id"])))

    def with_truth(self, table: Table) -> Table:
        from .evaluation import with_truth

        return with_truth(table)

    def figures(self, table: Table, settings: SupernovaEvaluation) -> "dict[str, Figure]":
        from .evaluation import figures

        return figures(table, settings)

    def pictures(
        self,
        sets: Sequence[ResultSet],
        folder: Path,
        settings: SupernovaEvaluation,
        found: "Mapping[str, Mapping[str, Figure]]",
    ) -> "Iterator[tuple[str, Picture, str]]":
        from .report import pictures

        return pictures(sets, folder, settings, found)

    def counts(self, table: Table) -> list[list[object]]:
        from .report import counts

        return counts(table)

    def sections(
        self, sets: Sequence[ResultSet], settings: SupernovaEvaluation
    ) -> "list[ReportSection]":
        from .report import confusion_sections

        return confusion_sections(sets)

    def describe_network(self, trained: "TrainedSurveyNetwork") -> dict[str, object]:
        experiment: Any = trained.experiment
        return {
            "tasks": ", ".join(experiment.tasks),
            "redshift of the host": "used" if experiment.data.host_redshift else "not used",
        }

    def describe_table(self, table: Table) -> dict[str, object]:
        values: dict[str, object] = {
            "likely Ia": int((np.asarray(table["probability_Ia"]) > 0.5).sum())
        }
        if "true_type" in table.colnames:
            values["true types"] = counted_types(np.asarray(table["true_type"]))
        return values


def _without_types(catalogue: Catalogue, hidden: np.ndarray) -> Catalogue:
    """The same, some of whose types are not known."""
    objects = catalogue.objects.copy()
    objects["type"] = np.where(hidden, "", np.asarray(objects["type"]))
    return replace(catalogue, objects=objects)
