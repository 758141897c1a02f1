"""What a result comes from: closed formulas, ctapipe's neighbours, and the command."""

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import nn

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.cli import main
from gammalearn.data import CameraImages
from gammalearn.inspection.attribution import shares_of_inputs
from gammalearn.inspection.explain import explain_event
from gammalearn.inspection.explanation import dark_patches, integrated_gradients

#: Of the file of four gammas: one that lst4-stereo selects, and one that it does not.
EVENT, LEFT_OUT = 1000, 1


class Polynomial(nn.Module):
    """Sum of c x + d x³ over the pixels of an event, whose integrated gradients are its terms."""

    def __init__(self, linear, cubic):
        super().__init__()
        self.linear, self.cubic = linear, cubic

    def forward(self, images, n_events):
        result = torch.zeros(n_events)
        for camera in images.values():
            terms = self.terms(camera.pixels).sum(dim=(1, 2))
            result = result.index_add(0, camera.event, terms)
        return {"energy": result[:, None]}

    def terms(self, pixels):
        return self.linear * pixels + self.cubic * pixels**3


def energy(outputs):
    return outputs["energy"][:, 0]


@pytest.fixture(scope="module")
def lst(dl1):
    trained = load_checkpoint("lst4-stereo")
    return next(camera for camera in trained.cameras if camera.n_pixels == 1855)


@pytest.fixture
def images(lst):
    """Two images of one event."""
    rng = torch.Generator().manual_seed(3)
    dark = CameraImages.dark(torch.zeros(2, dtype=torch.int64), (2, lst.n_pixels))
    dark.pixels = torch.randn(dark.pixels.shape, generator=rng)
    return {lst.name: dark}


def test_integrated_gradients_of_a_polynomial_are_its_terms(lst, images):
    rng = torch.Generator().manual_seed(4)
    linear, cubic = torch.randn(2, 2, lst.n_pixels, generator=rng)
    network = Polynomial(linear, cubic)
    # Two points are exact to the third power, and the gradient has the second.
    (found,) = integrated_gradients(network, images, energy, steps=2).values()
    wanted = network.terms(images[lst.name].pixels)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_points_near_zero_give_the_same():
    """Five points are exact to the ninth power; with x³ in a third power, eight are needed."""
    x, linear, cubic = torch.randn(3, 7, generator=torch.Generator().manual_seed(6))

    def score(copies):
        return (linear * copies[0] + cubic * copies[0] ** 3).sum(dim=1)

    (found,) = shares_of_inputs(score, [x], steps=5, power=3)
    np.testing.assert_allclose(found, linear * x + cubic * x**3, rtol=1e-4, atol=1e-5)


def test_steps_beyond_one_batch_are_added(lst, images):
    network = Polynomial(torch.ones(2, lst.n_pixels), torch.ones(2, lst.n_pixels))
    (few,) = integrated_gradients(network, images, energy, steps=2).values()
    (many,) = integrated_gradients(network, images, energy, steps=40).values()
    np.testing.assert_allclose(few, many, rtol=1e-4, atol=1e-5)


def test_a_patch_is_a_pixel_and_its_neighbours(lst, images):
    linear = torch.ones(2, lst.n_pixels)
    network = Polynomial(linear, torch.zeros_like(linear))
    cameras = {lst.name: lst}
    (found,) = dark_patches(network, images, energy, cameras, brightest=20).values()
    light = images[lst.name].pixels.sum(dim=1).numpy()
    patch = lst.geometry.neighbor_matrix | np.eye(lst.n_pixels, dtype=bool)
    assert np.isfinite(found).sum(axis=1).tolist() == [20, 20]
    for image in range(2):
        tried = np.flatnonzero(np.isfinite(found[image]))
        brightest = np.argsort(images[lst.name].pixels[image, 0].numpy())[-20:]
        assert set(tried) == set(brightest)
        np.testing.assert_allclose(found[image][tried], (light[image] @ patch)[tried], atol=2e-3)


def test_gradients_of_a_shipped_network_add_up_to_its_result(dl1):
    """The sum rule, of all telescopes together."""
    path = dl1("gamma_lsts_run7_7.0.0")
    (of_event,) = explain_event(
        load_checkpoint("lst4-stereo"), path, EVENT, tasks=["particle_type"], steps=64, brightest=1
    )
    assert of_event.tel_ids == (1, 2, 4)
    difference = of_event.value - of_event.without_light
    assert abs(difference) > 1
    assert abs(of_event.unexplained) < 0.05 * abs(difference)


def test_the_value_is_that_of_a_prediction(dl1):
    import gammalearn

    path = dl1("gamma_lsts_run7_7.0.0")
    network = gammalearn.load("lst4-stereo")
    table = network.predict(path, progress=False)
    row = table[np.asarray(table["event_id"]) == EVENT]
    for task, wanted in {
        "energy": np.log10(row["reco_energy"].to_value("TeV")),
        "particle_type": np.log(row["gammaness"] / (1 - row["gammaness"])),
    }.items():
        (found,) = explain_event(network.trained, path, EVENT, tasks=[task], steps=1, brightest=1)
        assert found.value == pytest.approx(float(wanted[0]), abs=2e-3)


def test_without_a_telescope_the_event_is_as_if_there_were_none(dl1):
    """As `predict --telescopes` reconstructs it."""
    import gammalearn

    path = dl1("gamma_lsts_run7_7.0.0")
    network = gammalearn.load("lst4-stereo")
    (found,) = explain_event(network.trained, path, EVENT, tasks=["energy"], steps=1, brightest=1)
    table = network.predict(path, telescopes=[2, 4], progress=False)
    row = table[np.asarray(table["event_id"]) == EVENT]
    without_first = np.log10(row["reco_energy"].to_value("TeV"))[0]
    assert found.value - found.telescopes[0] == pytest.approx(without_first, abs=2e-3)


def test_a_picture_of_an_event(dl1, tmp_path, capsys):
    picture = tmp_path / "explained"
    words = ["explain", "lst4-mono", str(dl1("gamma_lsts_run7_7.0.0")), "-o", str(picture)]
    assert main([*words, "--event", str(EVENT), "--steps", "2"]) == 0
    assert capsys.readouterr().out.strip() == f"{picture}.png"
    height, width, _ = imread(f"{picture}.png").shape
    # One row an image, each a result of its own.
    assert height > width * 0.9
    assert main([*words, "--event", str(EVENT)]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_a_map_of_events(simulated_files, tmp_path, capsys):
    picture = tmp_path / "map.png"
    words = ["explain", "lst4-stereo", *map(str, simulated_files), "--map", "-o", str(picture)]
    assert main(words) == 0
    assert imread(picture).std() > 0


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--event", str(LEFT_OUT)], "it selects 1000 of observation 7"),
        (["--event", str(EVENT), "--task", "mass"], "does not reconstruct 'mass'; choose from"),
        (["--map"], "a map needs 10 of them: give more files"),
    ],
)
def test_what_cannot_be_explained(words, told, dl1, tmp_path, capsys):
    path = str(dl1("gamma_lsts_run7_7.0.0"))
    assert main(["explain", "lst4-stereo", path, "-o", str(tmp_path / "x.png"), *words]) == 2
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_an_event_is_of_one_file(dl1, tmp_path, capsys):
    files = [str(dl1(name)) for name in ("gamma_lsts_run7_7.0.0", "proton_run1_7.0.0")]
    words = ["explain", "lst4-stereo", *files, "--event", "1", "-o", str(tmp_path / "x.png")]
    assert main(words) == 2
    assert "2 files were given; give one" in capsys.readouterr().err
