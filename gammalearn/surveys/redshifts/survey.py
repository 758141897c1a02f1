"""Photometric redshifts as a survey."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table

from ...errors import InputFileError
from ...io.finding import find_files
from ...settings.surveys import RedshiftEvaluation, RedshiftExperiment, SimulatedGalaxies
from ..catalogue import MOST_REDDENING, MOST_REDSHIFT, MOST_SIGNIFICANCE, Catalogue
from ..galaxies.selection import alike_and_usable, check_alike, check_cutouts, usable
from ..readers import REMEDY, read_objects
from ..survey import ResultSet, Survey
from .predictions import check_predictions
from .selection import with_known_redshift

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from ...tasks import Task
    from ...training.fit import Trainable
    from ..checkpoint import TrainedSurveyNetwork
    from ..evaluation import Figure
    from ..explanation.objects import ObjectExplanation
    from .network import RedshiftNetwork
    from .views import Images

__all__ = ["Redshifts"]


class Redshifts(Survey):
    """Redshifts of galaxies by their cut-outs."""

    name = "redshifts"
    objects = "galaxies"
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
    seen = {"bands": list[str], "n_pixels": int, "pixel_scale": float, "noise": list[float]}
    same_seen = ("bands", "n_pixels", "pixel_scale")
    same_data = ("redshift_max",)

    def check(self, table: Table, path: Path) -> None:
        super().check(table, path)
        check_predictions(table, path)

    def simulate(self, settings: SimulatedGalaxies) -> Catalogue:
        from .simulation import simulate

        return simulate(settings)

    def read(self, experiment: RedshiftExperiment) -> tuple[list[Path], Catalogue, Catalogue]:
        data = experiment.data
        files = find_files(data.train, "data.train", REMEDY)
        learned = read_objects(files)
        check_cutouts(learned, "data.train")
        test = read_objects(find_files(data.test, "data.test", REMEDY))
        n_pixels = 0 if learned.cutouts is None else learned.cutouts.shape[-1]
        # What the network is not made for is told before it is trained.
        test = check_alike(test, list(learned.bands), n_pixels, learned.pixel_scale, "data.test")
        return files, with_known_redshift(usable(learned), data.redshift_max), usable(test)

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

    def views(
        self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str
    ) -> "tuple[dict[str, Any], Catalogue]":
        from .views import VIEWS, Images

        whole = alike_and_usable(catalogue, trained.seen, what)
        if whole.cutouts is None or not len(whole):
            raise InputFileError(f"{what} has a band or pixels that are missing; give another one.")
        dust = np.asarray(whole.objects["ebv"], dtype=float)
        return {VIEWS: Images.of(whole.cutouts.read(np.arange(len(whole))), dust)}, whole

    def patches(self, view: "Images") -> np.ndarray:
        from .explanation import patches

        return patches(view)

    def without(self, views: "Images", masks: "Tensor") -> "Images":
        from .explanation import without

        return without(views, masks)

    def draw_explanation(self, explanation: "ObjectExplanation", bands: Sequence[str]) -> "Picture":
        from .explanation import draw_explanation

        return draw_explanation(explanation, bands)

    def truth(self, catalogue: Catalogue) -> tuple[str, np.ndarray]:
        return "redshift", np.asarray(catalogue.objects["redshift"], dtype=float)

    def predict(self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str) -> Table:
        from .prediction import predict

        network: Any = trained.network
        whole = alike_and_usable(catalogue, trained.seen, what)
        return predict(network, trained.experiment.data.redshift_max, whole)

    def predict_with_trees(
        self, experiment: RedshiftExperiment, learned: Catalogue, test: Catalogue
    ) -> Table:
        from .prediction import predict_with_trees

        return predict_with_trees(experiment, learned, test)

    def truth_in_common(self, learned: Catalogue, test: Catalogue) -> int:
        names = set(map(str, learned.objects["object_id"]))
        return len(names & set(map(str, test.objects["object_id"])))

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
        seen, experiment = trained.seen, trained.experiment
        n_pixels, scale = seen["n_pixels"], seen["pixel_scale"]
        return {
            "cut-outs": f"{n_pixels} x {n_pixels} pixels of {scale:g} arcsec",
            "redshifts": f"to {experiment.data.redshift_max:g}",
        }

    def describe_table(self, table: Table) -> dict[str, object]:
        redshift = np.asarray(table["redshift"], dtype=float)
        values: dict[str, object] = {}
        if len(redshift):
            values["redshifts"] = f"{redshift.min():.3f} to {redshift.max():.3f}"
        if "true_redshift" in table.colnames:
            known = np.isfinite(np.asarray(table["true_redshift"], dtype=float))
            values["of known redshift"] = int(known.sum())
        return values
