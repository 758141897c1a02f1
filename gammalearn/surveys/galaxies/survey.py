"""A survey whose networks see one cut-out of each galaxy."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputFileError
from ...io.finding import find_files
from ..catalogue import Catalogue
from ..readers import REMEDY, read_objects
from ..survey import Survey
from .selection import alike_and_usable, check_alike, check_cutouts, usable

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from ..checkpoint import TrainedSurveyNetwork
    from ..explanation.objects import ObjectExplanation
    from .views import Images

__all__ = ["CutoutSurvey"]


class CutoutSurvey(Survey):
    """What surveys of galaxies by their cut-outs do alike."""

    objects = "galaxies"
    seen = {"bands": list[str], "n_pixels": int, "pixel_scale": float, "noise": list[float]}
    same_seen = ("bands", "n_pixels", "pixel_scale")

    def read_alike(self, data: Any) -> tuple[list[Path], Catalogue, Catalogue]:
        """Files to learn from, and galaxies with whole cut-outs: those of the files, and the test.

        Parameters
        ----------
        data : Settings
            With ``train`` and ``test``.
        """
        files = find_files(data.train, "data.train", REMEDY)
        learned = read_objects(files)
        check_cutouts(learned, "data.train")
        test = read_objects(find_files(data.test, "data.test", REMEDY))
        n_pixels = 0 if learned.cutouts is None else learned.cutouts.shape[-1]
        # What the network is not made for is told before it is trained.
        test = check_alike(test, list(learned.bands), n_pixels, learned.pixel_scale, "data.test")
        return files, usable(learned), usable(test)

    def alike(self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str) -> Catalogue:
        return alike_and_usable(catalogue, trained.seen, what)

    def views(
        self, trained: "TrainedSurveyNetwork", catalogue: Catalogue, what: str
    ) -> "tuple[dict[str, Any], Catalogue]":
        from .views import VIEWS, Images

        whole = self.alike(trained, catalogue, what)
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

    def truth_in_common(self, learned: Catalogue, test: Catalogue) -> int:
        names = set(map(str, learned.objects["object_id"]))
        return len(names & set(map(str, test.objects["object_id"])))

    def describe_network(self, trained: "TrainedSurveyNetwork") -> dict[str, object]:
        n_pixels, scale = trained.seen["n_pixels"], trained.seen["pixel_scale"]
        return {"cut-outs": f"{n_pixels} x {n_pixels} pixels of {scale:g} arcsec"}
