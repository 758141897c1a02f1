"""The origin of a DL2 file, as attributes and as the sentence of older files."""

import pytest
import tables

from gammalearn.errors import InputFileError
from gammalearn.io.origin import Origin, read_origin

CHANGES = "data.cuts.image=['hillas_intensity > 100'] in place of [], data.telescopes=[1, 2]"

#: Sentences of files from before the attributes, and what they tell.
SENTENCES = {
    "checkpoint 0f3a, gamma.dl1.h5 of 1234 bytes": Origin("0f3a", "gamma.dl1.h5", 1234),
    "checkpoint 0f3a, a, b of 7 bytes.h5 of 12 bytes, in lstchain's layout": Origin(
        "0f3a", "a, b of 7 bytes.h5", 12, layout="lstchain"
    ),
    f"checkpoint 0f3a with {CHANGES}, gamma.h5 of 12 bytes": Origin(
        "0f3a", "gamma.h5", 12, CHANGES
    ),
}


def dl2(path, **attributes):
    with tables.open_file(path, "w") as file:
        for name, value in attributes.items():
            file.root._v_attrs[name.replace("_", " ")] = value
    return path


pytestmark = pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")


def test_an_origin_comes_back(tmp_path):
    source = tmp_path / "in" / "gamma.dl1.h5"
    source.parent.mkdir()
    source.write_bytes(b"x" * 321)
    origin = Origin.from_input(source, "0f3a", CHANGES, "lstchain")
    assert origin == Origin("0f3a", "gamma.dl1.h5", 321, CHANGES, "lstchain")
    path = dl2(tmp_path / "dl2.h5")
    with tables.open_file(path, "a") as file:
        origin.write(file)
        assert file.root._v_attrs["GAMMALEARN CHECKPOINT"] == "0f3a"
        assert file.root._v_attrs["GAMMALEARN INPUT SIZE"] == 321
    assert read_origin(path) == origin
    # Values without a selection of their own come back too.
    with tables.open_file(path, "a") as file:
        Origin("1", "a.h5", 0).write(file)
    assert read_origin(path) == Origin("1", "a.h5", 0, "", "ctapipe")


@pytest.mark.parametrize("sentence", SENTENCES)
def test_older_files_have_a_sentence(tmp_path, sentence):
    assert read_origin(dl2(tmp_path / "dl2.h5", GAMMALEARN_ORIGIN=sentence)) == SENTENCES[sentence]


def test_files_of_other_software_tell_none(tmp_path):
    assert read_origin(dl2(tmp_path / "dl2.h5")) is None
    other = dl2(tmp_path / "other.h5", GAMMALEARN_ORIGIN="a sentence of another kind")
    assert read_origin(other) is None
    part = dl2(tmp_path / "part.h5", GAMMALEARN_CHECKPOINT="0f3a")
    assert read_origin(part) is None


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "dl2.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputFileError, match="dl2.h5"):
        read_origin(tmp_path / "dl2.h5")
