"""Several networks for a survey predict together: means of probabilities, by hand."""

import numpy as np
import pytest
import torch
from astropy.table import Table

from gammalearn.cli.program import main

SETTINGS = {
    "supernovae": """\
survey: supernovae
simulation:
- {{output: {folder}/train.h5, n_objects: 30, redshift_max: 0.4, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 12, redshift_max: 0.4, seed: 2}}
data: {{train: {folder}/train.h5, test: {folder}/test.h5, validation_fraction: 0.2}}
tasks: [type_ia, supernova_type]
network: {{embedding: 8, layers: 1}}
training: {{epochs: 1, batch_size: 16, accelerator: cpu}}
evaluation: {{n_bootstrap: 2}}
""",
    "redshifts": """\
survey: redshifts
simulation:
- {{output: {folder}/train.h5, n_objects: 24, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 8, seed: 2}}
data: {{train: {folder}/train.h5, test: {folder}/test.h5, validation_fraction: 0.2}}
network: {{width: 4, masks: 2, embedding: 16}}
training: {{epochs: 1, batch_size: 16, accelerator: cpu}}
evaluation: {{n_bootstrap: 2}}
""",
}

#: Columns that are probabilities, whose mean is wanted.
AVERAGED = {
    "supernovae": ("probability_Ia", "probability_type_Ia", "probability_type_II"),
    "redshifts": ("density",),
}


def another(path, folder):
    """A checkpoint whose last layers have other weights."""
    state = torch.load(path, weights_only=True)
    torch.manual_seed(7)
    for name, value in state["state_dict"].items():
        if "heads" in name:
            value += 0.5 * torch.randn_like(value)
    torch.save(state, folder / "other.ckpt")
    return folder / "other.ckpt"


@pytest.fixture(scope="module", params=list(SETTINGS))
def trained(request, tmp_path_factory):
    """Folder, two checkpoints, a file of objects and the name of the survey."""
    if request.param == "redshifts":
        pytest.importorskip("kcorrect")
    folder = tmp_path_factory.mktemp("together")
    (folder / "s.yaml").write_text(SETTINGS[request.param].format(folder=folder))
    assert main(["run", str(folder / "s.yaml"), "-o", str(folder / "run"), "-q"]) == 0
    first = folder / "run" / "checkpoints" / "best.ckpt"
    return folder, first, another(first, folder), folder / "test.h5", request.param


def predict(output, *words):
    assert main(["predict", *map(str, words), "-o", str(output)]) == 0
    return Table.read(output / "predictions.ecsv")


def test_probabilities_are_means(trained, tmp_path):
    _, first, other, objects, survey = trained
    one, two = (
        predict(tmp_path / name, path, objects) for name, path in (("1", first), ("2", other))
    )
    together = predict(tmp_path / "together", first, other, objects)
    for column in AVERAGED[survey]:
        assert np.abs(one[column] - two[column]).max() > 1e-3, "they differ"
        mean = (np.asarray(one[column]) + np.asarray(two[column])) / 2
        np.testing.assert_allclose(together[column], mean, rtol=1e-4, atol=1e-6)
    digests = {table.meta["checkpoint"] for table in (one, two, together)}
    assert len(digests) == 3
    again = predict(tmp_path / "again", other, first, objects)
    assert again.meta["checkpoint"] == together.meta["checkpoint"]


def test_a_network_counts_once(trained, tmp_path, capsys):
    _, first, _, objects, _ = trained
    words = ["predict", str(first), str(first), str(objects), "-o", str(tmp_path)]
    assert main(words) == 2
    assert "are the same network; give each one once" in capsys.readouterr().err


def test_networks_for_something_else_are_refused(trained, tmp_path, capsys):
    _, first, _, objects, survey = trained
    state = torch.load(first, weights_only=True)
    ours = state["gammalearn"]
    if survey == "redshifts":
        ours["pixel_scale"] = 0.2
        said = "its pixel_scale is 0.2 in place of"
    else:
        ours["settings"] = ours["settings"].replace("host_redshift: true", "host_redshift: false")
        said = "its data.host_redshift is False in place of True"
    torch.save(state, tmp_path / "else.ckpt")
    words = ["predict", str(first), str(tmp_path / "else.ckpt"), str(objects)]
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error and "another seed" in error
    assert not (tmp_path / "out").exists()
