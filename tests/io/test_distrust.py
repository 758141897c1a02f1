"""HDF5 files that want more than to be read: nothing in them runs, no link leads out of them, and
no size is believed. Each command refuses them in one sentence."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tables

from gammalearn.cli import main
from gammalearn.io.files import open_hdf5

TRIGGER = "/dl1/event/subarray/trigger"
SHOWER = "/simulation/event/subarray/shower"
IMAGES = "/dl1/event/telescope/images/tel_001"


class Canary:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


#: Node and attribute, of each kind that PyTables or ctapipe reads.
PLACES = {
    "root": ("/", "X"),
    "root title": ("/", "TITLE"),
    "root filter": ("/", "FILTERS"),
    "format": ("/", "PYTABLES_FORMAT_VERSION"),
    "data model": ("/", "CTA PRODUCT DATA MODEL VERSION"),
    "table user": (TRIGGER, "X"),
    "table title": (TRIGGER, "TITLE"),
    "table fill": (TRIGGER, "FIELD_0_FILL"),
    "unit": (SHOWER, "CTAFIELD_2_UNIT"),
    "transform": (TRIGGER, "CTAFIELD_3_TRANSFORM"),
    "layout": ("/configuration/instrument/subarray/layout", "X"),
}

#: What each command is called with, {} the file.
COMMANDS = {
    "info": ["info", "{}"],
    "several": ["info", "{}", "{}"],
    "show": ["show", "{}", "--event", "1000", "-o", "event.png"],
    "predict": ["predict", "lst4-stereo", "{}", "-o", "dl2"],
    "train": ["run", "experiment.yaml", "--set", "data.train=['{}']", "-o", "run"],
    "test": ["run", "experiment.yaml", "--set", "data.test=['{}']", "-o", "run"],
    "baseline": ["baseline", "experiment.yaml", "--set", "data.train=['{}']", "-o", "run"],
    "evaluate": ["evaluate", "{}", "-o", "evaluation"],
    "compare": ["compare", "{}", "whole.h5", "-o", "comparison"],
}


@pytest.fixture(scope="session")
def dl1(data_dir):
    return data_dir / "dl1_ctapipe" / "gamma_lsts_run7_7.0.0.dl1.h5"


@pytest.fixture(scope="session")
def dl2(dl1, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dl2")
    assert main(["predict", "lst4-stereo", str(dl1), "-o", str(folder), "-q"]) == 0
    (path,) = folder.iterdir()
    return path


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd, dl1, dl2):
    """Function that runs a command on a file and gives the sentence that refuses it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "whole.h5").symlink_to(dl2)
    (tmp_path / "experiment.yaml").write_text(
        f"data: {{train: ['{dl1}'], test: ['{dl1}']}}\ntraining: {{batch_size: 2}}"
    )

    def run(command, path):
        status = main([word.replace("{}", str(path)) for word in COMMANDS[command]])
        said = capfd.readouterr().err.strip().splitlines()[-1]
        assert status == 2, said
        assert said.startswith("gammalearn: ") and "Traceback" not in said
        assert str(path) in said
        return said

    return run


@pytest.fixture
def altered(dl1, dl2, tmp_path):
    """Function that gives a copy of the file that a command reads, changed by ``change(file)``."""

    def alter(command, change):
        path = tmp_path / "altered.h5"
        shutil.copyfile(dl2 if command in {"evaluate", "compare"} else dl1, path)
        with tables.open_file(path, "a") as file:
            change(file)
        return path

    return alter


def hide(where, name, canary):
    """A change that has a canary in an attribute."""

    def change(file):
        node = file.get_node(where)
        node._v_attrs._g_setattr(node, name, Canary(canary))

    return change


@pytest.mark.parametrize(
    ("command", "place"),
    [
        *(("info", place) for place in PLACES),
        *(
            (command, place)
            for command in COMMANDS
            if command != "info"
            for place in ("root filter", "table user")
        ),
    ],
)
def test_no_pickle_runs(command, place, altered, refused, tmp_path):
    """What is read is refused by its name."""
    where, name = PLACES[place]
    canary = tmp_path / "ran"
    said = refused(command, altered(command, hide(where, name, canary)))
    assert not canary.exists()
    assert place == "format" or f"the attribute '{name}' of {where} holds a Python object" in said


@pytest.mark.parametrize("name", ["TITLE", "FILTERS", "CLASS"])
def test_no_pickle_of_a_group_runs(name, altered, tmp_path, capfd):
    """Nor has it to: info does not read these."""
    canary = tmp_path / "ran"
    main(["info", str(altered("info", hide("/dl1", name, canary)))])
    assert not canary.exists() and "Traceback" not in capfd.readouterr().err


def test_the_canary_sings(altered, tmp_path):
    """In a process that does not know us: the tests would fail."""
    canary = tmp_path / "ran"
    path = altered("info", lambda file: file.root._v_attrs.__setattr__("X", Canary(canary)))
    read = f"import tables; tables.open_file({str(path)!r}).root._v_attrs.X"
    subprocess.run([sys.executable, "-c", read], check=True, capture_output=True)
    assert canary.exists()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["dl2.reconstructor", "simulation.source"])
def test_no_pickle_runs_in_ctapipe(module, altered, tmp_path):
    """ctapipe imports our plug-ins before it opens a file."""
    canary = tmp_path / "ran"
    path = altered("info", lambda file: file.root._v_attrs.__setattr__("X", Canary(canary)))
    code = (
        f"import gammalearn.{module}; from ctapipe.io import EventSource, read_table\n"
        f"EventSource({str(path)!r}, focal_length_choice='EQUIVALENT')\n"
        f"import tables; tables.open_file({str(path)!r}).root._v_attrs.X"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not canary.exists()
    assert "the attribute 'X' of / holds a Python object" in done.stderr


@pytest.mark.parametrize(
    "value",
    [np.arange(3.0), np.array(["a", "bü"]), {"a": [1, (2.5, None)]}, np.float32(1), "ü", b"text."],
)
def test_plain_values_are_read(tmp_path, value):
    """Also what PyTables pickles of them."""
    with tables.open_file(tmp_path / "x.h5", "w") as file:
        file.root._v_attrs.X = value
    with open_hdf5(tmp_path / "x.h5") as file:
        found = file.root._v_attrs.X
    assert type(found) is type(value) or np.isscalar(value)
    np.testing.assert_equal(found, value)


def test_objects_in_arrays_do_not_run(tmp_path, altered):
    canary = tmp_path / "ran"

    def add(file):
        array = file.create_vlarray("/", "objects", tables.ObjectAtom(), filters=tables.Filters())
        array.append(Canary(canary))

    path = altered("info", add)
    with open_hdf5(path) as file, pytest.raises(Exception, match="a Python object"):
        file.root.objects.read()
    assert not canary.exists()


class TestLinks:
    @pytest.fixture
    def pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        return tmp_path / "pipe"

    @staticmethod
    def replaced(where, target):
        """A change that has a link to a file in the place of a group."""

        def link(file):
            file.remove_node(where, recursive=True)
            file.create_external_link(*where.rsplit("/", 1) if where.count("/") > 1 else
                                      ("/", where[1:]), f"{target}:{where}")  # fmt: skip

        return link

    @pytest.mark.parametrize("command", COMMANDS)
    def test_to_a_pipe(self, command, altered, refused, pipe):
        """Which would wait for ever."""
        where = "/simulation" if command in {"info", "show"} else "/dl1/event"
        path = altered(command, self.replaced(where, pipe))
        assert f"links to '{pipe}', which is no regular HDF5 file" in refused(command, path)

    @pytest.mark.parametrize("target", ["/dev/zero", "/etc/passwd", "/tmp", "pipe", "/no/pipe"])
    def test_to_other_things(self, target, altered, refused, pipe):
        """What is not where a path says, HDF5 looks for beside the file."""
        path = altered("info", self.replaced("/simulation", target))
        assert "which is no regular HDF5 file" in refused("info", path)

    def test_by_a_soft_link(self, altered, refused, pipe):
        def link(file):
            self.replaced("/simulation", pipe)(file)
            file.move_node("/simulation", newname="elsewhere")
            file.create_soft_link("/", "simulation", "/elsewhere/simulation")

        assert f"links to '{pipe}'" in refused("info", altered("info", link))

    def test_by_a_file_that_is_linked(self, altered, refused, pipe, tmp_path):
        with tables.open_file(tmp_path / "between.h5", "w") as file:
            file.create_external_link("/", "simulation", f"{pipe}:/simulation")
        path = altered("info", self.replaced("/simulation", tmp_path / "between.h5"))
        assert main(["info", str(path)]) == 2

    def test_to_hdf5_is_followed(self, altered, dl1):
        path = altered("info", self.replaced("/simulation", dl1))
        with open_hdf5(path) as file, open_hdf5(dl1) as whole:
            assert np.array_equal(file.get_node(SHOWER)[:], whole.get_node(SHOWER)[:])

    def test_a_pipe_itself(self, pipe, refused):
        for command in ("info", "show", "predict", "train", "evaluate"):
            assert "is no regular file" in refused(command, pipe)


class TestRawData:
    @pytest.mark.parametrize("command", ["info", "show", "predict", "train", "evaluate", "compare"])
    def test_of_another_file(self, command, altered, refused):
        """A table of triggers that is somebody's list of passwords."""
        h5py = pytest.importorskip("h5py")
        path = altered(command, lambda file: None)
        with h5py.File(path, "a") as file:
            old = file[TRIGGER]
            outside = [("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
            dtype, shape, attributes = old.dtype, old.shape, dict(old.attrs)
            del file[TRIGGER]
            new = file.create_dataset(TRIGGER, shape, dtype, external=outside)
            new.attrs.update(attributes)
        assert f"the data of {TRIGGER} are in another file" in refused(command, path)

    def test_of_other_data_sets(self, altered, refused, dl1):
        h5py = pytest.importorskip("h5py")
        path = altered("info", lambda file: None)
        with h5py.File(path, "a") as file:
            old = file[TRIGGER]
            layout = h5py.VirtualLayout(old.shape, old.dtype)
            layout[:] = h5py.VirtualSource(str(dl1), TRIGGER, old.shape, old.dtype)
            del file[TRIGGER]
            file.create_virtual_dataset(TRIGGER, layout)
        assert f"the data of {TRIGGER} are in another file" in refused("info", path)


@pytest.mark.parametrize(
    ("command", "table", "n_rows"),
    [
        ("info", TRIGGER, 10**12),
        ("info", TRIGGER, 10**7),
        ("show", IMAGES, 10**12),
        ("predict", TRIGGER, 10**7),
        ("train", IMAGES, 10**12),
        ("evaluate", TRIGGER, 10**7),
        ("compare", SHOWER, 10**12),
    ],
)
def test_a_table_of_more_rows_than_the_file_holds(command, table, n_rows, altered, refused):
    h5py = pytest.importorskip("h5py")
    path = altered(command, lambda file: None)
    with h5py.File(path, "a") as file:
        file[table].resize((n_rows,))
    assert f"{table} claims" in refused(command, path)
