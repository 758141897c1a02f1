"""Charge and peak time of each pixel from its waveform, as ctapipe's image extractors find them.

Two of them are in use for these cameras: `NeighborPeakWindowSum`, its default, and
`FlashCamExtractor` for FlashCam. The classes here do the same arithmetic in one compiled pass, with the
parameters, calibrations and defaults of ctapipe itself.
"""

import numpy as np
from ctapipe.image.extractor import deconvolution_parameters, integration_correction
from ctapipe.instrument import TelescopeDescription
from numba import njit
from scipy.stats import norm

__all__ = ["FlashCamExtraction", "NeighborPeakExtraction", "extraction"]

# Defaults of ctapipe's FlashCamExtractor.
UPSAMPLING = 4  # finer samples per sample
CLIPPING = 5.0  # p.e. per sample, level of the soft clipping in the sum of the neighbours
DESCEND = 0.05  # fraction of the peak down to which the leading edge's centroid reaches
TIME_PROFILE = 2.0  # ns, standard deviation of the Cherenkov light in time that the gain assumes


def extraction(description: TelescopeDescription, window_width: int, window_shift: int):
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

    def __init__(self, description, window_width, window_shift):
        self.camera = description.camera
        neighbors = self.camera.geometry.neighbor_matrix_sparse
        self._indices = neighbors.indices.astype(np.int32)
        self._first = neighbors.indptr.astype(np.int32)
        self._width = window_width
        self._shift = window_shift
        self._sampling = self.camera.readout.sampling_rate.to_value("GHz")


class NeighborPeakExtraction(_Extraction):
    """Sum of the window around the peak of the sum of the neighbours' waveforms.

    Follows `ctapipe.image.extractor.NeighborPeakWindowSum`: the peak is that of the neighbours alone,
    the time the mean of the positive samples of the window weighted with their amplitude, the charge
    is corrected for what the window misses of the reference pulse.
    """

    def __init__(self, description, window_width, window_shift):
        super().__init__(description, window_width, window_shift)
        readout = self.camera.readout
        self._correction = integration_correction(
            readout.reference_pulse_shape,
            readout.reference_pulse_sample_width.to_value("ns"),
            1 / self._sampling,
            window_width,
            window_shift,
        )[0]

    def __call__(self, waveforms):
        return _neighbor_peak(
            waveforms,
            self._indices,
            self._first,
            self._width,
            self._shift,
            self._sampling,
            self._correction,
        )


class FlashCamExtraction(_Extraction):
    """Charge of the deconvolved pulse, time of its leading edge.

    Follows `ctapipe.image.extractor.FlashCamExtractor`: the exponential tail of the pulse is removed
    (each sample less a constant times the one before), the result upsampled; the peak is that of the
    sum of the neighbours, each softly clipped, the charge the sum of a window around it. The time is
    the centroid of the upsampled difference of successive samples around its peak.
    """

    def __init__(self, description, window_width, window_shift):
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
        self._weights = _upsampling_weights(UPSAMPLING)

    def __call__(self, waveforms):
        return _leading_edge(
            waveforms,
            self._indices,
            self._first,
            self._width,
            self._shift,
            self._sampling * UPSAMPLING,
            self.pole_zero,
            self._weights,
            CLIPPING,
            self._lead,
            DESCEND,
            self._gain,
            self._time_shift,
        )


def _upsampling_weights(n):
    """What each of `n` finer samples takes from the samples before, at and after it, shape (n, 3).

    Repeating each sample n times and smoothing twice with a mean of n, once forwards, once backwards,
    is a triangle of 2n - 1 repeated samples.
    """
    weights = np.zeros((n, 3))
    for fine in range(n):
        for offset in range(1 - n, n):
            weights[fine, 1 + (fine + offset) // n] += (n - abs(offset)) / n**2
    return weights


@njit(cache=True, error_model="numpy")
def _peak_of_neighbours(waveforms, indices, first, pixel, total):
    """Sample of the maximum of the neighbours' sum; `total` (n_samples,) is overwritten.

    In double precision and in the order of the neighbours, as ctapipe does, so that ties agree.
    """
    total[:] = 0.0
    for k in range(first[pixel], first[pixel + 1]):
        neighbour = waveforms[indices[k]]
        for i in range(total.size):
            total[i] += neighbour[i]
    peak = 0
    for i in range(1, total.size):
        if total[i] > total[peak]:
            peak = i
    return peak


@njit(cache=True, error_model="numpy")
def _neighbor_peak(waveforms, indices, first, width, shift, sampling, correction):
    n_pixels, n_samples = waveforms.shape
    image = np.empty(n_pixels, np.float32)
    peak_time = np.empty(n_pixels, np.float32)
    total = np.empty(n_samples)
    for pixel in range(n_pixels):
        peak = _peak_of_neighbours(waveforms, indices, first, pixel, total)
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


@njit(cache=True, error_model="numpy")
def _sharpen(waveform, pole_zero, weights, out):
    """Deconvolved and upsampled waveform; the first sample, of which no one knows the past, is 0."""
    n_samples = waveform.size
    n = weights.shape[0]
    before = 0.0
    here = 0.0
    for i in range(n_samples):
        after = here
        if i + 1 < n_samples:
            after = waveform[i + 1] - pole_zero * waveform[i]
        for fine in range(n):
            out[i * n + fine] = (
                weights[fine, 0] * before + weights[fine, 1] * here + weights[fine, 2] * after
            )
        before = here
        here = after


@njit(cache=True, error_model="numpy")
def _centroid(waveform, peak, descend):
    """Mean sample around `peak`, down to a fraction `descend` of its amplitude on both sides."""
    amplitude = waveform[peak]
    if amplitude < 0:
        return float(peak)
    limit = descend * amplitude
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
    waveforms,
    indices,
    first,
    width,
    shift,
    sampling,
    pole_zero,
    weights,
    clipping,
    lead,
    descend,
    gain,
    time_shift,
):
    n_pixels, n_samples = waveforms.shape
    n_fine = n_samples * weights.shape[0]
    sharp = np.empty((n_pixels, n_fine))
    clipped = np.empty((n_pixels, n_fine))
    for pixel in range(n_pixels):
        _sharpen(waveforms[pixel], pole_zero, weights, sharp[pixel])
        for i in range(n_fine):
            value = sharp[pixel, i] / clipping
            clipped[pixel, i] = max(value / (1.0 + abs(value)), 0.0)
    image = np.empty(n_pixels, np.float32)
    peak_time = np.empty(n_pixels, np.float32)
    total = np.empty(n_fine)
    edge = np.empty(n_fine)
    for pixel in range(n_pixels):
        peak = _peak_of_neighbours(clipped, indices, first, pixel, total)
        charge = 0.0
        for i in range(max(0, peak - shift), min(peak - shift + width, n_fine)):
            charge += sharp[pixel, i]
        image[pixel] = charge / gain
        _sharpen(waveforms[pixel], 1.0, weights, edge)
        start = min(max(int(np.rint(peak - lead)), 0), n_fine - 1)
        peak_time[pixel] = _centroid(edge, start, descend) / sampling - time_shift
    return image, peak_time
