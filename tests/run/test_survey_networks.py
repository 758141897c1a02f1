"""Networks for surveys that predict together, and what their results come from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from astropy.table import Table
from matplotlib.image import imread

from gammalearn.cli.program import main
from gammalearn.errors import SettingsError
from gammalearn.surveys.catalogue import read_catalogue
from gammalearn.surveys.checkpoint import load_survey_network
from gammalearn.surveys.cutouts import ArrayCutouts
from gammalearn.surveys.explanation.objects import explain_object
from gammalearn.surveys.kinds import survey_of

SETTINGS = {
    "supernovae": """\
survey: supernovae
simulation:
- {{output: {folder}/train.h5, n_objects: 30, redshift_max: 0.4, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 12, redshift_max: 0.4, seed: 2}}
data: {{train: {folder}/train.h5, test: {folder}/test.h5, validation_fraction: 0.2}}
tasks: [type_ia, supernova_type, auto_encoder, contrast, sparsity]
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
    "lenses": """\
survey: lenses
simulation:
- {{output: {folder}/train.h5, n_objects: 24, seed: 1}}
- {{output: {folder}/test.h5, n_objects: 8, seed: 2}}
data: {{train: {folder}/train.h5, test: {folder}/test.h5, validation_fraction: 0.2}}
network: {{width: 4, blocks: 1}}
training: {{epochs: 1, batch_size: 16, accelerator: cpu}}
evaluation: {{n_bootstrap: 2}}
""",
}

#: Columns that are probabilities, whose mean is wanted.
AVERAGED = {
    "supernovae": ("probability_Ia", "probability_type_Ia", "probability_type_II"),
    "redshifts": ("density",),
    "lenses": ("probability_lens",),
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
    if request.param != "supernovae":
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
    if survey != "supernovae":
        ours["pixel_scale"] = 0.3
        said = "its pixel_scale is 0.3 in place of"
    else:
        ours["settings"] = ours["settings"].replace("host_redshift: true", "host_redshift: false")
        said = "its data.host_redshift is False in place of True"
    torch.save(state, tmp_path / "else.ckpt")
    words = ["predict", str(first), str(tmp_path / "else.ckpt"), str(objects)]
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert said in error and "another seed" in error
    assert not (tmp_path / "out").exists()


# -- explanations ----------------------------------------------------------------------------------


@pytest.fixture
def explained(trained):
    """The network, the objects, and what the result of the second one comes from."""
    _, first, _, objects, _ = trained
    network, catalogue = load_survey_network(first), read_catalogue(objects)
    name = str(catalogue.objects["object_id"][1])
    return network, catalogue, explain_object(network, catalogue, name)


def test_shares_add_up_to_what_the_light_gives(explained):
    _, _, found = explained
    given = found.value - found.without_light
    assert abs(given) > 1e-3
    assert found.shares.sum() == pytest.approx(given, rel=0.02, abs=2e-4)


def test_only_observations_have_a_share(explained, trained):
    _, _, found = explained
    if trained[-1] != "supernovae":
        pytest.skip("cut-outs have a flux in each pixel")
    observed = found.views.observed[0].numpy()
    assert (found.shares[~observed] == 0).all()
    assert np.array_equal(np.isfinite(found.changes), observed)


def test_a_change_is_that_of_the_object_without_the_flux(explained, trained, tmp_path):
    """By a prediction of the object without it, from the catalogue on."""
    _, first, _, _, survey = trained
    network, catalogue, found = explained
    one = catalogue.select(np.array([1]))
    if survey != "supernovae":
        images = one.cutouts.read(np.array([0]))
        n = images.shape[-1]
        images[:, :, : n // 8, n // 8 : n // 4] = 0
        place = (0, 0, n // 8)
        changed = replace(one, cutouts=ArrayCutouts(images))
    else:
        nights, bands = np.nonzero(found.views.observed[0].numpy())
        place = nights[-1], bands[-1]
        kept = np.ones(len(one.time), dtype=bool)
        last = one.time > one.time[-1] - 0.5
        assert len(set(one.band[last])) == last.sum(), "one observation of each band in a night"
        kept[np.flatnonzero(last & (one.band == bands[-1]))] = False
        if not kept[last].any():
            pytest.skip("the night would be gone, and not the observation alone")
        changed = replace(
            one,
            start=np.array([0, kept.sum()]),
            **{name: getattr(one, name)[kept] for name in ("time", "band", "flux", "flux_error")},
        )
    views, _ = survey_of(survey).views(network, changed, "it")
    name = found.task
    task = survey_of(survey).tasks(network.experiment)[name]
    with torch.no_grad():
        without = float(task.explained(network.network(views, 1)[name]))
    assert found.changes[place] == pytest.approx(found.value - without, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("what", ["--object", "--map"])
def test_explain_draws_a_picture(trained, tmp_path, what, capsys):
    _, first, _, objects, survey = trained
    catalogue = read_catalogue(objects)
    if what == "--map" and len(catalogue) < 10:
        objects = [objects, trained[0] / "train.h5"]
    words = [what, str(catalogue.objects["object_id"][0])] if what == "--object" else [what]
    files = [str(path) for path in (objects if isinstance(objects, list) else [objects])]
    picture = tmp_path / "picture.png"
    command = ["explain", str(first), *files, *words, "--steps", "8", "-o", str(picture)]
    assert main(command) == 0, capsys.readouterr().err
    assert imread(picture).shape[0] > 100
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--object", "nobody"], "is 'nobody'; the first ones are: "),
        (["--event", "3"], "--event is for networks of telescopes"),
        (["--object", "nobody", "--obs-id", "1"], "--obs-id is for networks of telescopes"),
    ],
)
def test_what_cannot_be_explained_is_said(trained, tmp_path, capsys, words, said):
    _, first, _, objects, _ = trained
    picture = tmp_path / "picture.png"
    assert main(["explain", str(first), str(objects), *words, "-o", str(picture)]) == 2
    assert said in capsys.readouterr().err
    assert not picture.exists()


def test_an_unknown_task_is_named(explained):
    network, catalogue, found = explained
    with pytest.raises(SettingsError, match=f"does not predict 'colour'; choose from {found.task}"):
        explain_object(network, catalogue, found.object_id, task="colour")
