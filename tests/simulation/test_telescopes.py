"""Telescope models: light, images of stars, pulses, noise and triggers as of the real ones."""

from functools import cache

import astropy.units as u
import numpy as np
import pytest
from ctapipe.instrument import SubarrayDescription
from ctapipe.io import TableLoader

from gammalearn.simulation.electronics import CameraElectronics
from gammalearn.simulation.telescopes import TELESCOPE_TYPES, telescope_model

#: File that has the telescope, and one with that telescope's images.
REAL = {
    "LST": ("proton_run202_prod5", 1),
    "MST_NectarCam": ("gamma_diffuse_run10_6.0.0", 5),
    "MST_FlashCam": ("proton_run202_prod5", 5),
}


@pytest.fixture(params=TELESCOPE_TYPES)
def model(request):
    return telescope_model(request.param)


@pytest.fixture(scope="module")
def electronics():
    """The electronics of a telescope model, by its name."""
    return cache(lambda name: CameraElectronics(telescope_model(name)))


@pytest.fixture
def real(model, data_dir):
    """The telescope's description in a real file."""
    file, tel_id = REAL[model.name]
    return SubarrayDescription.from_hdf(data_dir / "dl1_ctapipe" / f"{file}.dl1.h5").tel[tel_id]


def cherenkov_mean(model, low=300, high=600):
    """Photoelectrons per photon from `low` to `high` nm of light whose spectrum is 1 / λ²."""
    wavelength = np.arange(250.0, 701.0)
    efficiency = np.interp(wavelength, model.wavelength, model.efficiency)
    photons = wavelength**-2
    band = (wavelength >= low) & (wavelength <= high)
    return np.sum(efficiency * photons) / np.sum(photons[band])


# -- optics ----------------------------------------------------------------------------------------


def test_optics_are_those_of_real_files(model, real):
    optics = model.description.optics
    assert optics.size_type == real.optics.size_type
    assert optics.reflector_shape == real.optics.reflector_shape
    assert (optics.n_mirrors, optics.n_mirror_tiles) == (1, real.optics.n_mirror_tiles)
    assert u.isclose(optics.mirror_area, real.optics.mirror_area, rtol=1e-3)
    for length in ("equivalent_focal_length", "effective_focal_length"):
        assert u.isclose(getattr(optics, length), getattr(real.optics, length), rtol=1e-3)


def test_names_are_those_of_prod5(model):
    camera = {"LST": "LSTCam"}.get(model.name, model.name.removeprefix("MST_"))
    size = model.name[:3]
    assert str(model.description) == f"{size}_{size}_{camera}"


def test_mirror_disc_has_the_mirror_area(model):
    area = model.description.optics.mirror_area.to_value(u.m**2)
    assert np.pi * model.mirror_radius**2 == pytest.approx(area)
    assert model.focal_length == model.description.optics.effective_focal_length.to_value(u.m)


def trace(model, theta, n=20_000):
    """Where rays at an angle to the axis meet the focal plane (m), and how long they take (ns).

    Each point of the dish is a mirror that sends light along the axis into the focus.
    """
    rng = np.random.default_rng(1)
    focal_length = model.description.optics.equivalent_focal_length.to_value(u.m)
    focus = np.array([0.0, 0.0, focal_length])
    radius = model.mirror_radius * np.sqrt(rng.random(n))
    phi = 2 * np.pi * rng.random(n)
    if model.dish_radius:
        z = model.dish_radius - np.sqrt(model.dish_radius**2 - radius**2)
    else:
        z = radius**2 / (4 * focal_length)
    points = np.column_stack([radius * np.cos(phi), radius * np.sin(phi), z])
    to_focus = (focus - points) / np.linalg.norm(focus - points, axis=1, keepdims=True)
    normal = to_focus + [0, 0, 1]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    ray = np.array([np.sin(theta), 0, -np.cos(theta)])
    reflected = ray - 2 * (normal @ ray)[:, np.newaxis] * normal
    way = (focal_length - z) / reflected[:, 2]
    hits = points + way[:, np.newaxis] * reflected
    return hits[:, :2], radius, (points @ ray + way) / 0.299792458


def test_stars_off_axis_spread_as_traced_rays(model):
    theta = np.deg2rad(2.0)
    hits, _, _ = trace(model, theta)
    sigma = np.sqrt(hits.var(axis=0).mean()) / model.focal_length
    added = np.sqrt(model.psf(theta) ** 2 - model.psf(0) ** 2)
    assert added == pytest.approx(sigma, rel=0.1)


def test_stars_off_axis_lie_where_the_effective_focal_length_says(model):
    """Within what the shape of the mirror's rim and the camera's depth make of it."""
    hits, _, _ = trace(model, np.deg2rad(1.0))
    assert hits[:, 0].mean() / np.tan(np.deg2rad(1.0)) == pytest.approx(
        model.focal_length, rel=0.01
    )


def test_stars_on_axis_fit_into_a_pixel(model):
    containment = 2 * np.sqrt(-2 * np.log(1 - 0.8)) * model.psf(0)  # diameter that holds 80 %
    pixel = model.description.camera.geometry.pixel_width[0].to_value(u.m) / model.focal_length
    assert np.deg2rad(0.04) < containment < pixel


def test_delay_over_the_dish_is_that_of_traced_rays(model):
    _, radius, time = trace(model, 0.0)
    on_axis = model.description.optics.equivalent_focal_length.to_value(u.m) / 0.299792458
    assert model.delay(radius) == pytest.approx(time - on_axis, abs=1e-6)


def test_spread_in_time_is_as_required():
    """None on the parabola of the LST, less than 0.8 ns rms on MSTs."""
    _, radius, _ = trace(telescope_model("LST"), 0.0)
    assert np.all(telescope_model("LST").delay(radius) == 0)
    for name in ("MST_NectarCam", "MST_FlashCam"):
        _, radius, _ = trace(telescope_model(name), 0.0)
        assert 0.5 < telescope_model(name).delay(radius).std() < 0.8


# -- light -----------------------------------------------------------------------------------------


def test_muon_gives_an_lst_two_to_three_thousand_photoelectrons():
    assert 2000 < 18_400 * cherenkov_mean(telescope_model("LST")) < 3000


def test_efficiency_is_that_of_photomultipliers_behind_a_window(model):
    assert 0.1 < cherenkov_mean(model) < 0.2
    assert 340 < model.wavelength[np.argmax(model.efficiency)] < 420
    assert model.efficiency[model.wavelength < 285].max() < 0.01
    assert model.efficiency[-1] < 0.01
    assert model.efficiency.min() >= 0


# -- camera ----------------------------------------------------------------------------------------


def test_readout_is_that_of_real_files(model, real):
    readout, other = model.description.camera.readout, real.camera.readout
    assert (readout.n_channels, readout.n_pixels, readout.n_samples) == (
        other.n_channels,
        other.n_pixels,
        other.n_samples,
    )
    assert u.isclose(readout.sampling_rate, other.sampling_rate, rtol=1e-6)
    assert readout.sampling_rate.to_value(u.GHz) == model.sampling
    assert readout.n_samples == model.n_samples


def full_width(pulse, step):
    """At half maximum, in ns."""
    return np.count_nonzero(pulse > 0.5 * pulse.max()) * step


def test_pulses_are_as_wide_as_those_of_real_files(model, real):
    readout = real.camera.readout
    step = readout.reference_pulse_sample_width.to_value(u.ns)
    width = full_width(readout.reference_pulse_shape[0], step)
    assert full_width(model.pulse, model.pulse_step) == pytest.approx(width, rel=0.1)


def test_pulse_is_that_of_one_photoelectron(model):
    assert np.sum(model.pulse) * model.pulse_step == pytest.approx(1.0)
    assert model.pulse_peak == pytest.approx(np.argmax(model.pulse) * model.pulse_step)
    assert model.pulse[[0, -1]].max() < 1e-2 * model.pulse.max()
    shapes = model.description.camera.readout.reference_pulse_shape
    assert all(np.array_equal(shape, model.pulse) for shape in shapes)


def dilate(camera, pixels):
    """Pixels of some images (n, n_pixels) and their neighbours."""
    return pixels | (pixels.astype(int) @ camera.geometry.neighbor_matrix_sparse > 0)


def test_pedestals_are_as_wide_as_in_real_images(model, electronics, data_dir):
    """Charges of pixels that no light of a shower reached."""
    file, tel_id = REAL[model.name]
    with TableLoader(data_dir / "dl1_ctapipe" / f"{file}.dl1.h5") as loader:
        camera = loader.subarray.tel[tel_id].camera
        images = loader.read_telescope_events(
            [tel for tel in loader.subarray.tel if loader.subarray.tel[tel].camera == camera],
            dl1_images=True,
            true_images=True,
            dl1_parameters=False,
            simulated=False,
        )
    dark = np.asarray(images["image"])[
        ~dilate(camera, dilate(camera, np.asarray(images["true_image"]) > 0))
    ]
    assert dark.size > 1000
    pedestals = electronics(model.name).pedestals(1, np.random.default_rng(1))
    assert pedestals.std() == pytest.approx(dark.std(), rel=0.2)
    assert pedestals.mean() == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("file", ["proton_run202_prod5", "gamma_lsts_run7_7.0.0"])
def test_triggers_as_sim_telarray_does(file, electronics, data_dir):
    """On photoelectrons that sim_telarray stored of telescopes, triggered or not."""
    eventio = pytest.importorskip("eventio")
    rng = np.random.default_rng(1)
    agree = []
    with eventio.SimTelFile(data_dir / "simtel" / f"{file}.simtel.zst") as events:
        for event in events:
            tel_ids = sorted(events.telescope_descriptions)
            for index, light in event["photoelectrons"].items():
                if not len(light["pixel_id"]):
                    continue
                name = "LST" if index < 4 else "MST_FlashCam"
                readout = electronics(name).read_out(light["pixel_id"], light["time"], 1.0, rng)
                agree.append((readout is not None) == (tel_ids[index] in event["telescope_events"]))
    assert len(agree) > 10
    assert np.mean(agree) > 0.85


def test_night_sky_does_not_trigger(model, electronics):
    levels = electronics(model.name).noise_level(5, np.random.default_rng(1))
    assert levels.max() < 0.6 * model.trigger_threshold


def test_models_are_the_same_object_each_time():
    assert telescope_model("LST") is telescope_model("LST")
