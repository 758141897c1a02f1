"""Pictures of what a network's results come from: of one event, and of many."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import torch
from astropy.table import Table
from ctapipe.visualization import CameraDisplay
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from torch import nn

from ..camera import CameraType
from ..checkpoint.trained import TrainedNetwork
from ..data import CameraImages, EventDataset, EventIndex, check_slots, columns_for
from ..errors import EmptySelectionError, SettingsError
from ..plotting.style import PALETTE, particle_colors, picture_style
from ..tasks import Task
from .attribution import places_by_likeness
from .explanation import Explanation, Score, dark_patches, integrated_gradients
from .show import observation_of

__all__ = ["STEPS", "draw_explanation", "draw_map", "explain_event"]

#: Points of the integral, and how many pixels of an image are made dark.
STEPS, BRIGHTEST = 64, 150

#: Events of a map, and seed of their choice and of their places.
ON_MAP, SEED = 2000, 0

#: Events that are needed to place them by their neighbours.
FEWEST_ON_MAP = 10


def explain_event(
    trained: TrainedNetwork,
    path: Path,
    event_id: int,
    obs_id: int | None = None,
    tasks: Sequence[str] = (),
    steps: int = STEPS,
    brightest: int = BRIGHTEST,
) -> list[Explanation]:
    """Explain what a network says of an event of a file.

    Parameters
    ----------
    trained : TrainedNetwork
    path : Path
        DL1 file or one of sim_telarray.
    event_id : int
    obs_id : int, optional
        Needed where a file has several events of this id.
    tasks : sequence of str
        What to explain; by default all that the network reconstructs.
    steps : int
        Points of the integral of the gradients.
    brightest : int
        Pixels of each image that are made dark, one after the other, with their neighbours.

    Returns
    -------
    list of Explanation
        Task by task. A network of single images has one for each image of the event.

    Raises
    ------
    SettingsError
        If the network has no such task, or sees no pixels.
    DataError
        If the file cannot be used, or its event is not among those that the network selects.
    """
    chosen = _tasks(trained, tasks)
    index = _index(trained, [path])
    rows = _rows(index, path, event_id, obs_id)
    dataset = EventDataset(
        index, trained.experiment.data, parameters=trained.network.image_parameters
    )
    with closing(dataset):
        return [
            _explain(trained, task, dataset, row, steps, brightest)
            for task in chosen
            for row in rows
        ]


def _tasks(trained: TrainedNetwork, names: Sequence[str]) -> list[Task]:
    experiment = trained.experiment
    if not experiment.data.channels or experiment.network.encoder == "none":
        raise SettingsError("The network sees no pixels, so no pixels can explain its results.")
    outputs = {name: task for name, task in trained.tasks.items() if task.n_outputs}
    for name in names:
        if name not in outputs:
            raise SettingsError(
                f"The network does not reconstruct '{name}'; choose from {', '.join(outputs)}."
            )
    return [outputs[name] for name in names or outputs]


def _index(trained: TrainedNetwork, files: Sequence[Path]) -> EventIndex:
    experiment = trained.experiment
    index = EventIndex.build(
        files,
        experiment.data,
        trained.cameras,
        parameters=columns_for(experiment.network),
    )
    check_slots(experiment.network, [index])
    return index


def _rows(index: EventIndex, path: Path, event_id: int, obs_id: int | None) -> np.ndarray:
    events = index.events
    missing = (
        f"Event {event_id} of '{path}' is not among those that the network selects; it selects"
    )
    observation = observation_of(events, event_id, obs_id, path, missing)
    ids = np.asarray(events["obs_id"]), np.asarray(events["event_id"])
    return np.flatnonzero((ids[0] == observation) & (ids[1] == event_id))


def _explain(
    trained: TrainedNetwork,
    task: Task,
    dataset: EventDataset,
    row: int,
    steps: int,
    brightest: int,
) -> Explanation:
    network = trained.network.eval()
    cameras = {camera.name: camera for camera in trained.cameras}

    def score(outputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return task.explained(outputs[task.name])

    images = dict(dataset[[row]].images)
    gradients = integrated_gradients(network, images, score, steps)
    patches = dark_patches(network, images, score, cameras, brightest)
    dark = {
        name: camera.map(lambda t, pixels=camera.pixels: t * 0 if t is pixels else t)
        for name, camera in images.items()
    }
    with torch.inference_mode():
        value, without_light = (float(score(network(of, 1))) for of in (images, dark))
    each = [(name, image) for name, of in images.items() for image in range(len(of.event))]
    return Explanation(
        task.name,
        task.explained_as,
        value,
        without_light,
        tuple(int(_tel_ids(images[name])[image]) for name, image in each),
        tuple(name for name, _ in each),
        tuple(images[name].pixels[image, 0].numpy() for name, image in each),
        tuple(gradients[name][image] for name, image in each),
        tuple(patches[name][image] for name, image in each),
        _without_each(network, task, dataset, row, value, score),
    )


def _tel_ids(images: CameraImages) -> np.ndarray:
    if images.tel_id is None:
        raise ValueError("Images of a data set have their telescopes.")
    return images.tel_id.numpy()


def _without_each(
    network: nn.Module, task: Task, dataset: EventDataset, row: int, value: float, score: Score
) -> np.ndarray:
    """By how much the result changes without each image, in the order of the cameras' images."""
    image = dataset.images([row])
    changes = np.full(len(image), np.nan)
    # Without a telescope, places on the ground are counted from elsewhere.
    if len(image) == 1 or task.on_the_ground:
        return changes
    camera = dataset.camera[image]
    order = np.argsort(camera, kind="stable")
    for place, left_out in enumerate(order):
        kept = np.arange(len(image)) != left_out
        batch = dataset.batch([row], lambda c, i: dataset.reader.read(i)[c], kept)
        with torch.inference_mode():
            changes[place] = value - float(score(network(batch.images, 1)))
    return changes


def draw_explanation(explanations: Sequence[Explanation], cameras: Sequence[CameraType]) -> Figure:
    """Draw the images of an event with what its result comes from.

    Parameters
    ----------
    explanations : sequence of Explanation
        Of one task: one, or one for each image by a network of single images.
    cameras : sequence of CameraType

    Returns
    -------
    matplotlib.figure.Figure
        A row an image: what the network sees, integrated gradients, dark patches.
    """
    types = {camera.name: camera for camera in cameras}
    rows = [(of, image) for of in explanations for image in range(len(of.tel_ids))]
    with picture_style():
        figure = Figure(figsize=(11, 3.3 * len(rows) + 0.9), layout="constrained")
        first = explanations[0]
        figure.suptitle(
            f"{first.task.replace('_', ' ')}: {first.explained_as}\n"
            + "; ".join(_numbers(explanation) for explanation in explanations)
        )
        axes = figure.subplots(len(rows), 3, squeeze=False)
        for row, (explanation, image) in enumerate(rows):
            camera = types[explanation.cameras[image]]
            without = explanation.telescopes[image]
            told = "" if np.isnan(without) else f"\nwithout this image {-without:+.3g}"
            panels = {
                f"Telescope {explanation.tel_ids[image]}{told}": explanation.charge[image],
                "Integrated gradients": explanation.gradients[image].sum(axis=0),
                "Change without a patch of pixels": -explanation.patches[image],
            }
            for number, (title, values) in enumerate(panels.items()):
                _draw_pixels(axes[row, number], camera, values, title, signed=number > 0)
    return figure


def _numbers(explanation: Explanation) -> str:
    return (
        f"{explanation.value:.4g}, without light {explanation.without_light:.4g} (gradients miss "
        f"{explanation.unexplained:.2g})"
    )


def _draw_pixels(
    axes: Axes, camera: CameraType, values: np.ndarray, title: str, signed: bool
) -> None:
    shown = np.where(np.isfinite(values), values, 0)
    display = CameraDisplay(camera.geometry, image=shown, ax=axes, title=title, show_frame=False)
    if signed:
        display.cmap = "RdBu_r"
        largest = float(np.max(np.abs(shown))) or 1.0
        display.set_limits_minmax(-largest, largest)
    display.add_colorbar()
    axes.set_axis_off()


def draw_map(
    trained: TrainedNetwork, files: Sequence[Path], n_events: int = ON_MAP, seed: int = SEED
) -> Figure:
    """Place events so that those that the network finds alike are near each other.

    The places are those of what the heads of the network see of each event, see
    `places_by_likeness`.

    Parameters
    ----------
    trained : TrainedNetwork
    files : sequence of Path
        DL1 files.
    n_events : int
        So many events, chosen at random, where there are more.
    seed : int
        Of the choice and of the places.

    Returns
    -------
    matplotlib.figure.Figure
        One picture coloured by particle, one by true energy.

    Raises
    ------
    DataError
        If the files cannot be used, or have too few events.
    """
    index = _index(trained, files)
    if len(index) < FEWEST_ON_MAP:
        raise EmptySelectionError(
            f"The network selects {len(index)} events of the files; a map needs {FEWEST_ON_MAP} of "
            "them: give more files."
        )
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(index), min(n_events, len(index)), replace=False))
    embedding = _embeddings(trained, index, rows)
    return _draw_places(places_by_likeness(embedding, seed), index.events[rows])


def _embeddings(trained: TrainedNetwork, index: EventIndex, rows: np.ndarray) -> np.ndarray:
    experiment = trained.experiment
    dataset = EventDataset(
        index, experiment.data, rows=rows, parameters=trained.network.image_parameters
    )
    network = trained.network.eval()
    size = experiment.training.batch_size
    found = []
    with closing(dataset), torch.inference_mode():
        for first in range(0, len(rows), size):
            batch = dataset[np.arange(first, min(first + size, len(rows)))]
            found.append(network.estimates(batch.images, batch.n_events).embedding)
    return torch.cat(found).numpy()


def _draw_places(places: np.ndarray, events: Table) -> Figure:
    particle = np.asarray(events["particle"], dtype=str)
    energy = np.asarray(events["true_energy"], dtype=float)
    with picture_style():
        figure = Figure(figsize=(11, 5), layout="constrained")
        left, right = figure.subplots(1, 2)
        names = np.unique(particle)
        colors = particle_colors([name for name in names if name])
        for name in names:
            mine = particle == name
            color = colors.get(name, PALETTE[-1])
            left.scatter(
                *places[mine].T, s=6, color=color, label=f"{name or 'unknown'} ({mine.sum()})"
            )
        left.legend()
        left.set_title("Particle")
        known = np.isfinite(energy) & (energy > 0)
        right.scatter(*places[~known].T, s=6, color="0.8")
        if known.any():
            drawn = right.scatter(*places[known].T, s=6, c=energy[known], norm=LogNorm())
            figure.colorbar(drawn, ax=right, label="true energy (TeV)")
        right.set_title("Energy")
        for axes in (left, right):
            axes.set_xticks([])
            axes.set_yticks([])
        figure.suptitle(
            f"{len(places)} events; those that the network finds alike are near each other (t-SNE)"
        )
    return figure
