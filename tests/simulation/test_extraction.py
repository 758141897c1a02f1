"""Charges and peak times against ctapipe's own extractors, on the same waveforms."""

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation
from ctapipe.image.extractor import ImageExtractor
from ctapipe.instrument import SubarrayDescription

from gammalearn.simulation.extraction import FlashCamExtraction, extraction
from gammalearn.simulation.telescopes import telescope_model

#: What ctapipe-process is told to use for each camera.
EXTRACTORS = {
    "LST": "NeighborPeakWindowSum",
    "MST_NectarCam": "NeighborPeakWindowSum",
    "MST_FlashCam": "FlashCamExtractor",
}


def ctapipe_extractor(description, name, **parameters):
    subarray = SubarrayDescription(
        "one",
        tel_positions={1: np.zeros(3) * u.m},
        tel_descriptions={1: description},
        reference_location=EarthLocation(lon=0 * u.deg, lat=0 * u.deg, height=0 * u.m),
    )
    extractor = ImageExtractor.from_name(name, subarray=subarray, **parameters)
    n_pixels = description.camera.geometry.n_pixels

    def extract(waveforms):
        dl1 = extractor(
            waveforms[np.newaxis],
            tel_id=1,
            selected_gain_channel=np.zeros(n_pixels, dtype=int),
            broken_pixels=np.zeros((1, n_pixels), dtype=bool),
        )
        return dl1.image, dl1.peak_time

    return extract


def waveforms_of_everything(model, rng):
    """Noise, pulses of all sizes anywhere in the window, dead pixels, and all that is negative."""
    n_pixels = model.description.camera.geometry.n_pixels
    waveforms = rng.normal(0, 0.3, (n_pixels, model.n_samples))
    peak = rng.integers(-2, model.n_samples + 2, (n_pixels, 1))
    size = 10 ** rng.uniform(-1, 3, (n_pixels, 1))
    waveforms += size * np.exp(-0.5 * ((np.arange(model.n_samples) - peak) / 1.3) ** 2)
    waveforms[100:200] = 0
    waveforms[1000:1200] = -np.abs(waveforms[1000:1200])
    return waveforms.astype(np.float32)


@pytest.mark.parametrize(("name", "extractor"), EXTRACTORS.items())
def test_charge_and_peak_time_are_those_of_ctapipe(name, extractor):
    model = telescope_model(name)
    ours = extraction(model.description, model.window_width, model.window_shift)
    theirs = ctapipe_extractor(
        model.description,
        extractor,
        window_width=model.window_width,
        window_shift=model.window_shift,
    )
    waveforms = waveforms_of_everything(model, np.random.default_rng(1))
    image, peak_time = ours(waveforms)
    expected_image, expected_time = theirs(waveforms)
    assert image.dtype == peak_time.dtype == np.float32
    np.testing.assert_allclose(image, expected_image, rtol=1e-6, atol=1e-5)
    np.testing.assert_allclose(peak_time, expected_time, rtol=1e-6, atol=2e-5)


@pytest.mark.parametrize(("width", "shift"), [(5, 2), (12, 4)])
def test_windows_may_be_chosen(width, shift):
    model = telescope_model("LST")
    waveforms = waveforms_of_everything(model, np.random.default_rng(2))
    theirs = ctapipe_extractor(
        model.description, "NeighborPeakWindowSum", window_width=width, window_shift=shift
    )
    for one, other in zip(
        extraction(model.description, width, shift)(waveforms), theirs(waveforms), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("name", EXTRACTORS)
def test_models_have_the_default_windows_of_ctapipe(name):
    model = telescope_model(name)
    assert (model.window_width, model.window_shift) == (7, 3)


def test_flashcam_removes_the_tail_of_its_pulse():
    model = telescope_model("MST_FlashCam")
    kind = extraction(model.description, model.window_width, model.window_shift)
    assert isinstance(kind, FlashCamExtraction)
    # The tail's decay time: what is left of it after one sample.
    step = round(1 / (model.sampling * model.pulse_step))
    tail = model.pulse[-3 * step :: step]
    assert kind.pole_zero == pytest.approx(tail[1] / tail[0], rel=0.02)
