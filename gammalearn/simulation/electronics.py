"""Cameras: from the photoelectrons of one telescope to its trigger, charges and peak times.

Each photoelectron, of Cherenkov light or of the night sky, leaves the photomultiplier with a
jitter in time and a fluctuating charge, and the amplifier makes a pulse of it. Pulses add up, with
noise, to waveforms that are sampled. The sum of neighbouring pixels triggers the camera, and charge
and peak time are found in the samples that are kept around the trigger, as ctapipe finds them (see
`extraction`).

The night sky makes some 20 000 photoelectrons in one readout of an LST. They are not made one by
one: each waveform is the sum of two pieces, taken anywhere, of a long record of half the night sky
and noise. As two halves of a Poisson process make a whole one, such sums have its distribution, and
there are 10^11 of them. They are made only where somebody looks: first in the groups of pixels
whose light may trigger, then, for a camera that has triggered, in its whole window.
"""

from dataclasses import dataclass

import numpy as np
from ctapipe.instrument import CameraGeometry
from scipy.sparse import eye_array
from scipy.stats import gamma
from scipy.stats.distributions import rv_frozen

from .block import digits
from .circuit import (
    PHASES,
    QUANTILES,
    RECORD,
    Circuit,
    add_noise_everywhere,
    find_trigger,
    noise_level,
    read_window,
)
from .extraction import FlashCamExtraction, extraction
from .telescopes import TelescopeModel

__all__ = ["CameraElectronics", "PixelState", "Readout"]

#: Part of the charge of a pulse that may be lost at each end of its table.
TAIL = 2e-3

#: Time (ns) for which the signals of a group of pixels are followed at once in search of a trigger.
SEARCH = 24.0

#: Light that cannot trigger is this many standard deviations of a group's sum below the threshold.
MARGIN = 4.0


@dataclass(frozen=True, eq=False)
class Readout:
    """What a telescope that has triggered keeps.

    Parameters
    ----------
    image : ndarray of float32, shape (n_pixels,)
        Charge in p.e.
    peak_time : ndarray of float32, shape (n_pixels,)
        In ns from the first sample of the readout window.
    true_image : ndarray of int32, shape (n_pixels,)
        Photoelectrons of Cherenkov light with their peak inside the readout window.
    trigger_time : float
        When the light came that triggered, in ns of the clock of the photoelectrons.
    waveform : ndarray of float32, shape (n_pixels, n_samples), optional
        In p.e. per sample, in the digits that carry information.
    """

    image: np.ndarray
    peak_time: np.ndarray
    true_image: np.ndarray
    trigger_time: float
    waveform: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class PixelState:
    """What is wrong with the pixels of a camera.

    Parameters
    ----------
    dead : ndarray of bool, shape (n_pixels,)
        Pixels without any signal, for the trigger as well as in the image.
    gain : ndarray of float32, shape (n_pixels,)
        What the calibration makes of a charge of 1 p.e.: 1 where it is right. The trigger has a
        calibration of its own.
    """

    dead: np.ndarray
    gain: np.ndarray


class CameraElectronics:
    """The electronics of the cameras of one type of telescope.

    The trigger compares the sum of the waveforms of a pixel and of the rings of pixels around it,
    within a short time, with a threshold. Cameras that ctapipe reads with `FlashCamExtractor`
    trigger on waveforms freed of their tails, as the extractor has them. The night sky adds to
    signals and may push them over the threshold; it does not trigger by itself: see `noise_level`.

    Parameters
    ----------
    model : TelescopeModel
    pixels : PixelState, optional
        By default all pixels work.
    waveforms : bool
        Whether readouts keep their waveforms.
    """

    def __init__(
        self, model: TelescopeModel, pixels: PixelState | None = None, waveforms: bool = False
    ) -> None:
        self.model = model
        self.pixels = pixels
        self.waveforms = waveforms
        self.extract = extraction(model.description, model.window_width, model.window_shift)
        self._step = 1.0 / model.sampling
        pulses, delay = _pulses(model)
        weights = self._trigger_weights()
        response = np.array([np.convolve(pulse, weights) for pulse in pulses])
        groups = _groups(model.description.camera.geometry, model.trigger_neighbours)
        nsb = model.nsb_rate * self._step
        noise = model.noise * self._step
        charges = _quantiles(gamma(model.spe_sigma**-2, scale=model.spe_sigma**2), 1.0)

        n_search = int(np.ceil(SEARCH * model.sampling))
        lead = max(model.trigger_sample, weights.size - 1)
        length = lead + n_search + model.n_samples - model.trigger_sample
        record, unit = _record(nsb, noise, pulses, charges, length)

        # The variance of a group's sum is that of the night sky (Campbell), of the noise, and of
        # as much light as comes to the threshold.
        variance = groups.shape[1] * (
            nsb * (1.0 + model.spe_sigma**2) * np.mean(np.sum(response**2, axis=1))
            + noise**2 * np.sum(weights**2)
        )
        variance += model.trigger_threshold * model.spe_sigma**2
        floor = (model.trigger_threshold - MARGIN * np.sqrt(variance)) / response.max()

        self._circuit = Circuit(
            groups=groups,
            dead=np.zeros(len(groups), np.bool_) if pixels is None else pixels.dead,
            pulses=pulses,
            delay=delay,
            peak=delay + int(np.argmax(pulses.mean(axis=0))),
            charges=charges,
            record=record,
            unit=unit,
            weights=weights.astype(np.float32),
            threshold=model.trigger_threshold,
            floor=max(float(floor), 1.0),
            lead=lead,
            trigger_sample=model.trigger_sample,
            n_samples=model.n_samples,
        )
        self._latency = delay - 0.5 + np.argmax(response.mean(axis=0))
        # Room to work in.
        self._waves = np.empty((groups.shape[0], length), np.float32)
        self._noisy = np.empty(groups.shape[0], np.bool_)
        self._window = np.empty((groups.shape[0], model.n_samples), np.float32)

    def _trigger_weights(self) -> np.ndarray:
        """Weights of the present sample and of those before it in the trigger's sum."""
        weights = np.ones(max(1, round(self.model.trigger_window * self.model.sampling)))
        if isinstance(self.extract, FlashCamExtraction):
            pole_zero = self.extract.pole_zero
            weights = np.convolve(weights, [1.0, -pole_zero]) / (1.0 - pole_zero)
        return weights

    def read_out(
        self, pixel: np.ndarray, time: np.ndarray, weight: float, rng: np.random.Generator
    ) -> Readout | None:
        """Read a telescope out if it triggers.

        Parameters
        ----------
        pixel : ndarray of int, shape (n_pe,)
            Where each photoelectron of Cherenkov light is.
        time : ndarray of float, shape (n_pe,)
            When, in ns of any clock.
        weight : float
            Photoelectrons that each entry stands for.
        rng : numpy.random.Generator

        Returns
        -------
        Readout or None
            None where the telescope does not trigger.
        """
        digitised = self.digitise(pixel, time, weight, rng)
        if digitised is None:
            return None
        waveforms, true_image, trigger_time = digitised
        image, peak_time = self.extract(waveforms)
        kept = digits(waveforms) if self.waveforms else None
        return Readout(image, peak_time, true_image, trigger_time, kept)

    def digitise(
        self, pixel: np.ndarray, time: np.ndarray, weight: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, float] | None:
        """Waveforms, true image and trigger time of a telescope if it triggers; as `read_out`.

        Returns
        -------
        waveforms : ndarray of float32, shape (n_pixels, n_samples)
            In p.e. per sample, the mean of the night sky subtracted; overwritten by the next.
        true_image : ndarray of int32, shape (n_pixels,)
        trigger_time : float
            Or None, instead of all three.
        """
        if self.pixels is not None:
            works = ~self.pixels.dead[pixel]
            pixel, time = pixel[works], time[works]
        if len(pixel) * weight < self._circuit.floor:
            return None
        # The clock of the samples runs freely, and photomultipliers take their time.
        time = time + self.model.transit_time_spread * rng.standard_normal(len(pixel))
        origin = time.min() - rng.random() * self._step
        place = (time - origin) / self._step
        pixel = np.asarray(pixel, dtype=np.int32)
        trigger, base, key = find_trigger(
            self._circuit, pixel, place, float(weight), self._waves, self._noisy, _key(rng)
        )
        if trigger < 0:
            return None
        true_image = read_window(
            self._circuit,
            pixel,
            place,
            float(weight),
            self._waves,
            self._noisy,
            trigger,
            base,
            np.uint64(key),
            self._window,
        )
        self._miscalibrate(self._window)
        return self._window, true_image, origin + (trigger - self._latency) * self._step

    def _miscalibrate(self, waveforms: np.ndarray) -> None:
        """Change waveforms, in place, to what a wrong calibration makes of them."""
        if self.pixels is not None:
            waveforms *= self.pixels.gain[:, np.newaxis]

    def noise(self, rng: np.random.Generator) -> np.ndarray:
        """Waveforms of one readout window without light, float32 (n_pixels, n_samples)."""
        waveforms = np.zeros((len(self._noisy), self.model.n_samples), np.float32)
        add_noise_everywhere(self._circuit.record, self._circuit.unit, waveforms, _key(rng))
        waveforms[self._circuit.dead] = 0.0
        self._miscalibrate(waveforms)
        return waveforms

    def pedestal(self, rng: np.random.Generator) -> Readout:
        """Read the telescope out without a trigger and without light: night sky and noise."""
        image, peak_time = self.extract(self.noise(rng))
        dark = np.zeros(len(image), np.int32)
        return Readout(image, peak_time, dark, trigger_time=0.0)

    def pedestals(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Charges of `n` readouts without light, float32 of shape (n, n_pixels)."""
        return np.stack([self.extract(self.noise(rng))[0] for _ in range(n)])

    def noise_level(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Largest sum of any group of pixels in `n` readout windows without light.

        In p.e., shape (n,): the part of them above the trigger's threshold is the probability
        that the night sky triggers the camera within a readout window. The largest of 16 000 were
        24 p.e. for the LST, 17 for NectarCam and 24 for FlashCam, far below their thresholds.
        """
        return np.array([noise_level(self._circuit, self.noise(rng)) for _ in range(n)])


def _pulses(model: TelescopeModel) -> tuple[np.ndarray, int]:
    """Samples of the pulse of a photoelectron, and how many samples after it they begin.

    Returns
    -------
    pulses : ndarray of float32, shape (PHASES, n_taps)
        In p.e. per sample; a row for each position of the photoelectron within its sample.
    delay : int
    """
    n_taps = int(np.ceil(model.pulse.size * model.pulse_step * model.sampling))
    after = np.arange(1, n_taps + 1) - (np.arange(PHASES)[:, np.newaxis] + 0.5) / PHASES
    known = np.arange(model.pulse.size) * model.pulse_step
    pulses = np.interp(after / model.sampling, known, model.pulse, right=0.0) / model.sampling
    begin, end = np.searchsorted(np.cumsum(pulses.mean(axis=0)), [TAIL, 1.0 - TAIL])
    return pulses[:, begin : end + 1].astype(np.float32), int(begin) + 1


def _groups(geometry: CameraGeometry, rings: int) -> np.ndarray:
    """Each pixel with the `rings` around it, int32 (n_pixels, n_group), padded with -1."""
    # Sparse, as a product of full matrices of 1855 pixels takes seconds.
    near = geometry.neighbor_matrix_sparse.astype(np.int32) + eye_array(
        geometry.n_pixels, dtype=np.int32, format="csr"
    )
    reach = near
    for _ in range(rings - 1):
        reach = reach @ near
    members = np.split(reach.indices, reach.indptr[1:-1])
    groups = np.full((geometry.n_pixels, max(map(len, members))), -1, dtype=np.int32)
    for group, pixels in zip(groups, members, strict=True):
        group[: pixels.size] = np.sort(pixels)
    return groups


def _quantiles(distribution: rv_frozen, mean: float) -> np.ndarray:
    """Equally probable values of a distribution, with its standard deviation and the given mean."""
    values = distribution.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    values = (values - values.mean()) * (distribution.std() / values.std()) + mean
    return values.astype(np.float32)


def _record(
    nsb: float, noise: float, pulses: np.ndarray, charges: np.ndarray, room: int
) -> tuple[np.ndarray, np.float32]:
    """Samples of half the night sky and half the (variance of the) noise, the same each time.

    Parameters
    ----------
    nsb : float
        Photoelectrons of the night sky per sample.
    noise : float
        In p.e. per sample.
    pulses, charges : ndarray
        As in `Circuit`.
    room : int
        Samples that a piece from anywhere in it may have.

    Returns
    -------
    record : ndarray of int16, shape (RECORD + room,)
        Twice as many samples fit into a cache as of float32.
    unit : float32
        In p.e. per sample.
    """
    rng = np.random.default_rng(1)
    n_pe = rng.poisson(0.5 * nsb * RECORD)
    sample = rng.integers(RECORD, size=n_pe)
    pulse = pulses[rng.integers(PHASES, size=n_pe)] * rng.choice(charges, (n_pe, 1))
    record = np.sqrt(0.5) * noise * rng.standard_normal(RECORD)
    for tap in range(pulses.shape[1]):
        record += np.bincount((sample + tap) % RECORD, pulse[:, tap], RECORD)
    record -= record.mean()
    unit = np.float32(np.abs(record).max() / np.iinfo(np.int16).max)
    return np.rint(np.append(record, record[:room]) / unit).astype(np.int16), unit


def _key(rng: np.random.Generator) -> np.uint64:
    """Key of the random numbers of one readout."""
    return np.uint64(rng.integers(2**63))
