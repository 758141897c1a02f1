"""What is said of files, and the picture of an event."""

import shutil

import numpy as np
import pytest
import tables
from ctapipe.io import read_table
from ctapipe.visualization import CameraDisplay

from gammalearn.cli import main
from gammalearn.data.images.augmentation import augment
from gammalearn.data.readers.formats import open_reader
from gammalearn.data.readers.reader import azimuth
from gammalearn.errors import DataError, InputFileError, OutputError
from gammalearn.inspection.info import _azimuth, _noise, describe, describe_files
from gammalearn.inspection.show import show_event
from gammalearn.io.ctapipe_tables import IMAGES
from gammalearn.io.lstchain_tables import IMAGES as LSTCHAIN_IMAGES
from gammalearn.settings import AugmentationSettings

GAMMAS, PROTONS = "gamma_lsts_run7_7.0.0", "proton_run202_prod5"


@pytest.fixture
def file(data_dir):
    def find(name):
        if name.endswith("tel"):
            return data_dir / "dl1_lstchain" / f"dl1_{name}.h5"
        return data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"

    return find


def words(text):
    """Lines without the blanks that align them."""
    return [" ".join(line.split()) for line in text.splitlines()]


def noise_of(path, images):
    """Median over the images of the squared half width of the middle 68.27 % of the pixels."""
    widths = []
    for node in images:
        for charge in np.sort(read_table(path, node)["image"].data.astype(float)):
            place = np.arange(len(charge)) / (len(charge) - 1)
            low, high = np.interp([0.158655254, 0.841344746], place, charge)
            widths.append((high - low) / 2)
    return f"{np.median(np.square(widths)):.2g}"


def test_table_of_files(file):
    files = [file(GAMMAS), file(PROTONS), file(f"{PROTONS}_1tel")]
    noise = [
        noise_of(files[0], [f"{IMAGES}/tel_{tel_id:03d}" for tel_id in (1, 2, 3, 4)]),
        noise_of(files[1], [f"{IMAGES}/tel_{tel_id:03d}" for tel_id in range(5, 20)])
        + ", "
        + noise_of(files[1], [f"{IMAGES}/tel_{tel_id:03d}" for tel_id in (1, 2, 3, 4)]),
        noise_of(files[2], [LSTCHAIN_IMAGES]),
    ]
    text = words(describe(files)[0])
    assert text == [
        "file format telescopes cameras noise (p.e.²) events energies (TeV) pointing",
        f"{GAMMAS}.dl1.h5 ctapipe DL1 4 LST LSTS-design {noise[0]} 4 gamma 0.1 alt 50.0, "
        "az 180.0 deg",
        # One camera of two names goes by the first of them.
        f"{PROTONS}.dl1.h5 ctapipe DL1 4 LST, 15 MST FlashCam, LSTS-design {noise[1]} 6 proton "
        "0.0762 to 8.5 alt 70.0, az 0.0 deg",
        f"dl1_{PROTONS}_1tel.h5 lstchain DL1 1 LST LSTS-design {noise[2]} 2 proton "
        "0.132 to 8.5 alt 70.0, az 0.0 deg",
        "",
        "Can be learned",
        "mono 21 images of LSTS-design, 30 images of FlashCam",
        "stereo 10 events of two or more images",
        "energy, direction, impact 4 gammas",
        "particle type 4 gammas, 8 others",
    ]


def test_noise_is_what_the_augmentation_adds_to():
    """Normal noise of 1.3 p.e., a share of lit pixels, and night sky of 2 p.e. on top."""
    rng = np.random.default_rng(1)
    charge = rng.normal(0, 1.3, (20, 1855)).astype(np.float32)
    settings = AugmentationSettings(nsb=2.0)
    brighter = augment({"charge": charge}, np.arange(20), settings, seed=1, epoch=0)["charge"]
    for images, expected in ((charge, 1.69), (brighter, 3.69)):
        # Poisson's long tails make the middle narrower, by (excess kurtosis 2 / 3.69²) / 6 = 2 %.
        assert np.median(_noise(images)) == pytest.approx(expected, rel=0.05)
        images[:, :20] += 100
        images[:, 20:30] = np.nan
        assert np.median(_noise(images)) == pytest.approx(expected, rel=0.08)


def test_what_cannot_be_learnt(file):
    text = words(describe_files([file(f"{PROTONS}_1tel")]))
    assert "stereo no: all events have one image" in text
    assert "energy, direction, impact no: there are no gammas" in text
    assert "particle type no: it needs gammas and others" in text


def test_one_lstchain_file_is_described_too(file):
    assert "lstchain DL1" in describe([file(f"{PROTONS}_1tel")])[0]


def test_files_of_other_kinds_are_described_one_by_one(file):
    text, _ = describe([file(GAMMAS), file("proton_run202_prod5.params_only")])
    assert text.count("data model") == 2


def test_a_file_without_images_is_described_beside_others(file, tmp_path):
    empty = tmp_path / "empty.h5"
    shutil.copyfile(file(GAMMAS), empty)
    with tables.open_file(empty, "a") as h5file:
        for table in h5file.walk_nodes(IMAGES, "Table"):
            table.remove_rows()
    text, _ = describe([empty, file(PROTONS)])
    assert text.count("data model") == 2
    assert "4 telescopes, 1855 pixels, 0 images" in text


def test_a_damaged_file(tmp_path, file):
    path = tmp_path / "cut.h5"
    path.write_bytes(file(GAMMAS).read_bytes()[:100_000])
    text, (error,) = describe([file(GAMMAS), path])
    assert isinstance(error, InputFileError) and "cut.h5" in str(error)
    assert "4 gamma" in text


def test_goes_on_after_a_bad_file(file, tmp_path, capsys):
    """What is wrong with each is told at the end, and by the status."""
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    cut = tmp_path / "cut.h5"
    cut.write_bytes(file(GAMMAS).read_bytes()[:100_000])
    files = [text, file(GAMMAS), tmp_path / "none.h5", cut, file(PROTONS)]
    assert main(["info", *map(str, files)]) == 2
    told = capsys.readouterr()
    assert "4 gamma" in told.out and "6 proton" in told.out and "Can be learned" in told.out
    errors = told.err.splitlines()
    assert len(errors) == 3 and all(line.startswith("gammalearn: ") for line in errors)
    for path in (text, cut, tmp_path / "none.h5"):
        assert str(path) in told.err


def test_the_cause_is_shown_from_child_processes_too(file, tmp_path, capsys):
    """With -vv: what the HDF5 library stumbled over, below our sentence's place in the code."""
    path = tmp_path / "cut.h5"
    path.write_bytes(file(GAMMAS).read_bytes()[:100_000])
    for flag, shown in (("-v", False), ("-vv", True)):
        assert main(["info", str(path), flag]) == 2
        error = capsys.readouterr().err
        assert ("Traceback" in error and "HDF5ExtError" in error) == shown
        assert error.splitlines()[-1].startswith(f"gammalearn: '{path}'")


def test_azimuth_is_below_360(file, tmp_path):
    """Also where rounding takes it there."""
    path = tmp_path / "north.h5"
    shutil.copyfile(file(GAMMAS), path)
    with tables.open_file(path, "a") as h5file:
        for table in h5file.walk_nodes("/configuration/telescope/pointing", "Table"):
            table.modify_column(0, 1, colname="telescope_pointing_azimuth", column=[-1e-18])
    with open_reader(path) as reader:
        assert set(reader.images(1)["pointing_az"]) == {0.0}
    assert "alt 50.0, az 0.0 deg" in describe_files([path])
    np.testing.assert_array_equal(azimuth([-1e-18, 360, 719, -90]), [0, 0, 359, 270])
    assert _azimuth(359.97) == "0.0" and _azimuth(359.9) == "359.9"


def test_picture_of_an_event(file, tmp_path, monkeypatch):
    """The charges of each telescope that saw it."""
    shown, original = {}, CameraDisplay.__init__

    def record(self, geometry, image, ax, **options):
        original(self, geometry, image=image, ax=ax, **options)
        shown[len(shown)] = image

    monkeypatch.setattr(CameraDisplay, "__init__", record)
    titles = []
    monkeypatch.setattr("matplotlib.figure.Figure.suptitle", lambda _, title: titles.append(title))
    output = show_event(file(PROTONS), 909, tmp_path / "event.png")
    assert titles[0].startswith("Observation 202, event 909: proton, ")
    assert output.read_bytes().startswith(b"\x89PNG")
    with open_reader(file(PROTONS)) as reader:
        for number, tel_id in enumerate((6, 12)):
            row = np.flatnonzero(reader.images(tel_id)["event_id"] == 909)
            charge = reader.pixels(tel_id, row, ["charge"])["charge"][0]
            np.testing.assert_array_equal(shown[number], charge)
    assert len(shown) == 2


def test_a_picture_without_ending_is_png(file, tmp_path):
    """Under the name that is told, and looked for."""
    output = show_event(file(PROTONS), 909, tmp_path / "event")
    assert [output] == list(tmp_path.iterdir()) == [tmp_path / "event.png"]
    with pytest.raises(OutputError, match=r"event\.png' exists"):
        show_event(file(PROTONS), 909, tmp_path / "event")


def test_a_picture_that_fails_half_way_leaves_the_old_one(file, tmp_path, monkeypatch):
    output = tmp_path / "event.png"
    output.write_text("mine")

    def fail(self, path, **_):
        path.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OutputError, match=r"event\.png' cannot be written \(No space left"):
        show_event(file(PROTONS), 909, output, overwrite=True)
    assert [output] == list(tmp_path.iterdir())
    assert output.read_text() == "mine"


def test_no_picture(file, tmp_path):
    output = tmp_path / "event.png"
    with pytest.raises(DataError, match="no event 7; it has 904 of observation 202, 909 of"):
        show_event(file(PROTONS), 7, output)
    with pytest.raises(DataError, match="no event 904 of observation 3; it has 904 of"):
        show_event(file(PROTONS), 904, output, obs_id=3)
    with pytest.raises(OutputError, match="cannot be written"):
        show_event(file(PROTONS), 909, tmp_path / "event.docx")
    output.write_text("mine")
    with pytest.raises(OutputError, match="exists.*--overwrite"):
        show_event(file(PROTONS), 909, output)
    assert output.read_text() == "mine"


class TestOtherCameras:
    """Of square pixels in modules with gaps, and of pixels of two sizes."""

    @pytest.fixture
    def with_geometry(self, file, tmp_path):
        """Function that gives a copy of a file whose camera is described by other columns."""

        def make(columns, shape):
            path = tmp_path / "camera.dl1.h5"
            shutil.copyfile(file(GAMMAS), path)
            with tables.open_file(path, "a") as changed:
                for table in changed.iter_nodes("/configuration/instrument/telescope/camera"):
                    if table._v_name.startswith("geometry"):
                        rows = table.read()
                        for name, values in columns(rows).items():
                            rows[name] = values
                        table.modify_rows(0, len(rows), rows=rows)
                        table.attrs.PIX_TYPE = shape
            return path

        return make

    @staticmethod
    def modules(rows):
        """Rows of 44 pixels, in modules of 8 x 8 half a pixel apart."""
        row, col = np.divmod(np.arange(len(rows)), 44)
        x, y = (0.05 * (index + 0.5 * (index // 8)) for index in (col, -row))
        return {"pix_x": x, "pix_y": y, "pix_area": 0.05**2}

    @staticmethod
    def outer_ring(rows):
        area = rows["pix_area"].copy()
        area[-100:] *= 4
        return {"pix_area": area}

    @pytest.mark.usefixtures("blank_pictures")
    def test_modules_with_gaps_are_learnt_from(self, with_geometry, tmp_path, capsys):
        path = with_geometry(self.modules, "square")
        assert main(["info", str(path)]) == 0
        assert "cannot be used" not in capsys.readouterr().out
        text, _ = describe([path, path])
        assert "mono 26 images of LSTS-design" in words(text)
        (tmp_path / "x.yaml").write_text(
            f"data: {{train: ['{path}'], test: ['{path}'], grouping: mono}}\n"
            "network: {encoder: conv4, widths: [2, 2, 2, 2], embedding: 8, head: 4}\n"
            "tasks: {energy: {}}\n"
            "training: {epochs: 1, batch_size: 2, accelerator: cpu}"
        )
        words_of_run = ["run", str(tmp_path / "x.yaml"), "--fast-dev-run", "-q"]
        assert main([*words_of_run, "-o", str(tmp_path / "out")]) == 0

    def test_pixels_of_two_sizes_are_refused(self, with_geometry, tmp_path, capsys):
        path = with_geometry(self.outer_ring, "hexagon")
        reason = "pixels are of several sizes (the largest has 4.0 times the area of the smallest)"
        assert main(["info", str(path)]) == 0
        (line,) = (said for said in words(capsys.readouterr().out) if "cannot be used" in said)
        assert reason in line
        text = words(describe([path, path])[0])
        assert "mono no: no camera can be used" in text
        assert any(said.startswith("not LSTS-design") and reason in said for said in text)
        (tmp_path / "x.yaml").write_text(f"data: {{train: ['{path}'], test: ['{path}']}}")
        assert main(["run", str(tmp_path / "x.yaml"), "-o", str(tmp_path / "out")]) == 2
        said = capsys.readouterr().err
        assert f"Camera LSTS-design in '{path}' cannot be used: Its {reason}" in said
        assert "data.telescopes" in said and "Traceback" not in said
