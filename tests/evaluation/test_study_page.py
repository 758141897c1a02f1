"""The page of the study, of small files with known errors."""

import json
import re
import sys

import astropy.units as u
import numpy as np
import pytest
from astropy.table import vstack
from matplotlib.figure import Figure
from PIL import Image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(pytestconfig):
    folder = str(pytestconfig.rootpath / "benchmarks")
    sys.path.insert(0, folder)
    yield __import__("study")
    sys.path.remove(folder)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, make_truth, smear, write_dl2):
    """Stereo, which is better than the baseline, mono and one telescope; some points of a learning
    curve."""
    folder = tmp_path_factory.mktemp("runs")
    random = np.random.default_rng(3)
    truth = {"gamma_source": make_truth(400), "proton": make_truth(300, 5, "proton")}
    for table in truth.values():
        table["multiplicity"] = random.integers(2, 5, len(table))
        for axis in "xy":
            table[f"true_core_{axis}"] = random.uniform(-200, 200, len(table)) * u.m

    def write(name, level="subarray", **errors):
        (folder / name / "dl2").mkdir(parents=True)
        (folder / name / "settings.yaml").write_text("training: {epochs: 3}\n")
        (folder / name / "report.html").write_text("")
        for particle, table in truth.items():
            tels = {"lst4_mono": 4, "lst1_mono": 1}.get(name)
            if tels is None:
                events = smear(table, **errors)
            else:
                images = [smear(table, **errors | {"seed": 10 + tel}) for tel in range(tels)]
                events = vstack(images)
                events["tel_id"] = np.repeat(np.arange(1, tels + 1), len(table))
                events = events[np.argsort(events["event_id"], kind="stable")]
            write_dl2(folder / name / "dl2" / f"{particle}.dl2.h5", events, level=level, runs={})

    write("lst4_stereo", angle=0.1)
    write("baseline", angle=0.15, energy=0.2, seed=2)
    write("conv5_stereo", angle=0.12, seed=3)
    write("lst4_mono", "telescope", angle=0.25)
    write("lst1_mono", "telescope", angle=0.25)
    write("learning_curve/lst4_stereo_1_4", angle=0.2, seed=4)
    (folder / "lst4_stereo.json").write_text(
        json.dumps({"hours": 1.25, "machine": "a machine", "command": "gammalearn run"})
    )
    (folder / "lst4_parameters").mkdir()
    (folder / "lst4_parameters" / "settings.yaml").write_text("")
    return folder


@pytest.fixture(scope="module")
def page(study, runs, tmp_path_factory):
    """Folder of the page, its text and its numbers."""
    output = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        n_gammas = {"lst4_stereo": 1600, "lst4_stereo_1_4": 400}
        patch.setattr(study.Training, "n_gammas", lambda run: n_gammas[run.output.name])
        # To draw takes most of the time.
        patch.setattr(Figure, "savefig", lambda _, path, **__: Image.new("RGB", (1, 1)).save(path))
        assert study.main(["page", "--runs", str(runs), "-o", str(output)]) == 0
    text = (output / "stereo_vs_mono.md").read_text(encoding="utf-8")
    return output, text, json.loads((output / "study.json").read_text(encoding="utf-8"))


def test_missing_contenders_are_named(page):
    _, text, numbers = page
    names = (
        "lst4_stereo_longer",
        "baseline_true_geometry",
        "hillas",
        "lst4_stereo_no_geometry",
        "lst4_stereo_no_parameters",
        "conv4_stereo",
    )
    assert f"**Not run:** {', '.join(f'`{name}`' for name in names)}." in text
    assert "**Not finished:** `lst4_parameters`." in text
    assert numbers["contenders"]["lst4_parameters"]["state"] == "not finished"
    assert "lst4_parameters" not in numbers["totals"]["auc"]
    # Of the run, whatever the settings file says by now.
    assert re.search(r"\| `lst4_stereo` .* \| 3 \| 1 \| 1\.25 \| a machine \|", text)


def test_every_picture_is_there_and_none_more(page):
    output, text, _ = page
    shown = re.findall(r"\]\((study/[^)]*)\)", text)
    assert len(shown) > 10
    assert {f"study/{path.name}" for path in (output / "study").iterdir()} == set(shown)


def test_identical_events_are_compared_with_baseline_and_mono(page):
    _, text, numbers = page
    angles = numbers["totals"]["angular_resolution_68"]
    mono = "lst4_mono, mean of telescopes"
    assert list(angles)[:3] == ["baseline", "lst4_stereo", mono]
    assert "lst1_mono, mean of telescopes" not in angles
    assert {figure["events"] for label, figure in angles.items() if "image" not in label} == {400}
    # The error of a direction is that of the smearing times √(2 ln 1/0.32).
    assert angles["lst4_stereo"]["value"] == pytest.approx(0.151, rel=0.1)
    over = angles["lst4_stereo"]["over"]
    assert over["baseline"]["relation"] == pytest.approx(0.1 / 0.15, rel=0.1)
    assert over[mono]["relation"] == pytest.approx(0.1 / 0.125, rel=0.1)
    one = numbers["one_telescope"]["angular_resolution_68"]
    assert one["lst1_mono, mean of telescopes"]["value"] == pytest.approx(0.377, rel=0.1)
    assert "## One telescope" in text
    assert "| `lst1_mono` | " in text.split("## One telescope")[1]
    assert "nan" not in text and "None" not in text


def test_selections_are_of_the_events(page, make_truth):
    _, text, numbers = page
    n_bright = int(np.sum(make_truth(400)["true_energy"] > 0.2 * u.TeV))
    assert 0 < n_bright < 400
    everywhere, inside = (
        sum(point["events"] for point in figures["angular_resolution_68"]["baseline"])
        for figures in numbers["cores"].values()
    )
    # Of a square of 400 m.
    assert inside / everywhere == pytest.approx(np.pi * 150**2 / 400**2, abs=0.1)
    bright = numbers["bright"]["angular_resolution_68"]["lst4_stereo"]
    assert bright["events"] == n_bright
    assert "## Above 200 GeV" in text
    assert f"true energy above 200 GeV alone: {n_bright} gammas" in text
    by_number = [
        figures["energy_resolution"]["baseline"]["events"]
        for figures in numbers["multiplicity"].values()
    ]
    assert list(numbers["multiplicity"]) == ["2", "3", "4"] and sum(by_number) == 400
    assert list(numbers["offset"])[0] == "0–0.5°"
    assert "| 100 GeV, cores up to 350 m | 1 TeV, cores up to 350 m | 100 GeV, cores within" in text
    assert "| published: 4 LST requirement | 0.129 | 0.075 | 0.129 | 0.075 |" in text


def test_the_learning_curve_and_what_is_not_known(page):
    _, text, numbers = page
    points = numbers["learning_curve"]["lst4_stereo"]
    assert [point["gammas"] for point in points] == [400, 1600]
    values = [point["angular_resolution_68"]["value"] for point in points]
    assert values[0] == pytest.approx(2 * values[1], rel=0.15)
    assert "There is no sensitivity" in text


class TestAdding:
    """A page of two contenders gets a third one, when one of the two has no run any more."""

    @pytest.fixture
    def make(self, study, runs, tmp_path, monkeypatch):
        monkeypatch.setattr(study.Training, "n_gammas", lambda _: 1600)
        monkeypatch.setattr(
            Figure, "savefig", lambda _, path, **__: Image.new("RGB", (1, 1)).save(path)
        )

        def make(number, names, *options):
            folder = tmp_path / f"runs {number}"
            folder.mkdir()
            for name, run in names.items():
                (folder / name).symlink_to(runs / run)
            words = ["page", "--runs", str(folder), "-o", str(tmp_path / "out"), *options]
            return study.main(words), tmp_path / "out"

        return make

    def test_others_stay(self, make, page):
        _, _, whole = page
        assert make(1, {name: name for name in ("baseline", "lst4_stereo", "lst4_mono")})[0] == 0
        added = {name: name for name in ("baseline", "lst4_stereo", "conv5_stereo")}
        status, output = make(2, added, "--add")
        assert status == 0
        numbers = json.loads((output / "study.json").read_text("utf-8"))
        for name in ("lst4_mono, mean of telescopes", "conv5_stereo"):
            figure = numbers["totals"]["angular_resolution_68"][name]
            wanted = whole["totals"]["angular_resolution_68"][name]
            assert figure["value"] == wanted["value"]
            assert figure["over"]["baseline"] == wanted["over"]["baseline"]
        assert list(numbers["contenders"]) == list(whole["contenders"])
        assert numbers["contenders"]["conv5_stereo"]["state"] == "complete"
        text = (output / "stereo_vs_mono.md").read_text("utf-8")
        assert "page --add` added `conv5_stereo` later" in text
        named = re.findall(r"\]\((study/[^)]*)\)", text)
        assert {f"study/{path.name}" for path in (output / "study").iterdir()} == set(named)

    def test_other_networks_are_refused(self, make, capsys):
        assert make(1, {"baseline": "baseline", "lst4_stereo": "lst4_stereo"})[0] == 0
        # What is called baseline now has the directions of another one.
        others = {"baseline": "conv5_stereo", "lst4_stereo": "lst4_stereo"}
        status, output = make(2, others, "--add")
        assert status == 2
        assert "make the whole page again, without --add" in capsys.readouterr().err
        numbers = json.loads((output / "study.json").read_text("utf-8"))
        assert "added" not in numbers


def test_fewer_than_two_contenders_are_no_comparison(study, runs, tmp_path, capsys):
    (tmp_path / "lst4_stereo").symlink_to(runs / "lst4_stereo")
    assert study.main(["page", "--runs", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "1 of 12 are complete" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_values_have_the_digits_of_their_errors(study):
    with_error = sys.modules["study_page"].with_error
    assert with_error(0.12345, 0.0123) == "0.123 ± 0.012"
    assert with_error(-0.1234, 0.01, 100.0) == "−12.3 ± 1.0"
    assert with_error(12.345, None) == "12.3"
    assert with_error(None, None) == "–"
