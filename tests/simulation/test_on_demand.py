"""Simulated files are made where an experiment asks for them and they are missing, and kept."""

import logging
import os
import shutil
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
import tables
import yaml

from gammalearn.errors import InputFileError, SettingsError
from gammalearn.machine.cores import usable_cores
from gammalearn.settings import Experiment, SimulationSettings
from gammalearn.settings.reading import override
from gammalearn.simulation import on_demand
from gammalearn.simulation.on_demand import make_missing
from gammalearn.simulation.record import ATTRIBUTE, read_record, write_record


def simulation(output, **values):
    return {"output": output, "particle": "gamma", "n_showers": 5, "energy": [0.1, 1], **values}


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Names of the files that were made by a simulation that only notes its settings."""
    names = []

    def simulate(settings, processes=1, overwrite=False, progress=True):
        path = Path(settings.output)
        assert processes == usable_cores()
        assert not path.exists()
        time.sleep(0.05)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tables.open_file(path, "w") as file:
            write_record(file, settings)
        names.append(settings.output)
        return path

    monkeypatch.setattr("gammalearn.simulation.production.simulate", simulate)
    monkeypatch.chdir(tmp_path)
    return names


GAMMA, PROTON, TEST = "train/gamma.h5", "train/proton.h5", "test/gamma.h5"


@pytest.fixture
def experiment():
    return Experiment(
        simulation=[
            simulation(GAMMA),
            simulation(PROTON, particle="proton"),
            simulation(TEST, seed=2),
        ]
    )


def make(experiment, train="train/*.h5", test="test/*.h5", **options):
    data = {"data.train": [train] if train else [], "data.test": [test] if test else []}
    make_missing(experiment.simulation, data, **{"progress": False, **options})


def some_data(name):
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    tables.open_file(path, "w").close()


def test_what_is_missing_is_made_once(made, experiment, capsys):
    make(experiment, progress=True)
    assert made == [GAMMA, PROTON, TEST]
    assert "Simulating 'train/gamma.h5', which does not exist yet (1 of 3)." in (
        capsys.readouterr().err
    )
    make(experiment, progress=True)
    assert made == [GAMMA, PROTON, TEST]
    assert capsys.readouterr().err == ""


def test_a_file_that_was_deleted_is_made_again(made, experiment, caplog):
    make(experiment)
    Path(PROTON).unlink()
    with caplog.at_level(logging.INFO, "gammalearn"):
        make(experiment)
    assert made[3:] == [PROTON]
    assert [record.getMessage() for record in caplog.records] == [
        f"'{name}' exists and is used as it is." for name in (GAMMA, TEST)
    ]


def test_only_what_is_asked_for_is_made(made, experiment):
    make(experiment, train=PROTON, test="**/gamma.h5")
    assert made == [GAMMA, PROTON, TEST]
    made.clear()
    shutil.rmtree("train")
    make(experiment, train=GAMMA, test=TEST)
    assert made == [GAMMA]


def test_nothing_is_made_where_there_are_a_users_files(made, experiment, caplog):
    some_data("train/mine.h5")
    with caplog.at_level(logging.INFO, "gammalearn"):
        make(experiment)
    assert made == [TEST]
    assert "'train/*.h5' stands for 'train/mine.h5': nothing is simulated" in caplog.text


def test_a_users_file_of_the_name_of_a_simulation_is_a_users_file(made, experiment):
    some_data(GAMMA)
    make(experiment)
    assert made == [TEST]
    assert read_record(Path(GAMMA)) is None


def test_other_data_need_no_simulation(made, experiment):
    some_data("mine/a.h5")
    make(experiment, train="mine/*.h5", test="mine/a.h5")
    assert made == []


@pytest.mark.parametrize("train", ["train/gama.h5", "tain/*.h5", "train", None])
def test_missing_data_are_missed_before_anything_is_simulated(made, experiment, train):
    Path("train").mkdir()
    with pytest.raises(InputFileError, match=r"data\.train"):
        make(experiment, train=train)
    assert made == []


def test_a_file_of_other_settings_is_not_taken_for_what_is_asked(made, experiment):
    make(experiment)
    with pytest.raises(SettingsError) as raised:
        make(override(experiment, ["simulation.1.n_showers=7"]))
    assert str(raised.value) == (
        "'train/proton.h5' was simulated with other settings (n_showers was 5 and is now 7); "
        "delete it to make it again, or change simulation.output."
    )
    Path(PROTON).unlink()
    make(override(experiment, ["simulation.1.n_showers=7"]))
    assert read_record(Path(PROTON))["n_showers"] == 7


def test_a_file_with_waveforms_serves_as_one_without_and_not_the_other_way(made, experiment):
    plain, more = (
        SimulationSettings(**simulation(GAMMA)),
        SimulationSettings(**simulation(GAMMA, waveforms=True)),
    )
    make_missing([more], {"data.train": [GAMMA]})
    make_missing([plain], {"data.train": [GAMMA]})
    Path(GAMMA).unlink()
    make_missing([plain], {"data.train": [GAMMA]})
    with pytest.raises(SettingsError, match="without waveforms; delete it to make it again"):
        make_missing([more], {"data.train": [GAMMA]})
    assert made == [GAMMA, GAMMA]


def test_a_file_with_an_earlier_name_of_a_setting_is_known(made, experiment, caplog):
    make(experiment)
    before = yaml.safe_dump({"index": -2.0, "n_showers": 5})
    for name in (GAMMA, PROTON, TEST):
        with tables.open_file(name, "a") as file:
            file.root._v_attrs[ATTRIBUTE] = before
    make(experiment)
    assert made == [GAMMA, PROTON, TEST]
    with pytest.raises(SettingsError, match=r"spectral_index was -2\.0 and is now -2\.5"):
        make(override(experiment, ["simulation.1.spectral_index=-2.5"]))
    assert "new name" not in caplog.text


def test_a_moved_file_is_still_known(made, experiment):
    make(experiment)
    os.rename("train", "moved")
    moved = override(
        experiment, ["simulation.0.output=moved/gamma.h5", "simulation.1.output=moved/proton.h5"]
    )
    make(moved, train="moved/*.h5")
    assert made == [GAMMA, PROTON, TEST]


def test_a_damaged_file_is_blamed(made, experiment):
    some_data(GAMMA)
    Path(GAMMA).write_text("not HDF5")
    with pytest.raises(InputFileError, match=r"train/gamma\.h5.*HDF5"):
        make(experiment)


def test_other_processes_wait_for_the_first(made, experiment, monkeypatch):
    monkeypatch.setattr(on_demand, "PATIENCE", 0.01)
    other = threading.Thread(target=make, args=[experiment], kwargs={"first_process": False})
    other.start()
    other.join(0.05)
    assert other.is_alive()
    assert made == []
    make(experiment)
    other.join(5)
    assert not other.is_alive()
    assert made == [GAMMA, PROTON, TEST]


def test_two_runs_at_once_make_a_file_once(made, experiment):
    """lst_mono.py and lst_stereo.py, started together in the same folder, share their events."""
    context = get_context("fork")
    with context.Manager() as manager:
        made_by_all = manager.list()
        begin = context.Barrier(2)

        def run():
            begin.wait()
            make(experiment)
            made_by_all.extend(made)

        runs = [context.Process(target=run) for _ in range(2)]
        for one in runs:
            one.start()
        for one in runs:
            one.join()
        assert [one.exitcode for one in runs] == [0, 0]
        assert sorted(made_by_all) == sorted([GAMMA, PROTON, TEST])


def test_an_interruption_says_how_to_go_on(made, experiment, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("gammalearn.simulation.production.simulate", interrupt)
    with pytest.raises(KeyboardInterrupt, match=r"train/gamma\.h5.*run the same again"):
        make(experiment)


def test_usable_cores_are_those_of_the_process():
    assert 1 <= usable_cores() <= os.cpu_count()
