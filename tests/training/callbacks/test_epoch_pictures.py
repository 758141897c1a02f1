"""Pictures of the validation, every few epochs."""

import io

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gammalearn.data import EventDataset, EventIndex
from gammalearn.tasks import build_tasks
from gammalearn.training.callbacks.epoch_pictures import (
    draw_direction_migration,
    draw_energy_migration,
    draw_events,
)


def test_tensorboard_has_pictures(train, tmp_path):
    train(tmp_path, training={"epochs": 5, "picture_epochs": 2})
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    names = {"validation/events", "validation/energy_migration", "validation/direction_migration"}
    assert set(board.Tags()["images"]) == names
    for name in names:
        images = board.Images(name)
        assert [image.step for image in images] == [2, 4]
        pixels = matplotlib.image.imread(io.BytesIO(images[0].encoded_image_string))
        assert pixels.std() > 0.01, "not blank"


def test_energies_by_hand():
    """Five bins a decade: of three events at 1 TeV two come to 1 TeV and one to 2.5 TeV."""
    true = np.array([0.01, 0.02, 0.03, 1.05])
    reco = np.array([0.05, 0.10, 0.41, 1.01])
    (axes, *_) = draw_energy_migration(true, reco).axes
    (mesh,) = [part for part in axes.collections if isinstance(part, QuadMesh)]
    counts = mesh.get_array().filled(0)
    assert counts.shape == (6, 6)
    assert counts[0, 0] == 2 and counts[2, 0] == 1 and counts[5, 5] == 1 and counts.sum() == 4


@pytest.mark.parametrize("energies", [[], [0.0]])
def test_few_energies(energies):
    assert draw_energy_migration(np.array(energies), np.array(energies)).axes


@pytest.mark.parametrize("wild", [400.0, 1e18, -1e18, np.inf, np.nan])
def test_wild_energies_count_at_the_edge(wild):
    """Of a training that goes wrong: a decade beyond the true ones, five bins, and their own."""
    (axes, *_) = draw_energy_migration(np.array([0.05, 0.05]), np.array([0.05, wild])).axes
    (mesh,) = [part for part in axes.collections if isinstance(part, QuadMesh)]
    counts = mesh.get_array().filled(0)
    assert counts.sum() == (1 if np.isnan(wild) else 2)
    assert counts.shape == ((1, 1) if np.isnan(wild) else (6, 6))
    true = 5 if wild < 0 else 0
    assert counts[true, true] == 1
    if not np.isnan(wild):
        assert counts[5 - true, true] == 1


def test_directions_by_hand():
    """24 bins in each coordinate; what is beyond all true ones counts at the edge."""
    true = np.array([[2.4, -2.4], [0.1, 0.1], [0.1, 0.1]])
    reco = np.array([[2.3, 2.3], [0.1, -0.1], [9.0, np.nan]])
    figure = draw_direction_migration(true, reco)
    lon, lat = (
        mesh.get_array().filled(0).T
        for axes in figure.axes[:2]
        for mesh in axes.collections
        if isinstance(mesh, QuadMesh)
    )
    assert lon.shape == (24, 24) and lon.sum() == 3 and lat.sum() == 2
    assert lon[23, 23] == 1 and lon[12, 12] == 1 and lon[12, 23] == 1
    assert lat[0, 23] == 1 and lat[12, 11] == 1
    assert draw_direction_migration(true[:0], reco[:0]).axes


@pytest.fixture(scope="module")
def stereo(files, experiment):
    """Index and tasks of two cameras, and a batch of two events."""
    made = experiment(data={"telescopes": None, "grouping": "stereo"})
    index, tasks = EventIndex.build(files, made.data), build_tasks(made.tasks)
    targets = {name: task.targets(index.events) for name, task in tasks.items()}
    gammas = np.flatnonzero(np.asarray(index.events["particle"]) == "gamma")
    dataset = EventDataset(index, made.data, targets)
    batch = dataset[gammas[:2]]
    dataset.close()
    return index, tasks, batch


def test_events_with_truth_and_prediction(stereo):
    index, tasks, batch = stereo
    outputs = {
        "particle_type": torch.tensor([[0.0], [2.0]]),
        "energy": torch.tensor([[-1.0], [0.5]]),
        "direction": torch.tensor([[0.5, 0.25], [99.0, 0.0]]),
        "impact": torch.zeros(2, 2),
    }
    figure = draw_events(batch, outputs, tasks, index)
    words = [axes.texts[0].get_text() for axes in figure.axes if not axes.axison]
    assert len(words) == 2
    row = index.events[int(batch.index[0])]
    assert words[0].startswith(f"gamma {row['event_id']} of {row['obs_id']}\n")
    assert f"energy 0.1 TeV (true {row['true_energy']:.3g})" in words[0]
    assert "prediction 0.5" in words[0] and "prediction 0.881" in words[1]
    images = [axes for axes in figure.axes if axes.get_title()]
    counts = [min(4, int(row["multiplicity"])) for row in index.events[batch.index.numpy()]]
    assert len(images) == sum(counts)
    # Where the first event's direction lies in its first camera: x along fov_lat, y along fov_lon.
    camera = next(c for c in index.cameras if c.name == images[0].get_title())
    (cross,) = [line for line in images[0].lines if line.get_marker() == "x"]
    assert camera.name == "LSTS-design"
    place = np.deg2rad([0.25, 0.5]) * 29.237  # m, its effective focal length
    np.testing.assert_allclose(np.ravel(cross.get_data()), place, rtol=1e-3)
    last = images[-1]
    assert not [line for line in last.lines if line.get_marker() == "x"], "beyond the camera"
