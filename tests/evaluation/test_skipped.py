"""Files that cannot be used: they stop an evaluation or comparison, or are left out by name."""

import numpy as np
import pytest
import tables
from astropy.table import vstack

from gammalearn.cli import main
from gammalearn.evaluation import read_events
from gammalearn.evaluation.event_table import EventTable


@pytest.fixture
def files(tmp_path, make_truth, smear, write_dl2):
    """Files of gammas and protons, between two that are none."""
    truth = vstack([make_truth(40), make_truth(40, particle="proton")])
    good = [write_dl2(tmp_path / f"{n}.dl2.h5", smear(truth, seed=n)) for n in (1, 2)]
    (tmp_path / "text.dl2.h5").write_text("no HDF5")
    dl1 = write_dl2(tmp_path / "dl1.h5", smear(truth), quantities=())
    return [tmp_path / "text.dl2.h5", good[0], dl1, good[1]]


@pytest.mark.parametrize("command", ["evaluate", "compare"])
def test_files_are_left_out_by_name(files, tmp_path, command, capsys, blank_pictures):
    words = [str(path) for path in files]
    page = "report.html"
    if command == "compare":
        # Two sets: a folder with all of them, and one file.
        (tmp_path / "set").mkdir()
        for path in files[:3]:
            path.rename(tmp_path / "set" / path.name)
        words = [str(tmp_path / "set"), str(files[3])]
        page = "compare.html"
    output = tmp_path / "output"
    assert main([command, *words, "-o", str(output)]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert main([command, *words, "-o", str(output), "--set", "evaluation.on_error=skip"]) == 0
    report = (output / page).read_text(encoding="utf-8")
    folder = tmp_path / ("set" if command == "compare" else "")
    for name, why in (("text.dl2.h5", "cannot be read as HDF5"), ("dl1.h5", "holds no DL2 energy")):
        assert str(folder / name) in report and why in report
    assert "2 DL2 file(s) were left out" in report
    assert capsys.readouterr().err.count("Skipped: ") == 2


def test_none_is_left(files, tmp_path, capsys):
    words = ["evaluate", str(files[0]), "-o", str(tmp_path / "o"), "--set"]
    assert main([*words, "evaluation.on_error=skip"]) == 2
    assert "None of 1 file(s) can be used. The first one: '" in capsys.readouterr().err


def test_rows_follow_the_files_that_were_read(files):
    events = read_events(files, skip=True)
    about = EventTable.of(events)
    assert about.paths == [files[1], files[3]]
    assert [path for path, _ in about.skipped] == [files[0], files[2]]
    assert np.unique(events["file"]).tolist() == [0, 1]


class TestEventsWithoutTruth:
    """Of files that end too early, and light pulses: they are left out and counted."""

    @pytest.fixture
    def path(self, files):
        return files[1]

    def test_a_short_table_of_truth(self, path):
        whole = read_events([path])
        with tables.open_file(path, "a") as file:
            file.root.simulation.event.subarray.shower.remove_rows(77, 80)
        events = read_events([path])
        np.testing.assert_array_equal(events["true_energy"], whole["true_energy"][:77])
        np.testing.assert_array_equal(events["reco_energy"], whole["reco_energy"][:77])
        assert events.meta["notes"] == [
            "3 of 80 events of 1.dl2.h5 lack their truth; they were left out."
        ]

    def test_light_pulses(self, path):
        whole = read_events([path])
        with tables.open_file(path, "a") as file:
            table = file.root.simulation.event.subarray.shower
            rows = table.read()
            rows["true_energy"][:3], rows["true_shower_primary_id"][:3] = 1e-12, 0
            table.modify_rows(0, len(rows), rows=rows)
            trigger = file.root.dl1.event.subarray.trigger
            rows = trigger.read()
            rows["event_type"][3] = 0
            trigger.modify_rows(0, len(rows), rows=rows)
        events = read_events([path])
        np.testing.assert_array_equal(events["true_energy"], whole["true_energy"][4:])
        assert "4 of 80 events of 1.dl2.h5 are calibration" in events.meta["notes"][0]
