"""Maps of objects: those that a network finds alike are near each other."""

from typing import Any

import numpy as np
import torch
from matplotlib.colors import Normalize
from matplotlib.figure import Figure as Picture

from ...errors import EmptySelectionError
from ...inspection.attribution import places_by_likeness
from ...plotting.style import PALETTE, picture_style
from ..catalogue import Catalogue
from ..checkpoint import TrainedSurveyNetwork
from ..kinds import survey_of

__all__ = ["draw_map"]

#: Objects of a map, and those of a batch.
ON_MAP, BATCH = 2000, 128

#: Objects that are needed to place them by their neighbours.
FEWEST = 10


def draw_map(
    trained: TrainedSurveyNetwork, catalogue: Catalogue, what: str, seed: int = 0
) -> Picture:
    """Place objects by what the heads of the network see of them, coloured by the truth.

    Parameters
    ----------
    trained : TrainedSurveyNetwork
    catalogue : Catalogue
        If it has more than `ON_MAP` objects, so many are chosen at random.
    what : str
        The catalogue in messages.
    seed : int
        Of the choice and of the places.

    Raises
    ------
    InputFileError
        If the objects are not of the kind that the network was made for.
    EmptySelectionError
        If there are too few.
    """
    survey = survey_of(trained.experiment.survey)
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(catalogue), min(ON_MAP, len(catalogue)), replace=False))
    network: Any = trained.network
    embeddings, kinds, known = [], [], ""
    for first in range(0, len(rows), BATCH):
        views, seen = survey.views(trained, catalogue.select(rows[first : first + BATCH]), what)
        (view,) = views.values()
        with torch.inference_mode():
            embeddings.append(network.embed(view).numpy())
        known, values = survey.truth(seen)
        kinds.append(values)
    found = np.concatenate(embeddings) if embeddings else np.empty((0, 1))
    if len(found) < FEWEST:
        raise EmptySelectionError(
            f"{what} has {len(found)} {survey.objects} that the network can see; a map needs "
            f"{FEWEST} of them: give more."
        )
    places = places_by_likeness(found, seed)
    return _draw(places, known, np.concatenate(kinds), survey.objects)


def _draw(places: np.ndarray, known: str, values: np.ndarray, objects: str) -> Picture:
    x, y = places.T
    with picture_style():
        picture = Picture(figsize=(6.5, 5.6), layout="constrained")
        axes = picture.subplots()
        if values.dtype.kind == "f":
            has = np.isfinite(values)
            axes.scatter(x[~has], y[~has], s=8, color="0.8")
            if has.any():
                # A few values far away must not take all colours.
                colors = Normalize(*np.quantile(values[has], [0.01, 0.99]))
                drawn = axes.scatter(x[has], y[has], s=8, c=values[has], norm=colors)
                picture.colorbar(drawn, ax=axes, label=known)
        else:
            for number, name in enumerate(sorted(set(map(str, values)))):
                mine = values == name
                axes.scatter(
                    x[mine],
                    y[mine],
                    s=8,
                    color=PALETTE[number % len(PALETTE)] if name else "0.8",
                    label=f"{name or f'{known} unknown'} ({mine.sum()})",
                )
            axes.legend()
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(
            f"{len(places)} {objects}: those that the network finds alike are near each other"
        )
    return picture
