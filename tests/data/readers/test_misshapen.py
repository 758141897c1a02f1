"""Columns of another shape or type than a file of their kind has: refused in one sentence."""

import shutil

import numpy as np
import pytest
import tables

from gammalearn.cli import main
from gammalearn.data.index.file_index import FileIndex
from gammalearn.data.readers.formats import open_reader
from gammalearn.errors import InputFileError
from gammalearn.io.ctapipe_tables import IMAGES, SHOWER, TEL_TRIGGER, TRIGGER
from gammalearn.io.lstchain_tables import IMAGES as LST_IMAGES
from gammalearn.io.lstchain_tables import PARAMETERS as LST_PARAMETERS
from gammalearn.settings import DataSettings

GAMMAS = "gamma_lsts_run7_7.0.0"
POINTING = "/configuration/telescope/pointing/tel_001"
CAMERA = "/configuration/instrument/telescope/camera"
GEOMETRY, READOUT = f"{CAMERA}/geometry_0", f"{CAMERA}/readout_0"
FILES = {
    "ctapipe": f"dl1_ctapipe/{GAMMAS}.dl1.h5",
    "lstchain": f"dl1_lstchain/dl1_{GAMMAS}_4tel.h5",
}

PAIRS, TEXT, HALVES, ONE = ("<f8", (2,)), ("S5",), ("<f8",), ("<f4",)

#: Format, table, column and what it becomes.
COLUMNS = [
    *(
        ("ctapipe", table, column, kind)
        for table, column in (
            (TRIGGER, "obs_id"),
            (TRIGGER, "event_type"),
            (TEL_TRIGGER, "event_id"),
            (TEL_TRIGGER, "tel_id"),
            (SHOWER, "event_id"),
            (SHOWER, "true_shower_primary_id"),
            (f"{IMAGES}/tel_001", "event_id"),
        )
        for kind in (PAIRS, TEXT)
    ),
    ("ctapipe", TRIGGER, "event_id", HALVES),
    ("ctapipe", SHOWER, "true_shower_primary_id", HALVES),
    ("ctapipe", SHOWER, "true_alt", PAIRS),
    ("ctapipe", SHOWER, "true_energy", TEXT),
    ("ctapipe", POINTING, "obs_id", PAIRS),
    ("ctapipe", POINTING, "telescope_pointing_altitude", PAIRS),
    ("ctapipe", POINTING, "telescope_pointing_azimuth", TEXT),
    ("ctapipe", f"{IMAGES}/tel_001", "image", ONE),
    ("ctapipe", f"{IMAGES}/tel_001", "image", TEXT),
    ("ctapipe", f"{IMAGES}/tel_001", "peak_time", ("<f4", (1854,))),
    ("ctapipe", "/configuration/simulation/run", "obs_id", PAIRS),
    ("ctapipe", GEOMETRY, "pix_x", TEXT),
    ("ctapipe", GEOMETRY, "pix_area", PAIRS),
    ("ctapipe", READOUT, "reference_pulse_shape_channel0", TEXT),
    ("lstchain", LST_PARAMETERS, "obs_id", PAIRS),
    ("lstchain", LST_PARAMETERS, "event_id", HALVES),
    ("lstchain", LST_PARAMETERS, "tel_id", TEXT),
    ("lstchain", LST_PARAMETERS, "event_type", PAIRS),
    ("lstchain", LST_PARAMETERS, "alt_tel", PAIRS),
    ("lstchain", LST_PARAMETERS, "az_tel", TEXT),
    ("lstchain", LST_PARAMETERS, "mc_energy", TEXT),
    ("lstchain", LST_PARAMETERS, "mc_type", HALVES),
    ("lstchain", LST_IMAGES, "obs_id", PAIRS),
    ("lstchain", LST_IMAGES, "event_id", TEXT),
    ("lstchain", LST_IMAGES, "image", ONE),
    ("lstchain", LST_IMAGES, "peak_time", TEXT),
    ("lstchain", GEOMETRY, "pix_y", TEXT),
    ("lstchain", READOUT, "reference_pulse_shape_channel0", TEXT),
]


@pytest.fixture
def changed(data_dir, tmp_path):
    """Function that gives a copy of a file of a format, after ``change(file)``."""

    def make(kind, change):
        path = tmp_path / "changed.h5"
        shutil.copyfile(data_dir / FILES[kind], path)
        with tables.open_file(path, "a") as file:
            change(file)
        return path

    return make


@pytest.fixture
def refused(tmp_path, capfd):
    """Function that has commands refuse a file, and gives the last sentence."""

    def refuse(path, commands=("several", "predict")):
        words = {
            "several": ["info", str(path), str(path)],
            "predict": ["predict", "lst4-stereo", str(path), "-o", str(tmp_path / "dl2"), "-q"],
        }
        for command in commands:
            status = main(words[command])
            told = capfd.readouterr()
            said = told.err.strip().splitlines()[-1:] or [told.out]
            assert status == 2, said
            assert said[0].startswith(f"gammalearn: '{path}'") and "Traceback" not in told.err
        assert not list(tmp_path.glob("dl2/*"))
        return said[0]

    return refuse


def replace_column(file, where, name, kind):
    """Another column in the place of one, as much alike as can be; attributes stay."""
    table = file.get_node(where)
    rows, attributes = table.read(), table._v_attrs
    said = {key: attributes[key] for key in attributes._f_list("user")}
    others = [(other, rows.dtype[other]) for other in rows.dtype.names]
    new = np.zeros(len(rows), [column if column[0] != name else (name, *kind) for column in others])
    for other in set(rows.dtype.names) - {name}:
        new[other] = rows[other]
    if kind == HALVES:
        new[name] = rows[name] + 0.5
    group, table_name = where.rsplit("/", 1)
    file.remove_node(where)
    table = file.create_table(group, table_name, obj=new)
    for key, value in said.items():
        table._v_attrs[key] = value


def case_name(case):
    kind, table, column, what = case
    return f"{kind} {table.rsplit('/', 1)[-1]} {column} {what}"


@pytest.mark.parametrize("case", COLUMNS, ids=case_name)
def test_a_column_of_another_kind(case, changed):
    """What `gammalearn run`, `predict` and `info` read first."""
    kind, where, name, what = case
    path = changed(kind, lambda file: replace_column(file, where, name, what))
    with pytest.raises(InputFileError) as error, open_reader(path) as reader:
        FileIndex.of_reader(reader, DataSettings())
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("case", [COLUMNS[0], COLUMNS[18], COLUMNS[-3]], ids=case_name)
def test_is_refused_by_commands(case, changed, refused):
    kind, where, name, what = case
    refused(changed(kind, lambda file: replace_column(file, where, name, what)))


@pytest.mark.parametrize("kind", FILES)
class TestGeometry:
    def test_one_pixel_short(self, kind, changed, refused):
        path = changed(kind, lambda file: file.get_node(GEOMETRY).remove_rows(1854))
        said = refused(path)
        assert "holds values of shape (1855,)" in said and "the camera has 1854 pixels" in said

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_pixel_that_is_nowhere(self, kind, value, changed, tmp_path, capsys):
        def lose(file):
            file.get_node(GEOMETRY).modify_column(7, colname="pix_x", column=value)

        path = changed(kind, lose)
        assert main(["info", str(path), str(path)]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "positions are finite numbers, some of these are not" in said
        assert "mono no: no camera can be used" in said
        output = str(tmp_path / "dl2")
        assert main(["predict", "lst4-stereo", str(path), "-o", output]) == 2
        said = capsys.readouterr().err
        assert f"'{path}'" in said and "Traceback" not in said
        (tmp_path / "x.yaml").write_text(f"data: {{train: ['{path}'], test: ['{path}']}}")
        assert main(["run", str(tmp_path / "x.yaml"), "-o", output]) == 2
        said = capsys.readouterr().err
        assert "cannot be used: Pixel positions are finite" in said
        assert "Traceback" not in said


@pytest.mark.parametrize("length", [np.nan, 0.0, -28.0])
def test_a_focal_length_that_is_none(length, changed, refused):
    def change(file):
        optics = file.root.configuration.instrument.telescope.optics
        optics.modify_column(0, 1, colname="equivalent_focal_length", column=[length])

    assert "has a focal length of" in refused(changed("ctapipe", change), ["predict"])
