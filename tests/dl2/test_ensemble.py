"""Several networks that reconstruct together, through the command line."""

import numpy as np
import pytest
import torch
from ctapipe.io import read_table
from scipy.special import softmax

from gammalearn.cli.program import main
from gammalearn.settings import TaskSettings
from gammalearn.tasks import build_tasks

SUBARRAY = "/dl2/event/subarray"


@pytest.fixture(scope="module")
def path(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


@pytest.fixture(scope="module")
def networks(checkpoint, path):
    return [checkpoint(path, seed=seed) for seed in (1, 2, 3)]


def predicted(checkpoints, path, folder):
    assert main(["predict", *map(str, checkpoints), str(path), "-o", str(folder), "-q"]) == 0
    file = folder / path.name.replace("dl1", "dl2")
    return {
        name: read_table(file, f"{SUBARRAY}/{name}/Net")
        for name in ("energy", "geometry", "particle_type")
    }


@pytest.fixture(scope="module")
def alone(networks, path, tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone")
    return [predicted([one], path, folder / one.parent.name) for one in networks]


@pytest.fixture(scope="module")
def together(networks, path, tmp_path_factory):
    return predicted(networks, path, tmp_path_factory.mktemp("together"))


def column(tables, name, column):
    return np.array([np.asarray(one[name][column]) for one in tables])


def test_the_gammaness_is_the_mean_probability(alone, together):
    mean = column(alone, "particle_type", "Net_prediction").mean(axis=0)
    np.testing.assert_allclose(together["particle_type"]["Net_prediction"], mean, rtol=1e-5)


def test_the_energy_is_the_mean_of_its_logarithm(alone, together):
    mean = np.exp(np.log(column(alone, "energy", "Net_energy")).mean(axis=0))
    np.testing.assert_allclose(together["energy"]["Net_energy"], mean, rtol=1e-5)


def test_the_direction_is_between_theirs(alone, together):
    altitude = column(alone, "geometry", "Net_alt")
    valid = np.asarray(together["geometry"]["Net_is_valid"])
    assert valid.any()
    ours = np.asarray(together["geometry"]["Net_alt"])
    # Nearly the mean: the sky is not flat.
    np.testing.assert_allclose(ours[valid], altitude.mean(axis=0)[valid], atol=0.02)


@pytest.mark.parametrize("name", ["energy", "direction"])
def test_an_uncertainty_is_that_of_the_mixture(name):
    """By drawing from the networks' densities; here normal ones."""
    task = build_tasks({name: TaskSettings(uncertainty=True)})[name]
    mean, sigma = np.array([0.1, 0.5, -0.2]), np.array([0.2, 0.1, 0.4])
    outputs = np.empty((3, 1, task.n_outputs))
    outputs[:, 0, :-1], outputs[:, 0, -1] = mean[:, None], np.log(sigma)
    together = task.average(torch.from_numpy(outputs))[0].numpy()
    random = np.random.default_rng(0)
    drawn = random.normal(mean, sigma, (200_000, 3)).ravel()
    np.testing.assert_allclose(together[:-1], drawn.mean(), atol=3e-3)
    assert np.exp(together[-1]) == pytest.approx(drawn.std(), rel=5e-3)


@pytest.mark.parametrize(
    ("name", "options"), [("energy", {"distribution": True}), ("particle_type", {"classes": 3})]
)
def test_probabilities_are_averaged(name, options):
    task = build_tasks({name: TaskSettings(**options)})[name]
    logits = np.random.default_rng(1).normal(0, 3, (4, 5, task.n_outputs))
    together = task.average(torch.from_numpy(logits)).numpy()
    np.testing.assert_allclose(softmax(together, axis=1), softmax(logits, axis=2).mean(axis=0))


def test_a_repeated_prediction_keeps_its_files(networks, path, together, tmp_path, capsys):
    """Whatever the order of the networks; one of them alone is another prediction."""
    names = [str(one) for one in networks]
    words = [str(path), "-o", str(tmp_path), "-q"]
    assert main(["predict", *names, *words]) == 0
    (file,) = tmp_path.glob("*.h5")
    before = file.stat().st_mtime_ns
    assert main(["predict", *reversed(names), *words]) == 0
    assert file.stat().st_mtime_ns == before
    assert main(["predict", names[0], *words]) == 2
    assert "--overwrite to replace it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": ["charge"]}, "its data.channels is ['charge'] in place of"),
        ({"grouping": "mono"}, "its data.grouping is mono in place of stereo"),
        ({"tasks": {"energy": {}}}, "it has the tasks energy (1 outputs) in place of"),
    ],
)
def test_networks_that_see_something_else_are_refused(
    checkpoint, networks, path, tmp_path, capsys, changes, said
):
    other = checkpoint(path, seed=5, **changes)
    words = ["predict", str(networks[0]), str(other), str(path), "-o", str(tmp_path / "out")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert said in error and "another seed" in error
    assert not (tmp_path / "out").exists()


def test_a_network_counts_once(networks, path, tmp_path, capsys):
    words = ["predict", str(networks[0]), str(networks[0]), str(path), "-o", str(tmp_path)]
    assert main(words) == 2
    assert "are the same network; give each one once" in capsys.readouterr().err


def test_networks_without_files_are_told(networks, tmp_path, capsys):
    assert main(["predict", *map(str, networks), "-o", str(tmp_path)]) == 2
    assert "no INPUT is given; name the files to reconstruct" in capsys.readouterr().err
