"""Charge and peak time of each pixel from its waveform, as ctapipe's image extractors find them.

Two of them are in use for these cameras: `NeighborPeakWindowSum`, its default, and
`FlashCamExtractor` for FlashCam. The classes here do the same arithmetic in one compiled pass, with
the calibrations and defaults of ctapipe itself.
"""

import numpy as np
from ctapipe.image.extractor import deconvolution_parameters, integration_correction
from ctapipe.instrument import CameraGeometry, TelescopeDescription
from numba import njit
from scipy.stats import norm

__all__ = ["FlashCamExtraction", "NeighborPeakExtraction", "extraction"]

# Defaults of ctapipe's FlashCamExtractor.
UPSAMPLING = 4  # finer samples per sample
CLIPPING = 5.0  # p.e. per sample, level of the soft clipping in the sum of the neighbours
DESCEND = 0.05  # fraction of the peak down to which the leading edge's centroid reaches
TIME_PROFILE = 2.0  # ns, standard deviation of the Cherenkov light in time that the gain assumes


def extraction(
    description: TelescopeDescription, window_width: int, window_shift: int
) -> "NeighborPeakExtraction | FlashCamExtraction":
    """The extraction that ctapipe-process would be given for a camera.

    Parameters
    ----------
    description : ctapipe.instrument.TelescopeDescription
    window_width, window_shift : int
        Samples of the charge window, and how many of them come before the peak.

    Returns
    -------
    NeighborPeakExtraction or FlashCamExtraction
        Called with waveforms, float32 of shape (n_pixels, n_samples) in p.e. per sample, it returns
        the charges in p.e. and the peak times in ns from the first sample, float32 (n_pixels,).
    """
    is_flashcam = description.camera.name.endswith("FlashCam")
    kind = FlashCamExtraction if is_flashcam else NeighborPeakExtraction
    return kind(description, window_width, window_shift)


class _Extraction:
    """What both kinds know: the window and the neighbours of each pixel."""

    def __init__(
        self, description: TelescopeDescription, window_width: int, window_shift: int
    ) -> None:
        self.camera = description.camera
        self._neighbours = _neighbours(self.camera.geometry)
        self._width = window_width
        self._shift = window_shift
        self._sampling = self.camera.readout.sampling_rate.to_value("GHz")


class NeighborPeakExtraction(_Extraction):
    """Sum of the window around the peak of the sum of the neighbours' waveforms.

    Follows `ctapipe.image.extractor.NeighborPeakWindowSum`: the peak is that of the neighbours
    alone, the time the mean of the positive samples of the window weighted with their amplitude,
    the charge is corrected for what the window misses of the reference pulse.
    """

    def __init__(
        self, description: TelescopeDescription, window_width: int, window_shift: int
    ) -> None:
        super().__init__(description, window_width, window_shift)
        readout = self.camera.readout
        self._correction = integration_correction(
            readout.reference_pulse_shape,
            readout.reference_pulse_sample_width.to_value("ns"),
            1 / self._sampling,
            window_width,
            window_shift,
        )[0]

    def __call__(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _neighbor_peak(
            waveforms,
            self._neighbours,
            self._width,
            self._shift,
            self._sampling,
            self._correction,
        )


class FlashCamExtraction(_Extraction):
    """Charge of the deconvolved pulse, time of its leading edge.

    Follows `ctapipe.image.extractor.FlashCamExtractor`: the exponential tail of the pulse is
    removed (each sample less a constant times the one before), the result upsampled; the peak is
    that of the sum of the neighbours, each softly clipped, the charge the sum of a window around
    it. The time is the centroid of the upsampled difference of successive samples around its peak.
    """

    def __init__(
        self, description: TelescopeDescription, window_width: int, window_shift: int
    ) -> None:
        super().__init__(description, window_width, window_shift)
        pole_zeros, gains, shifts, leads = deconvolution_parameters(
            self.camera,
            UPSAMPLING,
            window_width,
            window_shift,
            True,
            DESCEND,
            norm(0.0, TIME_PROFILE).pdf,
        )
        self.pole_zero = float(pole_zeros[0])
        self._gain, self._time_shift, self._lead = gains[0], shifts[0], leads[0]
        n_fine = self.camera.readout.n_samples * UPSAMPLING
        self._clipped = np.empty((self.camera.geometry.n_pixels, n_fine))  # room to work in

    def __call__(self, waveforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return _leading_edge(
            waveforms,
            self._neighbours,
            self._width,
            self._shift,
            self._sampling,
            self.pole_zero,
            self._lead,
            self._gain,
            self._time_shift,
            self._clipped,
        )


def _neighbours(geometry: CameraGeometry) -> np.ndarray:
    """Neighbours of each pixel in ascending order, int32 (n_pixels, 6), padded with -1."""
    sparse = geometry.neighbor_matrix_sparse
    table = np.full((geometry.n_pixels, 6), -1, dtype=np.int32)
    for pixel, row in enumerate(table):
        near = sparse.indices[sparse.indptr[pixel] : sparse.indptr[pixel + 1]]
        row[: near.size] = near
    return table


@njit(cache=True, error_model="numpy", fastmath={"nnan", "nsz"})
def _peaks(waveforms: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Sample of the maximum of the sum of the neighbours' waveforms, (n_pixels,).

    In double precision and in the order of the neighbours, as ctapipe does, so that ties agree.
    Loops without branches use the processor's vector instructions; unsigned indices need no look
    at their sign.
    """
    n_pixels, n_samples = waveforms.shape
    peaks = np.empty(n_pixels, np.int64)
    total = np.empty(n_samples)
    for pixel in range(n_pixels):
        total[:] = 0.0
        for near in neighbours[pixel]:
            if near >= 0:
                for i in range(n_samples):
                    total[i] += waveforms[np.uint64(near), np.uint64(i)]
        top = -np.inf
        for i in range(n_samples):
            top = max(top, total[i])
        peak = n_samples
        for i in range(n_samples):
            peak = min(peak, i if total[i] == top else n_samples)
        peaks[pixel] = peak
    return peaks


@njit(cache=True, error_model="numpy")
def _neighbor_peak(
    waveforms: np.ndarray,
    neighbours: np.ndarray,
    width: int,
    shift: int,
    sampling: float,
    correction: float,
) -> tuple[np.ndarray, np.ndarray]:
    n_pixels, n_samples = waveforms.shape
    image = np.empty(n_pixels, np.float32)
    peak_time = np.empty(n_pixels, np.float32)
    peaks = _peaks(waveforms, neighbours)
    for pixel in range(n_pixels):
        peak = peaks[pixel]
        charge = moment = positive = 0.0
        for i in range(max(0, peak - shift), min(peak - shift + width, n_samples)):
            value = np.float64(waveforms[pixel, i])
            charge += value
            if value > 0:
                moment += value * i
                positive += value
        image[pixel] = charge * correction
        peak_time[pixel] = (moment / positive if positive > 0 else peak) / sampling
    return image, peak_time


def _upsampling_weights(n: int) -> np.ndarray:
    """What each of `n` finer samples takes from the samples before, at and after it, shape (3, n).

    Repeating each sample n times and smoothing twice with a mean of n, once forwards, once
    backwards, is a triangle of 2n - 1 repeated samples.
    """
    weights = np.zeros((3, n))
    for fine in range(n):
        for offset in range(1 - n, n):
            weights[1 + (fine + offset) // n, fine] += (n - abs(offset)) / n**2
    return weights


WEIGHTS = _upsampling_weights(UPSAMPLING)


@njit(cache=True, error_model="numpy")
def _sharpen(waveform: np.ndarray, pole_zero: float, steps: np.ndarray, fine: np.ndarray) -> None:
    """Deconvolve and upsample; the first sample, of which nobody knows the past, becomes 0.

    `steps` has room for the deconvolved samples and one more at each end.
    """
    n_samples = waveform.size
    steps[:2] = 0.0
    for i in range(1, n_samples):
        steps[i + 1] = waveform[i] - pole_zero * waveform[i - 1]
    steps[n_samples + 1] = steps[n_samples]
    for i in range(n_samples):
        for j in range(UPSAMPLING):
            fine[i * UPSAMPLING + j] = (
                WEIGHTS[0, j] * steps[i]
                + WEIGHTS[1, j] * steps[i + 1]
                + WEIGHTS[2, j] * steps[i + 2]
            )


@njit(cache=True, error_model="numpy")
def _centroid(waveform: np.ndarray, peak: int) -> float:
    """Mean sample around `peak`, on both sides down to the fraction DESCEND of its amplitude."""
    amplitude = waveform[peak]
    if amplitude < 0:
        return float(peak)
    limit = DESCEND * amplitude
    total = moment = 0.0
    i = peak
    while i >= 0 and waveform[i] > limit:
        total += waveform[i]
        moment += i * waveform[i]
        i -= 1
    i = peak + 1
    while i < waveform.size and waveform[i] > limit:
        total += waveform[i]
        moment += i * waveform[i]
        i += 1
    return moment / total if total != 0 else float(peak)


@njit(cache=True, error_model="numpy")
def _leading_edge(
    waveforms: np.ndarray,
    neighbours: np.ndarray,
    width: int,
    shift: int,
    sampling: float,
    pole_zero: float,
    lead: float,
    gain: float,
    time_shift: float,
    clipped: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    n_pixels, n_samples = waveforms.shape
    n_fine = n_samples * UPSAMPLING
    steps = np.empty(n_samples + 2)
    sharp = np.empty(n_fine)
    for pixel in range(n_pixels):
        _sharpen(waveforms[pixel], pole_zero, steps, sharp)
        for i in range(n_fine):
            value = max(sharp[i], 0.0)
            clipped[pixel, i] = value / (CLIPPING + value)
    image = np.empty(n_pixels, np.float32)
    peak_time = np.empty(n_pixels, np.float32)
    peaks = _peaks(clipped, neighbours)
    for pixel in range(n_pixels):
        peak = peaks[pixel]
        # Once more: cheaper than to keep it.
        _sharpen(waveforms[pixel], pole_zero, steps, sharp)
        charge = 0.0
        for i in range(max(0, peak - shift), min(peak - shift + width, n_fine)):
            charge += sharp[i]
        image[pixel] = charge / gain
        # The difference of successive samples leaves the leading edge.
        _sharpen(waveforms[pixel], 1.0, steps, sharp)
        start = min(max(int(np.rint(peak - lead)), 0), n_fine - 1)
        peak_time[pixel] = _centroid(sharp, start) / (sampling * UPSAMPLING) - time_shift
    return image, peak_time
