"""Arrays: those known by name are where the real ones are, layouts of the user are checked."""

import astropy.units as u
import numpy as np
import pytest
import yaml
from ctapipe.instrument import SubarrayDescription

from gammalearn.errors import SettingsError
from gammalearn.simulation.instrument import array

LST = {"type": "LST", "x": 0, "y": 0, "z": 10}
FLASHCAM = {"type": "MST_FlashCam", "x": 100, "y": -50.5, "z": 12}


@pytest.fixture
def layout(tmp_path):
    """A layout file of two telescopes, with changes."""

    def write(text=None, **changes):
        path = tmp_path / "mine.yaml"
        values = {"height": 2400, "telescopes": [LST, FLASHCAM], **changes}
        path.write_text(yaml.safe_dump(values) if text is None else text)
        return path

    return write


# -- known arrays ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "types"),
    [
        ("lst1", ["LST"]),
        ("lst4", ["LST"] * 4),
        ("lst4_mst9", ["LST"] * 4 + ["MST_NectarCam"] * 9),
    ],
)
def test_known_arrays(name, types):
    known = array(name)
    assert known.name == known.subarray.name == name
    assert [model.name for model in known.models] == types
    assert known.tel_ids.tolist() == list(range(1, len(types) + 1))
    assert known.positions.shape == (len(types), 3)
    assert known.height == 2158


def test_telescopes_of_a_type_share_its_model():
    assert len({id(model) for model in array("lst4_mst9").models}) == 2


def test_lst4_mst9_is_the_alpha_configuration(data_dir):
    """To a metre on the ground and two in height; telescopes are numbered as there."""
    path = data_dir / "dl1_ctapipe" / "gamma_diffuse_run10_6.0.0.dl1.h5"
    real = SubarrayDescription.from_hdf(path)
    known = array("lst4_mst9")
    assert list(real.tel) == known.tel_ids.tolist()
    expected = np.array([position.to_value(u.m) for position in real.positions.values()])
    distance = np.abs(known.positions - expected)
    assert distance[:, :2].max() < 1
    assert distance[:, 2].max() < 2
    for tel_id, telescope in known.subarray.tel.items():
        assert telescope.type == real.tel[tel_id].type
        assert real.tel[tel_id].camera.name.endswith(("LSTN-design", telescope.camera.name))


def test_lst4_is_part_of_lst4_mst9():
    assert np.array_equal(array("lst4").positions, array("lst4_mst9").positions[:4])


def test_site_is_la_palma():
    known = array("lst4")
    place = known.subarray.reference_location.geodetic
    assert place.lat.deg == pytest.approx(28.762, abs=1e-3)
    assert place.lon.deg == pytest.approx(-17.892, abs=1e-3)
    assert place.height.to_value(u.m) == pytest.approx(2158)
    north, west, up = 1e6 * known.magnetic_field  # µT
    assert (north, west, up) == pytest.approx((30.8, 0, -23.2))
    assert np.linalg.norm(known.magnetic_field) == pytest.approx(38.7e-6, rel=0.01)


@pytest.mark.filterwarnings("ignore::tables.NaturalNameWarning")
def test_subarray_survives_hdf5(tmp_path):
    subarray = array("lst4_mst9").subarray
    subarray.to_hdf(tmp_path / "array.h5")
    again = SubarrayDescription.from_hdf(tmp_path / "array.h5")
    assert again == subarray
    assert u.isclose(again.reference_location.geodetic.height, 2158 * u.m)
    for tel_id, telescope in subarray.tel.items():
        assert again.tel[tel_id].camera.readout == telescope.camera.readout


# -- layouts of the user ---------------------------------------------------------------------------


def test_layout_of_the_user(layout):
    mine = array(layout(magnetic_field=[20, 1, -30], latitude=-24.7, longitude=-70.3))
    assert mine.name == "mine"
    assert [model.name for model in mine.models] == ["LST", "MST_FlashCam"]
    assert mine.positions.tolist() == [[0, 0, 10], [100, -50.5, 12]]
    assert u.allclose(mine.subarray.positions[2], [100, -50.5, 12] * u.m)
    assert mine.height == 2400
    assert mine.magnetic_field == pytest.approx([20e-6, 1e-6, -30e-6])
    assert mine.subarray.reference_location.lat.deg == pytest.approx(-24.7)


def test_place_on_earth_is_la_palma_unless_given(layout):
    mine, known = array(str(layout())), array("lst4")
    assert np.array_equal(mine.magnetic_field, known.magnetic_field)
    for coordinate in ("lon", "lat"):
        here, there = (
            getattr(one.subarray.reference_location, coordinate).deg for one in (mine, known)
        )
        assert here == pytest.approx(there)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"telescopes": [LST, {**LST, "type": "SST"}]}, "telescopes.2.type.*'LST'.*got 'SST'"),
        ({"telescopes": [{"type": "LST", "x": 0, "y": 0}]}, "'telescopes.1.z' is missing"),
        ({"telescopes": [{**LST, "tilt": 3}]}, "'telescopes.1.tilt' is not known"),
        ({"telescopes": [{**LST, "x": "far"}]}, "telescopes.1.x.*number.*got 'far'"),
        ({"telescopes": [{**LST, "x": 1e6}]}, "telescopes.1.x.*less than or equal to 10000"),
        ({"telescopes": [LST, LST]}, "telescopes 1 and 2 stand in the same place"),
        ({"telescopes": [LST, {**FLASHCAM, "z": -3}]}, "telescope 2 stands 3 m below the ground"),
        ({"telescopes": [{**LST, "z": 1.2e5}]}, "telescope 1 stands at 122400 m .* outside"),
        ({"height": -600}, "telescope 1 stands at -590 m"),
        ({"height": float("nan")}, "height.*finite"),
        ({"telescopes": []}, "telescopes.*at least 1"),
        ({"magnetic_field": [30.8]}, "magnetic_field"),
        ({"magnetic_field": [30800, 0, -23200]}, "magnetic_field.1.*less than or equal to 100"),
        ({"site": "La Palma"}, "'site' is not known"),
        ({"text": "telescopes: [LST"}, "is not a YAML file"),
        ({"text": ""}, "keys with values"),
        ({"text": "telescopes: [LST]\nheight: 1"}, "telescopes.1 must be keys with values"),
    ],
)
def test_impossible_layouts_are_refused_in_one_sentence(layout, changes, message):
    path = layout(**changes)
    with pytest.raises(SettingsError, match=message) as caught:
        array(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["lst5", "nowhere.yaml", ""])
def test_unknown_arrays_are_refused(name):
    with pytest.raises(SettingsError, match="There is no array.*lst1, lst4, lst4_mst9"):
        array(name)
