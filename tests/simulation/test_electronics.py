"""Waveforms against their definition, the trigger, and images against those of real simulations."""

import astropy.units as u
import numpy as np
import pytest
from ctapipe.io import EventSource
from scipy.spatial import KDTree
from scipy.stats import ks_2samp

from gammalearn.simulation import electronics
from gammalearn.simulation.electronics import CameraElectronics
from gammalearn.simulation.telescopes import TELESCOPE_TYPES, telescope_model

every_type = pytest.mark.parametrize("name", TELESCOPE_TYPES)


@pytest.fixture(scope="module")
def cameras():
    return {name: CameraElectronics(telescope_model(name)) for name in TELESCOPE_TYPES}


def positions(model):
    geometry = model.description.camera.geometry
    return np.column_stack([geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)])


def nearest_pixels(model, n):
    """The `n` pixels nearest to the centre of the camera."""
    return np.argsort(np.linalg.norm(positions(model), axis=1))[:n]


def flash(model, n_pe, rng, n_pixels=7, time=0.0, spread=0.0):
    """Light on the innermost pixels."""
    pixel = rng.choice(nearest_pixels(model, n_pixels), n_pe)
    return pixel, time + spread * rng.standard_normal(n_pe)


def explicit_waveforms(model, n, rng):
    """Night sky and noise in n pixels by their definition, in p.e. per sample."""
    before = model.pulse.size * model.pulse_step
    samples = np.arange(model.n_samples) / model.sampling
    known = np.arange(model.pulse.size) * model.pulse_step
    waveforms = model.noise * rng.standard_normal((n, model.n_samples)) - model.nsb_rate
    for waveform in waveforms:
        length = before + samples[-1]
        n_pe = rng.poisson(model.nsb_rate * length)
        time = rng.uniform(-before, samples[-1], n_pe)
        charge = rng.gamma(model.spe_sigma**-2, model.spe_sigma**2, n_pe)
        after = samples - time[:, np.newaxis]
        waveform += charge @ np.interp(after, known, model.pulse, left=0, right=0)
    return waveforms / model.sampling


@every_type
def test_noise_has_the_distribution_of_explicit_photoelectrons(cameras, name):
    rng = np.random.default_rng(1)
    expected = explicit_waveforms(cameras[name].model, 2000, rng)
    found = cameras[name].noise(rng)
    # Samples this far from each other share few photoelectrons; so do windows that are summed.
    apart = slice(3, None, 12)
    assert ks_2samp(expected[:, apart].ravel(), found[:, apart].ravel()).pvalue > 1e-3
    window = slice(5, 12)
    assert ks_2samp(expected[:, window].sum(axis=1), found[:, window].sum(axis=1)).pvalue > 1e-3


@every_type
def test_noise_has_the_moments_of_campbells_theorem(cameras, name):
    model = cameras[name].model
    rng = np.random.default_rng(2)
    waveforms = np.stack([cameras[name].noise(rng) for _ in range(10)]) * model.sampling
    power = model.nsb_rate * (1 + model.spe_sigma**2) * model.pulse_step
    assert waveforms.mean() == pytest.approx(0, abs=0.01 * float(waveforms.std()))
    variance = power * np.sum(model.pulse**2) + model.noise**2
    assert waveforms.var() == pytest.approx(variance, rel=0.02)
    time = np.arange(model.pulse.size) * model.pulse_step
    for lag in (1, 2):
        later = np.interp(time - lag / model.sampling, time, model.pulse, left=0)
        expected = power * np.sum(later * model.pulse)
        found = np.mean(waveforms[..., lag:] * waveforms[..., :-lag])
        assert found == pytest.approx(expected, abs=0.02 * variance)


@every_type
def test_noise_repeats_itself_as_little_as_explicit_photoelectrons(cameras, name):
    rng = np.random.default_rng(14)
    first, second = (cameras[name].noise(rng)[:1000] for _ in range(2))
    explicit = explicit_waveforms(cameras[name].model, 2000, rng)

    def alike(one, other):
        """Correlations of each waveform with each other."""
        return np.corrcoef(one, other)[: len(one), len(one) :].ravel()

    expected = alike(explicit[:1000], explicit[1000:])
    for found in (alike(first, second), alike(first[:500], first[500:])):
        assert found.mean() == pytest.approx(0, abs=0.01)
        np.testing.assert_allclose(
            np.quantile(found, [1e-3, 0.5, 0.999, 0.9999]),
            np.quantile(expected, [1e-3, 0.5, 0.999, 0.9999]),
            atol=0.03,
        )


@every_type
def test_no_light_no_readout(cameras, name):
    nothing = np.empty(0)
    rng = np.random.default_rng(3)
    assert cameras[name].read_out(nothing.astype(np.int16), nothing, 1.0, rng) is None


@every_type
def test_night_sky_alone_stays_below_the_threshold(cameras, name):
    level = cameras[name].noise_level(100, np.random.default_rng(4))
    assert np.median(level) > 0.2 * cameras[name].model.trigger_threshold
    assert level.max() < cameras[name].model.trigger_threshold


@every_type
def test_trigger_sets_in_at_its_threshold(cameras, name):
    camera, rng = cameras[name], np.random.default_rng(5)

    def efficiency(light):
        n_pe = int(light * camera.model.trigger_threshold)
        flashes = [flash(camera.model, n_pe, rng) for _ in range(40)]
        return np.mean([camera.digitise(*each, 1.0, rng) is not None for each in flashes])

    # The window of the trigger holds 70 to 90 % of a pulse.
    assert efficiency(0.7) < 0.1
    assert 0.1 < efficiency(1.4) < 1
    assert efficiency(2.0) > 0.97


@every_type
def test_light_that_is_not_followed_would_not_trigger(cameras, name, monkeypatch):
    monkeypatch.setattr(electronics, "MARGIN", np.inf)
    thorough = CameraElectronics(cameras[name].model)
    rng = np.random.default_rng(6)
    n_pe = int(cameras[name]._circuit.floor)
    assert n_pe > 10
    triggers = 0
    for _ in range(1000):
        light = flash(cameras[name].model, n_pe, rng)
        triggers += thorough.digitise(*light, 1.0, rng) is not None
    assert triggers <= 3


@every_type
def test_trigger_time_is_when_the_light_came(cameras, name):
    camera, rng = cameras[name], np.random.default_rng(7)
    for time in (-300.0, 5000.0):
        light = flash(camera.model, 500, rng, time=time)
        readout = camera.read_out(*light, 1.0, rng)
        assert readout.trigger_time == pytest.approx(time, abs=5 + 1 / camera.model.sampling)


@every_type
def test_first_light_triggers_and_other_light_is_not_in_the_window(cameras, name):
    camera, rng = cameras[name], np.random.default_rng(8)
    pixel, time = flash(camera.model, 400, rng)
    stray = np.array([3, 4]), np.array([-1500.0, -1000.0])
    late = np.full(300, 50), np.full(300, 2000.0)
    readout = camera.read_out(
        np.concatenate([stray[0], late[0], pixel]),
        np.concatenate([stray[1], late[1], time]),
        1.0,
        rng,
    )
    assert readout.trigger_time == pytest.approx(0, abs=5 + 1 / camera.model.sampling)
    n_pixels = camera.model.description.camera.geometry.n_pixels
    np.testing.assert_array_equal(readout.true_image, np.bincount(pixel, minlength=n_pixels))


@every_type
def test_charges_are_those_of_the_light(cameras, name):
    camera, rng = cameras[name], np.random.default_rng(9)
    readout = camera.read_out(*flash(camera.model, 4000, rng, 37, spread=1.0), 1.0, rng)
    bright = readout.true_image > 50
    assert bright.sum() == 37
    assert readout.true_image.sum() == 4000
    assert readout.image[bright].sum() == pytest.approx(4000, rel=0.1)
    residual = readout.image[bright] - readout.true_image[bright]
    expected = np.hypot(camera.model.spe_sigma * np.sqrt(4000 / 37), 1.5)
    assert residual.std() == pytest.approx(expected, rel=0.5)


@every_type
def test_peak_times_follow_the_light(cameras, name):
    camera, rng = cameras[name], np.random.default_rng(10)
    x, _ = positions(camera.model).T
    pixel, time = flash(camera.model, 8000, rng, 91, spread=0.5)
    readout = camera.read_out(pixel, time + 20 * x[pixel], 1.0, rng)
    bright = readout.true_image > 40
    slope, middle = np.polyfit(x[bright], readout.peak_time[bright], 1)
    assert slope == pytest.approx(20, rel=0.1)
    n_samples, sampling = camera.model.n_samples, camera.model.sampling
    assert 0.15 < middle * sampling / n_samples < 0.45


@every_type
def test_bunches_stand_for_many_photoelectrons(cameras, name):
    camera, rng = cameras[name], np.random.default_rng(11)
    light = flash(camera.model, 2000, rng, 37, spread=1.0)
    single = camera.read_out(*light, 1.0, rng)
    bunched = camera.read_out(*(some[::8] for some in light), 8.0, rng)
    assert bunched.true_image.sum() == single.true_image.sum()
    assert bunched.image.sum() == pytest.approx(single.image.sum(), abs=8 * 1.6 * 1855**0.5)
    assert bunched.image[light[0]].mean() == pytest.approx(single.image[light[0]].mean(), rel=0.1)


def test_readout_depends_on_its_random_numbers_alone(cameras):
    camera = cameras["LST"]
    light = flash(camera.model, 300, np.random.default_rng(12), spread=2.0)

    def read_out(camera, seed):
        return camera.read_out(*light, 1.0, np.random.default_rng(seed))

    first = read_out(camera, 1)
    other = read_out(camera, 2)
    for again in (read_out(camera, 1), read_out(CameraElectronics(camera.model), 1)):
        np.testing.assert_array_equal(again.image, first.image)
        np.testing.assert_array_equal(again.peak_time, first.peak_time)
        assert again.trigger_time == first.trigger_time
    assert not np.any(first.image == other.image)


#: Real files, their cameras, and our models of these.
REAL = [
    ("gamma_lsts_run7_7.0.0", "LSTS-design", "LST"),
    ("gamma_diffuse_run10_6.0.0", "LSTN-design", "LST"),
    ("gamma_diffuse_run10_6.0.0", "MSTx-NectarCam", "MST_NectarCam"),
    ("proton_run202_prod5", "LSTCam", "LST"),
    ("proton_run202_prod5", "FlashCam", "MST_FlashCam"),
]


@pytest.fixture(scope="module")
def real_images(data_dir):
    """All images of a camera in a real file: geometry, charges, peak times, true image."""
    images = {}
    for file in {file for file, _, _ in REAL}:
        with EventSource(data_dir / "dl1_ctapipe" / f"{file}.dl1.h5") as source:
            for event in source:
                for tel_id, dl1 in event.dl1.tel.items():
                    camera = source.subarray.tel[tel_id].camera
                    images.setdefault((file, camera.name), []).append(
                        (
                            camera.geometry,
                            dl1.image,
                            dl1.peak_time,
                            event.simulation.tel[tel_id].true_image,
                        )
                    )
    return images


@pytest.mark.parametrize(("file", "camera", "name"), REAL)
def test_empty_pixels_have_the_charges_of_real_ones(cameras, real_images, file, camera, name):
    real = []
    for geometry, image, _, true_image in real_images[file, camera]:
        lit = true_image > 0
        for _ in range(2):
            lit = lit | (geometry.neighbor_matrix_sparse @ lit)
        real.append(image[~lit])
    real = np.concatenate(real)
    ours = cameras[name].pedestals(5, np.random.default_rng(13))
    assert ours.std() == pytest.approx(real.std(), rel=0.15)
    assert ours.mean() == pytest.approx(real.mean(), abs=0.1)
    np.testing.assert_allclose(
        np.percentile(ours, [5, 50, 95]), np.percentile(real, [5, 50, 95]), atol=0.3
    )


#: Those with enough images that are not too large for light that moves evenly across the camera.
FAINT = [REAL[0], REAL[2], REAL[4]]


@pytest.mark.parametrize(("file", "camera", "name"), FAINT)
def test_real_light_gives_the_charges_of_real_images(cameras, real_images, file, camera, name):
    model = cameras[name].model
    rng = np.random.default_rng(14)
    real, ours, true, silent = [], [], [], 0
    for geometry, image, peak_time, true_image in real_images[file, camera]:
        sure = (true_image >= 5) & (image > 5)
        if sure.sum() < 5 or true_image.sum() > 5000:
            continue
        # Our camera has the same pixels in an order of its own; light moves across it evenly.
        xy = np.column_stack([geometry.pix_x.to_value(u.m), geometry.pix_y.to_value(u.m)])
        _, same = KDTree(positions(model)).query(xy)
        plane = np.column_stack([np.ones(len(xy)), xy])
        motion = np.linalg.lstsq(plane[sure], peak_time[sure], rcond=None)[0]
        pixel = np.repeat(np.arange(len(xy)), true_image)
        time = plane[pixel] @ motion + rng.normal(0, 1, len(pixel))
        readout = cameras[name].read_out(same[pixel], time, 1.0, rng)
        if readout is None:
            silent += 1
            continue
        some = (true_image >= 5) & (true_image <= 50)
        real.append(image[some])
        ours.append(readout.image[same][some])
        true.append(true_image[some])
    assert silent <= len(real) / 5
    real, ours, true = (np.concatenate(each) for each in (real, ours, true))
    assert ours.sum() / true.sum() == pytest.approx(1, abs=0.2)
    assert ours.sum() / real.sum() == pytest.approx(1, abs=0.2)
