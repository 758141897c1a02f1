"""A run and a check of an experiment with unlabelled events."""

import shutil

import pytest
import tables
import yaml

from gammalearn.cli import main

FILES = ["gamma_lsts_run7_7.0.0", "proton_run202_prod5"]

pytestmark = pytest.mark.usefixtures("blank_pictures")


@pytest.fixture
def settings(dl1, tmp_path):
    """Write a settings file with simulated files and an observed one."""

    def write(**sections):
        observed = tmp_path / "observed.dl1.h5"
        shutil.copyfile(dl1(FILES[0]), observed)
        observed.chmod(0o644)
        with tables.open_file(observed, "a") as file:
            file.remove_node("/simulation", recursive=True)
        files = [str(dl1(name)) for name in FILES]
        values = {
            "data": {
                **{"train": files, "test": files, "unlabelled": [str(observed)]},
                **{"telescopes": ["LST"], "grouping": "mono", "cuts": {"event": "true_energy > 0"}},
            },
            "network": {"encoder": "conv4", "widths": [2] * 4, "embedding": 8, "head": 8},
            "tasks": {"particle_type": {}, "energy": {}, "direction": {}, "domain": {}, "mmd": {}},
            "training": {"epochs": 1, "accelerator": "cpu"},
        }
        path = tmp_path / "my.yaml"
        path.write_text(yaml.safe_dump(values | sections))
        return path

    return write


def test_the_report_counts_them(settings, tmp_path):
    output = tmp_path / "run"
    assert main(["-q", "run", str(settings()), "--output", str(output)]) == 0
    report = (output / "report.html").read_text()
    for words in (
        "unlabelled training events",
        "unlabelled validation events",
        "Selection of the unlabelled events",
        "Unlabelled files",
        "observed.dl1.h5",
        "Cuts that name the truth do not apply to unlabelled events: true_energy &gt; 0",
    ):
        assert words in report, words
    with tables.open_file(next((output / "dl2").glob("gamma*"))) as dl2:
        names = {node._v_name for node in dl2.walk_groups("/dl2")}
    assert "energy" in names and not names & {"domain", "mmd"}


def test_a_check_counts_them(settings, capsys):
    assert main(["check", str(settings())]) == 0
    text = capsys.readouterr().out
    assert "Selection of unlabelled files" in text
    assert "unlabelled" in text.partition("Selected events")[2].partition("\n")[0]
    assert "do not apply to unlabelled events: true_energy > 0" in text


def test_a_check_finds_what_is_wrong(settings, capsys):
    path = settings(tasks={"energy": {}, "coral": {"classes": 3}})
    assert main(["check", str(path), "--set", "data.unlabelled=[none.h5]"]) == 2
    error = capsys.readouterr().err
    assert "tasks.coral.classes=3" in error and "data.unlabelled: the file 'none.h5'" in error
