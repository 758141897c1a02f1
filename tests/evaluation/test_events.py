"""DL2 files of any origin become one table; what cannot be read is named."""

import astropy.units as u
import numpy as np
import pytest
import tables
from astropy.table import Table, vstack
from ctapipe.core import run_tool
from ctapipe.io import read_table, write_table
from ctapipe.tools.process import ProcessorTool

from gammalearn.errors import EvaluationError, InputFileError
from gammalearn.evaluation import read_events

ALL_COLUMNS = [
    "file",
    "obs_id",
    "event_id",
    "tel_id",
    "shower",
    "true_energy",
    "true_alt",
    "true_az",
    "particle",
    "reco_energy",
    "energy_is_valid",
    "reco_alt",
    "reco_az",
    "direction_is_valid",
    "gammaness",
    "particle_type_is_valid",
    "multiplicity",
    "pointing_alt",
    "pointing_az",
]


@pytest.fixture(scope="module")
def sample(make_truth, smear):
    return smear(make_truth(8))


@pytest.fixture
def dl2_file(tmp_path, sample, write_dl2):
    return write_dl2(tmp_path / "sample.dl2.h5", sample)


def rewrite(path, where, change):
    """Replace a table of a file by what ``change`` makes of it."""
    table = change(read_table(path, where))
    write_table(table, path, where, overwrite=True)


def test_events_of_the_subarray(dl2_file, sample):
    events = read_events([dl2_file])

    assert events.colnames == ALL_COLUMNS
    assert events.meta == {
        "level": "subarray",
        "simulated": True,
        "algorithms": dict.fromkeys(("energy", "direction", "particle_type"), "Test"),
        "files": ["sample.dl2.h5"],
        "paths": [str(dl2_file)],
        "skipped": [],
        "notes": [],
        "particles": {0: ["gamma"]},
    }
    for name in ("true_energy", "true_alt", "true_az", "reco_energy", "reco_alt", "reco_az"):
        u.allclose(events[name], sample[name])
        assert events[name].unit == sample[name].unit
    np.testing.assert_array_equal(events["gammaness"], sample["gammaness"])
    assert set(events["particle"]) == {"gamma"}
    assert set(events["tel_id"]) == {-1}
    assert set(events["multiplicity"]) == {4}


def test_images_of_single_telescopes(tmp_path, sample, write_dl2):
    """Mono: one row an image; two telescopes saw the same shower."""
    images = sample.copy()
    images["event_id"] = np.arange(8) // 2
    images["tel_id"] = np.array([1, 3] * 4)
    for name in ("true_energy", "true_alt", "true_az"):
        images[name] = np.repeat(images[name][::2], 2)
    path = write_dl2(tmp_path / "mono.dl2.h5", images, level="telescope")

    events = read_events([path])

    assert events.meta["level"] == "telescope"
    assert events["tel_id"].tolist() == [1, 3] * 4
    assert events["event_id"].tolist() == images["event_id"].tolist()
    np.testing.assert_allclose(events["true_energy"], images["true_energy"])
    np.testing.assert_allclose(events["reco_energy"], images["reco_energy"])
    assert set(events["multiplicity"]) == {1}
    np.testing.assert_allclose(events["pointing_alt"].to_value("deg"), 70)
    np.testing.assert_allclose(events["pointing_az"].to_value("deg"), 180)


def test_the_older_name_of_the_particle_type(tmp_path, sample, write_dl2):
    path = write_dl2(tmp_path / "a.h5", sample, groups={"particle_type": "classification"})
    np.testing.assert_array_equal(read_events([path])["gammaness"], sample["gammaness"])


def test_what_was_not_reconstructed_is_nan_whatever_the_file_says(tmp_path, sample, write_dl2):
    failed = sample.copy()
    failed["energy_is_valid"][2] = False
    failed["reco_alt"][3] = np.nan
    events = read_events([write_dl2(tmp_path / "a.h5", failed)])
    assert np.flatnonzero(np.isnan(events["reco_energy"])).tolist() == [2]
    assert np.flatnonzero(~events["energy_is_valid"]).tolist() == [2]
    assert np.flatnonzero(np.isnan(events["reco_az"])).tolist() == [3]
    assert np.flatnonzero(~events["direction_is_valid"]).tolist() == [3]


def test_a_quantity_that_no_file_has_is_absent(tmp_path, sample, write_dl2):
    events = read_events([write_dl2(tmp_path / "a.h5", sample, quantities=["energy"])])
    assert "reco_energy" in events.colnames
    assert not {"reco_alt", "direction_is_valid", "gammaness"} & set(events.colnames)
    assert events.meta["algorithms"] == {"energy": "Test"}


def test_a_quantity_that_one_file_lacks_is_invalid_there(tmp_path, sample, write_dl2):
    full = write_dl2(tmp_path / "full.h5", sample)
    part = write_dl2(tmp_path / "part.h5", sample, quantities=["energy"])
    events = read_events([part, full])
    assert events["direction_is_valid"].tolist() == [False] * 8 + [True] * 8
    assert np.isnan(events["reco_alt"][:8]).all()
    assert "The file part.h5 holds no direction." in events.meta["notes"]


def test_equal_event_ids_of_different_runs_and_files_stay_apart(tmp_path, sample, write_dl2):
    second_run = sample.copy()
    second_run["obs_id"] += 1
    second_run["reco_energy"] *= 2
    path = write_dl2(tmp_path / "a.h5", vstack([sample, second_run]))
    events = read_events([path, path])
    assert len(events) == 32
    assert events["file"].tolist() == [0] * 16 + [1] * 16
    np.testing.assert_allclose(events["reco_energy"][8:16], 2 * events["reco_energy"][:8])


def test_results_in_another_order_or_incomplete_are_matched_by_event(dl2_file, sample):
    where = "/dl2/event/subarray/energy/Test"
    rewrite(dl2_file, where, lambda table: table[[5, 1, 7, 3]])
    events = read_events([dl2_file])
    assert np.flatnonzero(events["energy_is_valid"]).tolist() == [1, 3, 5, 7]
    np.testing.assert_allclose(events["reco_energy"][1::2], sample["reco_energy"][1::2])
    assert events["direction_is_valid"].all()


def test_angles_in_radian_are_converted(dl2_file, sample):
    def to_radian(table):
        table["Test_alt"] = table["Test_alt"].quantity.to(u.rad)
        return table

    rewrite(dl2_file, "/dl2/event/subarray/geometry/Test", to_radian)
    events = read_events([dl2_file])
    np.testing.assert_allclose(events["reco_alt"].to_value("deg"), sample["reco_alt"].value)


def test_particles_by_their_number(dl2_file):
    def change(table):
        table["true_shower_primary_id"] = [0, 1, 101, 402, 5626, 2, -1, 999]
        return table

    rewrite(dl2_file, "/simulation/event/subarray/shower", change)
    assert read_events([dl2_file])["particle"].tolist() == [
        *("gamma", "electron", "proton", "helium", "iron", "muon", "positron", "primary 999")
    ]


def test_each_quantity_may_have_an_algorithm_of_its_own(tmp_path, sample, write_dl2):
    names = {"energy": "Forest", "direction": "Hillas", "particle_type": "Classifier"}
    path = write_dl2(tmp_path / "a.h5", sample, algorithm=names)
    assert read_events([path]).meta["algorithms"] == names
    assert read_events([path], "Hillas").meta["algorithms"] == {"direction": "Hillas"}
    chosen = read_events([path], "Hillas, Forest").meta["algorithms"]
    assert chosen == {"energy": "Forest", "direction": "Hillas"}


def test_of_several_algorithms_one_is_to_be_named(dl2_file, sample):
    def rename(table):
        for name in table.colnames:
            table.rename_column(name, name.replace("Test", "Other"))
        table["Other_energy"] *= 3
        return table

    table = rename(read_table(dl2_file, "/dl2/event/subarray/energy/Test"))
    write_table(table, dl2_file, "/dl2/event/subarray/energy/Other")

    with pytest.raises(EvaluationError, match=r"the energy by several algorithms \(Other, Test\)"):
        read_events([dl2_file])
    np.testing.assert_allclose(
        read_events([dl2_file], "Other")["reco_energy"], 3 * sample["reco_energy"]
    )


def test_a_geometry_without_direction_is_no_direction(dl2_file):
    def keep_core(table):
        table.remove_columns(["Test_alt", "Test_az"])
        table["Test_core_x"] = np.zeros(len(table)) * u.m
        return table

    rewrite(dl2_file, "/dl2/event/subarray/geometry/Test", keep_core)
    assert "direction" not in read_events([dl2_file]).meta["algorithms"]


def test_results_of_the_subarray_go_before_those_of_telescopes(tmp_path, sample, write_dl2):
    path = write_dl2(tmp_path / "a.h5", sample, quantities=["energy"])
    other = write_dl2(
        tmp_path / "b.h5", sample, level="telescope", algorithm="Disp", quantities=["direction"]
    )
    where = "/dl2/event/telescope/geometry/Disp/tel_001"
    write_table(read_table(other, where), path, where)
    events = read_events([path])
    assert events.meta["level"] == "subarray"
    assert events.meta["algorithms"] == {"energy": "Test"}
    assert "The direction by Disp is there for single telescopes only" in events.meta["notes"][0]


def test_a_file_without_events_gives_an_empty_table(tmp_path, sample, write_dl2):
    events = read_events([write_dl2(tmp_path / "a.h5", sample[:0])])
    assert len(events) == 0
    assert events.colnames == ALL_COLUMNS


def test_ctapipes_own_reconstruction(tmp_path, data_dir):
    dl1 = data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"
    dl2 = tmp_path / "hillas.dl2.h5"
    arguments = [f"--input={dl1}", f"--output={dl2}", "--write-showers", "--no-write-images"]
    arguments += [f"--provenance-log={tmp_path / 'provenance.log'}"]
    run_tool(ProcessorTool(), argv=arguments, cwd=tmp_path, raises=True)

    events = read_events([dl2])

    assert events.meta["algorithms"] == {"direction": "HillasReconstructor"}
    assert set(events["particle"]) == {"gamma"}
    assert 0 < events["direction_is_valid"].sum() < len(events) == 4
    valid = events[events["direction_is_valid"]]
    # All gammas came from the pointing at zenith 40 deg, azimuth 180 deg.
    np.testing.assert_allclose(events["pointing_alt"].to_value("deg"), 50, atol=1e-3)
    np.testing.assert_allclose(events["pointing_az"].to_value("deg"), 180, atol=1e-3)
    np.testing.assert_allclose(valid["reco_alt"].to_value("deg"), 50, atol=0.5)
    # Of the telescopes that triggered only those that were used count.
    assert events["multiplicity"][~events["direction_is_valid"]].tolist() == [0]
    assert valid["multiplicity"].min() >= 2


# What cannot be read.


def test_no_file():
    with pytest.raises(EvaluationError, match="No DL2 file was given"):
        read_events([])


def test_a_missing_file(tmp_path):
    with pytest.raises(InputFileError, match=r"The file '.*none.h5' does not exist\."):
        read_events([tmp_path / "none.h5"])


def test_a_directory(tmp_path):
    with pytest.raises(InputFileError, match="is a directory; give a file"):
        read_events([tmp_path])


def test_a_file_that_is_not_hdf5(tmp_path):
    (tmp_path / "a.h5").write_text("text")
    with pytest.raises(InputFileError, match=r"cannot be read as HDF5: .*another format"):
        read_events([tmp_path / "a.h5"])


def test_a_file_that_is_cut_short(dl2_file):
    content = dl2_file.read_bytes()
    dl2_file.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputFileError, match=r"cannot be read as HDF5: it is truncated|is damaged"):
        read_events([dl2_file])


def test_damage_that_kills_the_process_that_reads(data_dir, tmp_path):
    """A letter of an attribute's name, of the table of triggers, that HDF5 1.14 stumbles over."""
    data = bytearray((data_dir / "dl1_ctapipe/proton_run201_prod5.dl1.h5").read_bytes())
    assert data[75880:75886] == b"FIELD_"
    data[75886] = 0xCA
    path = tmp_path / "damaged.dl2.h5"
    path.write_bytes(data)
    results = Table({"obs_id": [201], "event_id": [8615], "tel_id": [7], "Test_tel_energy": [1.0]})
    write_table(results, path, "/dl2/event/telescope/energy/Test/tel_007", append=True)
    with pytest.raises(InputFileError, match=f"'{path}' is damaged"):
        read_events([path])


def test_a_file_without_results(tmp_path, sample, write_dl2):
    path = write_dl2(tmp_path / "a.h5", sample, quantities=[])
    with pytest.raises(InputFileError, match="holds no DL2 energy, direction or particle type"):
        read_events([path])


def test_a_file_without_triggers(dl2_file):
    with tables.open_file(dl2_file, "a") as file:
        file.remove_node("/dl1", recursive=True)
    with pytest.raises(InputFileError, match="is damaged.*its reconstructed events cannot be read"):
        read_events([dl2_file])


def test_an_algorithm_that_is_not_there(dl2_file):
    with pytest.raises(EvaluationError, match="nothing by the algorithm 'Hillas'; it has Test"):
        read_events([dl2_file], "Hillas")


def test_no_simulated_truth(tmp_path, sample, write_dl2):
    path = write_dl2(tmp_path / "a.h5", sample, simulated=False)
    with pytest.raises(EvaluationError, match="holds no simulated truth"):
        read_events([path])


def test_a_truth_without_energy(dl2_file):
    def without_energy(table):
        table.remove_column("true_energy")
        return table

    rewrite(dl2_file, "/simulation/event/subarray/shower", without_energy)
    with pytest.raises(EvaluationError, match="lacks true_energy"):
        read_events([dl2_file])


def test_files_of_different_levels(tmp_path, sample, write_dl2):
    stereo = write_dl2(tmp_path / "stereo.h5", sample)
    mono = write_dl2(tmp_path / "mono.h5", sample, level="telescope")
    with pytest.raises(EvaluationError, match=r"differ in level: .* subarray, .* telescope"):
        read_events([stereo, mono])


def test_files_by_different_algorithms(tmp_path, sample, write_dl2):
    first = write_dl2(tmp_path / "a.h5", sample)
    second = write_dl2(tmp_path / "b.h5", sample, algorithm="Other")
    with pytest.raises(EvaluationError, match=r"different algorithms \(Test, Other\)"):
        read_events([first, second])


def test_files_by_different_algorithms_after_one_without(tmp_path, sample, write_dl2):
    """The first file knows no energy to compare with; the second and the third differ."""
    paths = [
        write_dl2(
            tmp_path / f"{name}.h5",
            sample,
            algorithm={"energy": name, "direction": "Test"},
            quantities=quantities,
        )
        for name, quantities in (
            ("none", ["direction"]),
            ("Forest", ["energy", "direction"]),
            ("Other", ["energy", "direction"]),
        )
    ]
    with pytest.raises(
        EvaluationError,
        match=r"'.*Forest.h5' and '.*Other.h5' hold the energy by different .* \(Forest, Other\)",
    ):
        read_events(paths)
    assert read_events(paths[:2]).meta["algorithms"] == {"energy": "Forest", "direction": "Test"}


def test_two_results_for_one_event(dl2_file):
    where = "/dl2/event/subarray/energy/Test"
    rewrite(dl2_file, where, lambda table: table[[0, 0, 1, 2, 3, 4, 5, 6]])
    with pytest.raises(InputFileError, match="several results for one event"):
        read_events([dl2_file])
