"""Camera types: the pixels tell cameras apart, not the names."""

import json

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument import CameraGeometry, SubarrayDescription

from gammalearn.camera import CameraType, LatticeError


def hexagonal(n=6, pitch=0.05, name="camera", focal_length=28.0, angle=0.0):
    row, col = np.mgrid[:n, :n].reshape(2, -1)
    z = np.exp(1j * angle) * pitch * (col + row * np.exp(1j * np.pi / 3))
    return CameraType(name, z.real, z.imag, "hexagonal", focal_length)


def moved(camera, **changes):
    return CameraType(**{**vars_of(camera), **changes})


def vars_of(camera):
    return {name: getattr(camera, name) for name in ("name", "pix_x", "pix_y", "lattice",
                                                      "focal_length")}  # fmt: skip


@pytest.fixture(scope="module")
def real(data_dir):
    """The camera type of a telescope of a DL1 file."""

    def camera(name, tel_id):
        path = data_dir / "dl1_ctapipe" / f"{name}.dl1.h5"
        telescope = SubarrayDescription.from_hdf(path, focal_length_choice="EQUIVALENT").tel[tel_id]
        return CameraType.from_geometry(
            telescope.camera.geometry, telescope.optics.equivalent_focal_length
        )

    return camera


class TestSameCamera:
    def test_whatever_the_name(self):
        camera = hexagonal()
        assert camera.same_camera(moved(camera, name="another"))

    @pytest.mark.parametrize(("shift", "same"), [(0.0, True), (0.09, True), (0.11, False)])
    def test_pixels_may_shift_by_a_tenth_of_the_pitch(self, shift, same):
        camera = hexagonal(pitch=0.05)
        x = camera.pix_x.copy()
        x[17] += shift * 0.05
        assert camera.same_camera(moved(camera, pix_x=x)) is same

    @pytest.mark.parametrize(("length", "same"), [(28.5, True), (27.5, True), (29.0, False)])
    def test_focal_lengths_may_differ_by_a_fiftieth(self, length, same):
        assert hexagonal().same_camera(hexagonal(focal_length=length)) is same

    def test_another_number_of_pixels(self):
        assert not hexagonal(6).same_camera(hexagonal(7))

    def test_another_lattice(self):
        camera = hexagonal()
        assert not camera.same_camera(moved(camera, lattice="square"))

    def test_another_order_of_the_pixels(self):
        camera = hexagonal()
        turned = moved(camera, pix_x=camera.pix_x[::-1], pix_y=camera.pix_y[::-1])
        assert not camera.same_camera(turned)

    def test_the_order_of_another_order(self):
        camera = hexagonal()
        order = np.random.default_rng(1).permutation(camera.n_pixels)
        other = moved(camera, pix_x=camera.pix_x[order] + 0.001, pix_y=camera.pix_y[order])
        image = np.arange(camera.n_pixels) ** 2
        np.testing.assert_array_equal(image[order][camera.order_of(other)], image)
        np.testing.assert_array_equal(camera.order_of(camera), np.arange(camera.n_pixels))

    def test_no_order_of_another_camera(self):
        camera = hexagonal()
        x = camera.pix_x.copy()
        x[17] += 0.2 * 0.05
        assert camera.order_of(moved(camera, pix_x=x)) is None
        x[17], y = camera.pix_x[16], camera.pix_y.copy()
        y[17] = camera.pix_y[16]
        assert camera.order_of(moved(camera, pix_x=x, pix_y=y)) is None
        for other in (hexagonal(7), hexagonal(focal_length=20), hexagonal(angle=0.2)):
            assert camera.order_of(other) is None

    def test_turned(self):
        assert not hexagonal().same_camera(hexagonal(angle=np.pi / 3))

    def test_of_the_lsts(self, real):
        prod5, north, south = (
            real("proton_run202_prod5", 1),
            real("gamma_diffuse_run10_6.0.0", 2),
            real("gamma_lsts_run7_7.0.0", 1),
        )
        for a in (prod5, north, south):
            assert all(a.same_camera(b) for b in (prod5, north, south))

    def test_of_others(self, real):
        lst, nectar, flash, turned = cameras = [
            real("proton_run202_prod5", 1),
            real("gamma_diffuse_run10_6.0.0", 6),
            real("proton_run202_prod5", 5),
            real("lst_with_photons", 1),
        ]
        assert lst.n_pixels == nectar.n_pixels == turned.n_pixels == 1855
        for i, a in enumerate(cameras):
            assert [a.same_camera(b) for b in cameras] == [i == j for j in range(4)]


class TestFromGeometry:
    def test_lengths_are_in_metres(self):
        geometry = CameraGeometry.make_rectangular(4, 3, (-15, 15), (-10, 10))
        geometry.pix_x, geometry.pix_y = geometry.pix_x.value * u.cm, geometry.pix_y.value * u.cm
        camera = CameraType.from_geometry(geometry, 2150 * u.cm, name="square")
        assert camera.name == "square"
        assert camera.lattice == "square"
        assert camera.focal_length == pytest.approx(21.5)
        assert (camera.pix_x.min(), camera.pix_x.max()) == pytest.approx((-0.15, 0.15))
        assert (camera.pix_y.min(), camera.pix_y.max()) == pytest.approx((-0.1, 0.1))
        assert camera.n_pixels == len(camera.pix_x) == geometry.n_pixels

    def test_pixels_stand_in_the_order_of_the_images(self, data_dir):
        path = data_dir / "dl1_ctapipe" / "proton_run202_prod5.dl1.h5"
        geometry = SubarrayDescription.from_hdf(path).tel[1].camera.geometry
        camera = CameraType.from_geometry(geometry, 28 * u.m)
        assert camera.name == "LSTCam"
        assert camera.lattice == "hexagonal"
        np.testing.assert_array_equal(camera.pix_x, geometry.pix_x.to_value("m"))
        np.testing.assert_array_equal(camera.pix_y, geometry.pix_y.to_value("m"))


def test_pixels_of_two_sizes_have_no_grid():
    """As Whipple's, whose outer ring has larger tubes; unknown areas say nothing."""
    geometry = hexagonal().geometry
    areas = np.full(geometry.n_pixels, 1.0)
    areas[:2] = np.nan, 0.0
    geometry.pix_area = areas * u.cm**2
    assert CameraType.from_geometry(geometry, 7.3 * u.m).grid.n_pixels == geometry.n_pixels
    areas[-6:] = 4.0
    geometry.pix_area = areas * u.cm**2
    with pytest.raises(LatticeError, match=r"several sizes \(the largest has 4.0 times the area"):
        CameraType.from_geometry(geometry, 7.3 * u.m).grid  # noqa: B018


class TestDictionary:
    def test_round_trip(self, real):
        camera = real("gamma_diffuse_run10_6.0.0", 6)
        again = CameraType.from_dict(json.loads(json.dumps(camera.to_dict())))
        assert again.same_camera(camera) and camera.same_camera(again)
        assert (again.name, again.lattice) == (camera.name, camera.lattice)
        assert again.focal_length == camera.focal_length
        np.testing.assert_array_equal(again.pix_x, camera.pix_x)
        np.testing.assert_array_equal(again.pix_y, camera.pix_y)
        np.testing.assert_array_equal(again.grid.index_matrix, camera.grid.index_matrix)

    def test_holds_plain_values(self):
        values = hexagonal().to_dict()
        assert {type(value) for value in values.values()} == {str, list, float}
        assert type(values["pix_x"][0]) is float


@pytest.mark.parametrize("angle", [0, 0.3])
def test_pitch(angle):
    assert hexagonal(pitch=0.05, angle=angle).pitch == pytest.approx(0.05)


def test_pitch_of_the_lst(real):
    assert real("proton_run202_prod5", 1).pitch == pytest.approx(0.05, abs=1e-4)


def test_old_descriptions_keep_the_sky_that_a_network_has_learnt():
    camera = hexagonal(focal_length=28.0)
    values = moved(camera, effective_focal_length=29.3).to_dict()
    assert CameraType.from_dict(values).effective_focal_length == 29.3
    del values["effective_focal_length"]
    np.testing.assert_array_equal(CameraType.from_dict(values).sky_of_cells, camera.sky_of_cells)


def test_grid_has_the_pixels():
    camera = hexagonal(4)
    assert camera.grid.n_pixels == camera.n_pixels == 16
