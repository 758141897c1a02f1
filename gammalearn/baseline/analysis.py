"""The analysis: Hillas parameters, directions by disp, energy and particle type by boosted trees.

Of stereo events, ctapipe's HillasReconstructor gives core, height of maximum and a first direction.
Each image then gives a direction on its axis, as far from its centroid (disp) as trees have learnt;
their mean, weighted by intensity, is the event's direction. In its light the images' parameters are
what other trees learn energy and particle type from. Single images go the same way, without a first
direction: on which side of the image the source lies is learnt too.
"""

from collections.abc import Callable, Mapping

import astropy.units as u
import numpy as np
from astropy.table import QTable

from ..data import EventIndex, event_weights
from ..errors import DataError, SettingsError
from ..settings import Experiment, TaskSettings
from ..tasks import build_tasks
from .boosting import DISP, ENERGY, SIDE, SIZE, TYPE, Boosted, Recipe, boost
from .features import (
    axes_towards,
    centroids,
    image_features,
    impact_of_images,
    source_features,
    stereo_features,
    weighted_mean,
)
from .hillas_stereo import hillas_geometry
from .sky import frames, separation, to_altaz, to_offset, to_vector, vector_of

__all__ = ["QUANTITIES", "Baseline"]

#: Tasks of an experiment that the baseline does, too.
QUANTITIES = ("particle_type", "energy", "direction", "impact")

Features = Mapping[str, np.ndarray]

#: Gives predictions for a recipe, the features, and each row's event; where it learns, it asks for
#: the target, NaN for rows not to learn from.
Predict = Callable[[Recipe, Features, np.ndarray, Callable[[], np.ndarray]], np.ndarray]

#: Gives the columns of :data:`gammalearn.baseline.hillas_stereo.GEOMETRY` for the stereo events of
#: an index, which is named beside the cache folder.
Geometry = Callable[[EventIndex, str | None], QTable]


class Baseline:
    """Learns from events as a network does, and reconstructs others.

    Parameters
    ----------
    experiment : gammalearn.settings.Experiment
    progress : bool
        Show progress bars.
    geometry : callable
        First direction, core and height of maximum of stereo events; by default those of
        :func:`~gammalearn.baseline.hillas_stereo.hillas_geometry`.

    Attributes
    ----------
    names : list of str
        The experiment's tasks that it does.
    trees : dict of str to Boosted
        What was learnt, by the name of the recipe.

    Raises
    ------
    SettingsError
        If the experiment has no task that it does.
    """

    def __init__(
        self, experiment: Experiment, progress: bool = True, geometry: Geometry = hillas_geometry
    ):
        self.names = [name for name in QUANTITIES if name in experiment.tasks]
        if not self.names:
            raise SettingsError(
                f"tasks: the baseline does {', '.join(QUANTITIES)}, and none of them is among "
                f"{', '.join(experiment.tasks)}."
            )
        self._data = experiment.data
        self._progress = progress
        self._geometry = geometry
        # Without what only networks have, such as uncertainties. Directions are learnt for all.
        self._tasks = build_tasks(
            {"direction": TaskSettings()}
            | {n: TaskSettings(particles=experiment.tasks[n].particles) for n in self.names}
        )
        self.trees: dict[str, Boosted] = {}

    def fit(self, index: EventIndex) -> None:
        """Learn from all events.

        Parameters
        ----------
        index : EventIndex
            With :data:`gammalearn.baseline.PARAMETERS` of each image.

        Raises
        ------
        DataError
            If the events lack a kind that something is learnt from, or are of too few showers.
        """
        self._check(index)
        showers = _shower_numbers(index)

        def learn(
            recipe: Recipe,
            features: Features,
            event: np.ndarray,
            target: Callable[[], np.ndarray],
        ) -> np.ndarray:
            """Predictions for the rows that are learnt from are of trees that did not see them."""
            truth, matrix = target(), _matrix(features)
            rows = np.flatnonzero(np.isfinite(truth))
            learnt = np.isin(np.arange(len(index)), event[rows])
            weights = event_weights(index, self._data.weights, learnt, np.flatnonzero(learnt))
            trees = self.trees[recipe.name] = boost(
                recipe,
                matrix[rows],
                truth[rows],
                showers[event[rows]],
                weights[event[rows]],
                self._progress,
            )
            predicted = trees(matrix)
            predicted[rows] = trees.out_of_fold
            return predicted

        self._analyse(index, learn)

    def reconstruct(self, index: EventIndex) -> dict[str, dict]:
        """Columns of each kind of quantity for the events of an index.

        Parameters
        ----------
        index : EventIndex
            With the same parameters.

        Returns
        -------
        dict of str to dict
            As :func:`gammalearn.dl2.decode_outputs` gives them.
        """
        return self._analyse(index, lambda recipe, f, *_: self.trees[recipe.name](_matrix(f)))

    def describe(self) -> dict[str, list]:
        """What was learnt, by quantity, see :meth:`Boosted.describe`."""
        return {name: trees.describe() for name, trees in self.trees.items()}

    def _check(self, index: EventIndex) -> None:
        counts = ", ".join(f"{n} {name}" for name, n in index.particle_counts().items())
        for name, task in self._tasks.items():
            targets = task.targets(index.events)
            values = targets[np.isfinite(targets).all(axis=1)]
            if len(values) == 0:
                raise DataError(
                    f"data.train holds no event to learn {name.replace('_', ' ')} from (it holds "
                    f"{counts}); add files of {' or '.join(task.particles or ['gamma'])}."
                )
            if name == "particle_type" and len(np.unique(values)) < 2:
                raise DataError(
                    f"data.train holds one kind of particle only ({counts}), so that nothing can "
                    "be told apart; add files of another, or leave particle_type out of tasks."
                )

    def _analyse(self, index: EventIndex, predict: Predict) -> dict[str, dict]:
        """The columns of the events; learning and reconstruction go the same way."""
        event = np.arange(len(index))
        if self._data.grouping == "stereo":
            direction, features, core = self._stereo(index, predict)
        else:
            direction, features, core = self._mono(index, predict)
        columns: dict[str, dict] = {"geometry": {}}
        if "direction" in self.names:
            alt, az = to_altaz(direction)
            columns["geometry"] |= {"alt": alt * u.deg, "az": az * u.deg}
        if "impact" in self.names:
            columns["geometry"] |= core
        if "energy" in self.names:
            task = self._tasks["energy"]
            log_energy = predict(ENERGY, features, event, lambda: task.targets(index.events)[:, 0])
            columns["energy"] = task.decode(log_energy[:, None], index.events)
        if "particle_type" in self.names:
            truth = self._tasks["particle_type"].targets
            gammaness = predict(TYPE, features, event, lambda: truth(index.events)[:, 0])
            columns["particle_type"] = {"prediction": gammaness}
        return {kind: found for kind, found in columns.items() if found}

    def _stereo(self, index: EventIndex, predict: Predict) -> tuple[np.ndarray, Features, dict]:
        """Directions of the events as unit vectors, features, and columns of core and height."""
        images, event = index.images, np.asarray(index.images["event"])
        of_images = image_features(images)
        geometry = self._geometry(index, self._data.cache_directory)
        first = vector_of(geometry["alt"].to_value(u.deg), geometry["az"].to_value(u.deg))
        of_events = {
            "h_max": geometry["h_max"].to_value(u.m),
            "core_distance": np.hypot(geometry["core_x"], geometry["core_y"]).to_value(u.m),
            "uncertainty": geometry["alt_uncert"].to_value(u.deg),
        }
        features = {
            **of_images,
            **source_features(images, first[event]),
            **{name: values[event] for name, values in of_events.items()},
            "impact": impact_of_images(images, geometry[event]),
            "multiplicity": np.asarray(index.events["multiplicity"])[event],
        }
        axes = axes_towards(images, first[event])
        disp = predict(DISP, features, event, lambda: self._along(index, axes))
        direction, of_each = _combine(index, axes, disp)
        direction[np.isnan(first).any(axis=1)] = np.nan

        geometry["alt"], geometry["az"] = (angle * u.deg for angle in to_altaz(direction))
        of_images |= source_features(images, direction[event])
        of_images["impact"] = impact_of_images(images, geometry[event])
        of_images["spread"] = separation(of_each, direction[event])
        of_events["offset"] = separation(direction, frames(index.events)[:, 2])
        of_events["from_first"] = separation(direction, first)
        core = {name: geometry[name] for name in ("core_x", "core_y", "h_max")}
        return direction, stereo_features(index, of_images, of_events), core

    def _mono(self, index: EventIndex, predict: Predict) -> tuple[np.ndarray, Features, dict]:
        """As `_stereo`, of single images."""
        images, event = index.images, np.asarray(index.images["event"])
        centre = frames(images)[:, 2]
        features = {**image_features(images), **source_features(images, centre)}
        axes = axes_towards(images, centre)
        size = predict(SIZE, features, event, lambda: np.abs(self._along(index, axes)))
        side = predict(SIDE, features, event, lambda: _side(self._along(index, axes)))
        direction, _ = _combine(index, axes, np.where(side > 0.5, size, -size))
        seen = {f"reco_{name}": v for name, v in source_features(images, direction).items()}
        return direction, {**features, **seen, "side": side}, {}

    def _along(self, index: EventIndex, axes: np.ndarray) -> np.ndarray:
        """Where the true source of each image lies along its axis, in deg from the centroid."""
        truth = self._tasks["direction"].targets(index.events)
        source = to_vector(truth, frames(index.events))[np.asarray(index.images["event"])]
        offset = to_offset(source, frames(index.images)) - centroids(index.images)
        return np.sum(offset * axes, axis=1)


def _side(along: np.ndarray) -> np.ndarray:
    """1 for a source on this side of the centroid, 0 on the other, NaN where it is not known."""
    return np.where(np.isnan(along), np.nan, along > 0)


def _combine(
    index: EventIndex, axes: np.ndarray, disp: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Direction of each event, and what each image says, as unit vectors."""
    images, event = index.images, np.asarray(index.images["event"])
    of_each = to_vector(centroids(images) + disp[:, None] * axes, frames(images))
    intensity = np.asarray(images["hillas_intensity"], dtype=np.float64)
    mean = [weighted_mean(part, intensity, event, len(index)) for part in of_each.T]
    direction = np.stack(mean, axis=1)
    return direction / np.linalg.norm(direction, axis=1)[:, None], of_each


def _matrix(features: Features) -> np.ndarray:
    """Features side by side, shape (n_rows, n_features)."""
    matrix = np.column_stack(list(features.values())).astype(np.float64)
    matrix[~np.isfinite(matrix)] = np.nan
    return matrix


def _shower_numbers(index: EventIndex) -> np.ndarray:
    """The same number for the events, or images, of one shower; shape (len(index),)."""
    showers = np.column_stack([index.events["obs_id"], index.events["shower_id"]])
    return np.unique(showers, axis=0, return_inverse=True)[1].reshape(-1)
