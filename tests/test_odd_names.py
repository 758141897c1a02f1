"""Files and folders by names that ctapipe would take apart, from one command to the next."""

import json
import shutil

import numpy as np
import pytest

from gammalearn.cli import main
from gammalearn.data.readers.formats import open_reader
from gammalearn.io.files import open_hdf5

#: Separators of URLs, globs and shells; what Python, YAML and ctapipe fill in; other alphabets.
NAMES = [
    "a;b#c?d",
    "file:a",
    "a b 'c' \"d\"\nĈerenkov–γ✦ $HOME ~ %41 {0}",
    "[a]*",
    "long" * 48 + "name",
]


@pytest.fixture(scope="session")
def dl1(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where each command must write, beside files that it must not touch."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").write_text("not yours")
    return tmp_path


def names_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


@pytest.mark.parametrize("name", NAMES)
def test_predict(name, folder, dl1):
    (folder / "in").mkdir()
    shutil.copyfile(dl1, folder / "in" / f"{name}.dl1.h5")
    words = ["predict", "lst4-stereo", str(folder / "in" / f"{name}.dl1.h5"), "-o", name, "-q"]
    assert main(words) == 0
    assert names_in(folder) == sorted(["a", "in", name])
    assert names_in(folder / name) == [f"{name}.dl2.h5"]
    with open_hdf5(folder / name / f"{name}.dl2.h5") as file, open_hdf5(dl1) as whole:
        table = file.get_node("/dl2/event/subarray/energy/GammaLearn")
        assert len(table) == len(whole.get_node("/dl1/event/subarray/trigger"))
        assert np.isfinite(table.col("GammaLearn_energy")).any()
    assert (folder / "a").read_text() == "not yours"
    # What is there is found again.
    assert main(words) == 0


@pytest.mark.parametrize("name", NAMES[:2])
def test_simtel(name, folder, data_dir, dl1):
    """Into a cache of such a name, too."""
    path = folder / f"{name}.simtel.zst"
    shutil.copyfile(data_dir / "simtel" / "lst_with_photons.simtel.zst", path)
    cache = folder / f"cache {name}"
    before = names_in(folder)
    with open_reader(path, str(cache)) as reader:
        assert len(reader.events) > 0
        assert reader.dl1_path.is_relative_to(cache)
    assert names_in(folder) == sorted([*before, cache.name])
    assert (folder / "a").read_text() == "not yours"


@pytest.mark.usefixtures("blank_pictures")
def test_run_evaluate_compare(folder, data_dir):
    name = "a;b#c?d e'f\"g\nĥ"
    inputs = []
    for number, made in enumerate(("gamma_lsts_run7_7.0.0", "gamma_diffuse_run10_6.0.0")):
        inputs.append(f"{name}{number}.dl1.h5")
        shutil.copyfile(data_dir / "dl1_ctapipe" / f"{made}.dl1.h5", folder / inputs[-1])
    network = {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 4}
    settings = {
        "data": {"train": inputs, "test": inputs, "telescopes": ["LST"], "grouping": "mono"},
        "network": network,
        "training": {"epochs": 1, "batch_size": 2, "accelerator": "cpu"},
        "tasks": {"energy": {}},
    }
    (folder / f"{name}.yaml").write_text(json.dumps(settings))
    assert main(["run", f"{name}.yaml", "-o", name, "-q"]) == 0
    made = names_in(folder / name / "dl2")
    assert made == [f"{name}{number}.dl2.h5" for number in range(2)]
    paths = [str(folder / name / "dl2" / file) for file in made]
    assert main(["evaluate", *paths, "-o", f"{name} evaluated", "-q"]) == 0
    assert main(["compare", *paths, "-o", f"{name} compared", "-q"]) in (0, 2)
    assert main(["info", *paths, *inputs, "-q"]) == 0
    assert main(["show", inputs[0], "--event", "1000", "-o", f"{name}.png", "-q"]) == 0
    expected = {"a", *inputs, f"{name}.yaml", name, f"{name} evaluated", f"{name}.png"}
    assert expected <= set(names_in(folder)) <= expected | {f"{name} compared"}
    assert (folder / "a").read_text() == "not yours"
