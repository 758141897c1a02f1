"""What is said of files, and the picture of an event."""

import numpy as np
import pytest
from ctapipe.visualization import CameraDisplay

from gammalearn.data.formats import open_reader
from gammalearn.errors import DataError, InputFileError, OutputError
from gammalearn.info import describe, describe_files
from gammalearn.show import show_event

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


def test_table_of_files(file):
    text = words(describe([file(GAMMAS), file(PROTONS), file(f"{PROTONS}_1tel")]))
    assert text[0] == "file format telescopes cameras events energies (TeV) pointing"
    assert text[1:] == [
        f"{GAMMAS}.dl1.h5 ctapipe DL1 4 LST LSTS-design 4 gamma 0.1 alt 50.0, az 180.0 deg",
        # One camera of two names goes by the first of them.
        f"{PROTONS}.dl1.h5 ctapipe DL1 4 LST, 15 MST FlashCam, LSTS-design 6 proton "
        "0.0762 to 8.5 alt 70.0, az 0.0 deg",
        f"dl1_{PROTONS}_1tel.h5 lstchain DL1 1 LST LSTS-design 2 proton 0.132 to 8.5 "
        "alt 70.0, az 0.0 deg",
        "",
        "Can be learnt from",
        "mono 21 images of LSTS-design, 30 images of FlashCam",
        "stereo 10 events of two or more images",
        "energy, direction, impact 4 gammas",
        "particle type 4 gammas, 8 others",
    ]


def test_what_cannot_be_learnt(file):
    text = words(describe_files([file(f"{PROTONS}_1tel")]))
    assert "stereo no: all events have one image" in text
    assert "energy, direction, impact no: there are no gammas" in text
    assert "particle type no: it needs gammas and others" in text


def test_one_lstchain_file_is_described_too(file):
    assert "lstchain DL1" in describe([file(f"{PROTONS}_1tel")])


def test_files_of_other_kinds_are_described_one_by_one(file):
    text = describe([file(GAMMAS), file("proton_run202_prod5.params_only")])
    assert text.count("data model") == 2


def test_a_damaged_file(tmp_path, file):
    path = tmp_path / "cut.h5"
    path.write_bytes(file(GAMMAS).read_bytes()[:100_000])
    with pytest.raises(InputFileError, match=r"cut\.h5"):
        describe([file(GAMMAS), path])


def test_picture_of_an_event(file, tmp_path, monkeypatch):
    """The charges of each telescope that saw it."""
    shown, original = {}, CameraDisplay.__init__

    def record(self, geometry, image, ax, **options):
        original(self, geometry, image=image, ax=ax, **options)
        shown[len(shown)] = image

    monkeypatch.setattr(CameraDisplay, "__init__", record)
    output = show_event(file(PROTONS), 909, tmp_path / "event.png")
    assert output.read_bytes().startswith(b"\x89PNG")
    with open_reader(file(PROTONS)) as reader:
        for number, tel_id in enumerate((6, 12)):
            row = np.flatnonzero(reader.images(tel_id)["event_id"] == 909)
            charge = reader.pixels(tel_id, row, ["charge"])["charge"][0]
            np.testing.assert_array_equal(shown[number], charge)
    assert len(shown) == 2


def test_no_picture(file, tmp_path):
    output = tmp_path / "event.png"
    with pytest.raises(DataError, match="has no event 7; it has 904, 909"):
        show_event(file(PROTONS), 7, output)
    with pytest.raises(DataError, match="no event 904 of 3"):
        show_event(file(PROTONS), 904, output, obs_id=3)
    with pytest.raises(OutputError, match="cannot be written"):
        show_event(file(PROTONS), 909, tmp_path / "event.docx")
    output.write_text("mine")
    with pytest.raises(OutputError, match="exists.*--overwrite"):
        show_event(file(PROTONS), 909, output)
    assert output.read_text() == "mine"
