"""Making a file: the same on any number of processes, and complete or not at all."""

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import tables

from gammalearn.errors import EmptySelectionError, OutputError, SettingsError
from gammalearn.simulation import production, simulate

#: A seed whose first shower the toy's telescopes do not see.
UNSEEN = 3


@pytest.fixture
def make(tmp_path, toy_settings, toy_simulation):
    """Simulate with the toy, or another, into a folder of its own."""

    def make(name="toy.dl1.h5", simulation=toy_simulation, options=None, **changes):
        settings = toy_settings(tmp_path / name, **changes)
        return simulate(settings, progress=False, simulation=simulation, **(options or {}))

    return make


def read(path):
    with tables.open_file(path) as file:
        return {node._v_pathname: node.read() for node in file.walk_nodes("/", "Table")}


def assert_same(one, other):
    one, other = read(one), read(other)
    assert one.keys() == other.keys()
    for name, rows in one.items():
        assert rows.tobytes() == other[name].tobytes(), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory, toy_settings, toy_simulation):
    path = tmp_path_factory.mktemp("reference") / "toy.dl1.h5"
    return simulate(toy_settings(path, n_showers=40), progress=False, simulation=toy_simulation)


def test_is_the_same_on_several_processes(make, reference, pytestconfig, monkeypatch):
    # Where the processes find the toy.
    monkeypatch.syspath_prepend(pytestconfig.rootpath)
    assert_same(make(n_showers=40, options={"processes": 2}), reference)
    assert multiprocessing.active_children() == []


def test_is_the_same_however_it_is_cut(make, reference, toy_simulation, monkeypatch):
    """Blocks have so many events, whatever the length of the run."""
    sizes = []

    class Counting(toy_simulation):
        def block(self, first, last):
            block = super().block(first, last)
            sizes.append((last - first, len(block.events)))
            return block

    monkeypatch.setattr("gammalearn.simulation.production.FIRST_BLOCK", 1)
    monkeypatch.setattr("gammalearn.simulation.production.EVENTS_PER_BLOCK", 8)
    assert_same(make(n_showers=40, simulation=Counting), reference)
    n_showers, n_events = np.transpose(sizes)
    assert n_showers.sum() == 40
    assert n_events.mean() == pytest.approx(8, rel=0.5)
    assert n_events.max() < 3 * 8


@pytest.mark.parametrize("name", ["a;b", "a#b", "a?b", "$HOME", "a\nb 'c' ü", "long" * 48 + "name"])
def test_a_name_is_taken_as_it_is(make, tmp_path, name):
    """ctapipe takes it for a URL that may hold variables."""
    path = make(f"{name}/{name}.dl1.h5", n_showers=2)
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert [p.name for p in path.parent.iterdir()] == [f"{name}.dl1.h5"]


def test_a_file_is_not_replaced_by_accident(make, tmp_path):
    path = tmp_path / "toy.dl1.h5"
    path.write_text("precious")
    with pytest.raises(OutputError, match=r"toy.dl1.h5' exists; .* --overwrite to replace it"):
        make()
    assert path.read_text() == "precious"
    make(options={"overwrite": True})
    assert read(path)["/configuration/simulation/run"]["n_showers"] == 12
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(OutputError, match="is a folder; give a file"):
        make("folder.h5", options={"overwrite": True})


def test_a_folder_that_cannot_be_made_is_one_sentence(make, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file' cannot be made"):
        make("file/toy.dl1.h5")


def test_no_process_is_no_way_to_simulate(make):
    with pytest.raises(SettingsError, match="0 processes .* give 1 or more"):
        make(options={"processes": 0})


def test_nothing_seen_is_no_file(make, tmp_path):
    """The folder was missing, and is made."""
    with pytest.raises(EmptySelectionError, match="None of the 1 showers triggered .* scatter"):
        make("new/toy.dl1.h5", n_showers=1, reuse=1, seed=UNSEEN)
    assert list((tmp_path / "new").iterdir()) == []


def interrupt():
    raise KeyboardInterrupt


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("act, error", [(interrupt, KeyboardInterrupt), (terminate, SystemExit)])
def test_an_interruption_leaves_all_as_it_was(make, toy_simulation, tmp_path, act, error):
    class Broken(toy_simulation):
        def block(self, first, last):
            if first > 1:
                act()
            return super().block(first, last)

    path = tmp_path / "toy.dl1.h5"
    path.write_text("precious")
    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(error):
        make(simulation=Broken, options={"overwrite": True})
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "precious"
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.parametrize(
    ("patience", "progress", "said"), [(0, True, 1), (0, False, 0), (3600, True, 0)]
)
def test_says_that_it_compiles_where_that_takes_long(monkeypatch, capsys, patience, progress, said):
    monkeypatch.setattr(production, "PATIENCE", patience)
    monkeypatch.setattr("gammalearn.simulation.showers.ShowerSimulation", lambda _: None)
    monkeypatch.setattr(production, "_BlockMaker", lambda _: lambda *_: time.sleep(0.3))
    production.compile_simulation(progress)
    assert capsys.readouterr().err.count("Compiling the simulation for this machine") == said
