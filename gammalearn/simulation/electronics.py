"""Cameras: from the photoelectrons of one telescope to its trigger, charges and peak times.

Each photoelectron, of Cherenkov light or of the night sky, leaves the photomultiplier with a jitter
in time and a fluctuating charge, and the amplifier makes a pulse of it. Pulses add up, with noise, to
waveforms that are sampled. The sum of neighbouring pixels triggers the camera, and charge and peak
time are found in the samples that are kept around the trigger, as ctapipe finds them (see
`extraction`).

Nearly all of the work is in photoelectrons of the night sky: some 20 000 in one readout of an LST.
They are made one by one, but only where somebody looks: first in the groups of pixels whose light
may trigger, then, for a camera that has triggered, in its whole window.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from scipy.stats import gamma, norm

from .extraction import FlashCamExtraction, extraction
from .telescopes import TelescopeModel

__all__ = ["CameraElectronics", "Readout"]

#: Positions within a sample for which pulses are tabulated.
PHASES = 32

#: Random charges and noises are drawn from this many equally probable values: 12 bits.
QUANTILES = 4096

#: Part of the charge of a pulse that may be lost at the end of its table.
TAIL = 1e-3

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
    """

    image: np.ndarray
    peak_time: np.ndarray
    true_image: np.ndarray
    trigger_time: float


class CameraElectronics:
    """The electronics of the cameras of one type of telescope.

    The trigger compares the sum of the waveforms of a pixel and of the rings of pixels around it,
    within a short time, with a threshold. Cameras that ctapipe reads with `FlashCamExtractor`
    trigger on waveforms freed of their tails, as the extractor has them. The night sky adds to
    signals and may push them over the threshold; it does not trigger by itself: see `noise_level`.

    Parameters
    ----------
    model : TelescopeModel
    """

    def __init__(self, model: TelescopeModel):
        self.model = model
        self.extract = extraction(model.description, model.window_width, model.window_shift)
        self._step = 1.0 / model.sampling

        # Row: position of the photoelectron within its sample. Column: the samples that follow.
        n_taps = int(np.ceil(model.pulse.size * model.pulse_step * model.sampling))
        after = np.arange(1, n_taps + 1) - (np.arange(PHASES)[:, np.newaxis] + 0.5) / PHASES
        known = np.arange(model.pulse.size) * model.pulse_step
        pulses = np.interp(after * self._step, known, model.pulse, right=0.0) * self._step
        rest = 1.0 - np.cumsum(pulses.mean(axis=0))
        pulses = pulses[:, : np.flatnonzero(np.abs(rest) > TAIL)[-1] + 2]

        trigger_filter = np.ones(max(1, round(model.trigger_window * model.sampling)))
        if isinstance(self.extract, FlashCamExtraction):
            pole_zero = self.extract.pole_zero
            trigger_filter = np.convolve(trigger_filter, [1.0, -pole_zero]) / (1.0 - pole_zero)
        response = np.array([np.convolve(pulse, trigger_filter) for pulse in pulses])
        groups = _groups(model.description.camera.geometry, model.trigger_neighbours)

        noise = model.noise / model.sampling
        nsb = model.nsb_rate / model.sampling
        fluctuation = 1.0 + model.spe_sigma**2
        variance = groups.shape[1] * (
            nsb * fluctuation * np.mean(np.sum(response**2, axis=1))
            + noise**2 * np.sum(trigger_filter**2)
        )
        variance += model.trigger_threshold * model.spe_sigma**2
        floor = (model.trigger_threshold - MARGIN * np.sqrt(variance)) / response.max()

        lead = max(model.trigger_sample, trigger_filter.size - 1)
        self._circuit = _Circuit(
            groups=groups,
            pulses=pulses.astype(np.float32),
            peak=int(np.argmax(pulses.mean(axis=0))) + 1,
            charges=_quantiles(gamma(model.spe_sigma**-2, scale=model.spe_sigma**2), 1.0),
            normals=_quantiles(norm(), 0.0),
            noise=noise,
            nsb=nsb,
            baseline=nsb * pulses.mean(axis=0).sum(),
            filter=trigger_filter.astype(np.float32),
            threshold=model.trigger_threshold,
            floor=max(floor, 1.0),
            lead=lead,
            trigger_sample=model.trigger_sample,
            n_samples=model.n_samples,
        )
        self._latency = 1.0 + np.argmax(response.mean(axis=0)) - 0.5
        self._spread = model.transit_time_spread / self._step
        n_search = int(np.ceil(SEARCH * model.sampling))
        length = lead + n_search + model.n_samples - model.trigger_sample
        self._signal = np.empty((groups.shape[0], length), np.float32)

    def read_out(self, pixel, time, weight, rng) -> Readout | None:
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
        return Readout(image, peak_time, true_image, trigger_time)

    def digitise(self, pixel, time, weight, rng):
        """Waveforms, true image and trigger time of a telescope if it triggers; as `read_out`.

        Returns
        -------
        waveforms : ndarray of float32, shape (n_pixels, n_samples)
            In p.e. per sample, the mean of the night sky subtracted.
        true_image : ndarray of int32, shape (n_pixels,)
        trigger_time : float
            Or None, instead of all three.
        """
        if len(pixel) * weight < self._circuit.floor:
            return None
        time = np.asarray(time, dtype=np.float64)
        origin = time.min()
        found, sample, waveforms, true_image = _digitise(
            self._circuit,
            np.asarray(pixel, dtype=np.int32),
            time,
            origin,
            self._step,
            self._spread,
            float(weight),
            self._signal,
            rng,
        )
        if not found:
            return None
        return waveforms, true_image, origin + (sample - self._latency) * self._step

    def noise(self, rng) -> np.ndarray:
        """Waveforms of one readout window without light, float32 (n_pixels, n_samples)."""
        return _noise(self._circuit, self.model.n_samples, rng)

    def pedestals(self, n: int, rng) -> np.ndarray:
        """Charges of `n` readouts without light, float32 of shape (n, n_pixels)."""
        return np.stack([self.extract(self.noise(rng))[0] for _ in range(n)])

    def noise_level(self, n: int, rng) -> np.ndarray:
        """Largest sum of any group of pixels in `n` readout windows without light.

        In p.e., shape (n,): the part of them above the trigger's threshold is the probability
        that the night sky triggers the camera within a readout window.
        """
        return np.array([_noise_level(self._circuit, self.noise(rng)) for _ in range(n)])


class _Circuit(NamedTuple):
    """The electronics as the compiled functions need them. Times are in samples.

    groups (n_pixels, n_group): pixels that the trigger sums with each pixel, itself included, padded
    with -1; pulses (PHASES, n_taps): p.e. per sample in the samples after a photoelectron; peak: how
    many samples after it its pulse is highest; charges (QUANTILES,): of one photoelectron; normals
    (QUANTILES,); noise: p.e.; nsb: photoelectrons per sample; baseline: what they add to each
    sample; filter: weights of the present sample and of those before in the trigger's sum;
    threshold: of this sum; floor: photoelectrons of light in a group below which it cannot trigger;
    lead: samples that are kept ready before the first that may trigger.
    """

    groups: np.ndarray
    pulses: np.ndarray
    peak: int
    charges: np.ndarray
    normals: np.ndarray
    noise: float
    nsb: float
    baseline: float
    filter: np.ndarray
    threshold: float
    floor: float
    lead: int
    trigger_sample: int
    n_samples: int


def _groups(geometry, rings):
    """Each pixel with the `rings` of pixels around it, int32 (n_pixels, n_group), padded with -1."""
    near = geometry.neighbor_matrix | np.eye(geometry.n_pixels, dtype=bool)
    reach = near
    for _ in range(rings - 1):
        reach = reach @ near
    groups = np.full((geometry.n_pixels, reach.sum(axis=1).max()), -1, dtype=np.int32)
    for group, members in zip(groups, reach, strict=True):
        pixels = np.flatnonzero(members)
        group[: pixels.size] = pixels
    return groups


def _quantiles(distribution, mean):
    """Equally probable values of a distribution, with its standard deviation and the given mean."""
    values = distribution.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES)
    values = (values - values.mean()) * (distribution.std() / values.std()) + mean
    return values.astype(np.float32)


@njit(cache=True, error_model="numpy")
def _add_pulse(wave, first, pulse, charge):
    """Add a pulse whose first sample is `first`, which may lie outside of `wave`."""
    for j in range(max(0, -first), min(pulse.size, wave.size - first)):
        wave[first + j] += charge * pulse[j]


@njit(cache=True, error_model="numpy")
def _add_noise(c, wave, buffer, rng):
    """Add night sky and electronic noise to the waveform of one pixel.

    `buffer` has room for the waveform and a pulse on both sides; its content is of no concern.
    """
    n_taps = c.pulses.shape[1]
    n = wave.size
    buffer[: n + 2 * n_taps] = -c.baseline
    # Pulses that begin before the waveform reach into it as well.
    places = n + n_taps
    for _ in range(rng.poisson(c.nsb * places)):
        # One random number of 53 bits gives the sample, the phase and the charge.
        u = rng.random() * (places * PHASES)
        cell = int(u)
        charge = c.charges[int((u - cell) * QUANTILES)]
        pulse = c.pulses[cell % PHASES]
        first = cell // PHASES
        for j in range(n_taps):
            buffer[first + j] += charge * pulse[j]
    for i in range(n):
        if i % 4 == 0:
            u = rng.random()
        u *= QUANTILES
        k = int(u)
        u -= k
        wave[i] += buffer[n_taps + i] + c.noise * c.normals[k]


@njit(cache=True, error_model="numpy")
def _noise(c, n_samples, rng):
    waves = np.zeros((c.groups.shape[0], n_samples), np.float32)
    buffer = np.empty(n_samples + 2 * c.pulses.shape[1], np.float32)
    for wave in waves:
        _add_noise(c, wave, buffer, rng)
    return waves


@njit(cache=True, error_model="numpy")
def _noise_level(c, waves):
    highest = -np.inf
    total = np.empty(waves.shape[1])
    for group in c.groups:
        total[:] = 0.0
        for pixel in group:
            if pixel >= 0:
                total += waves[pixel]
        for i in range(c.filter.size - 1, total.size):
            level = 0.0
            for j in range(c.filter.size):
                level += c.filter[j] * total[i - j]
            highest = max(highest, level)
    return highest


@njit(cache=True, error_model="numpy")
def _group_level(c, group, waves, i):
    """The trigger's sum for one group of pixels at sample i of the waveforms."""
    level = 0.0
    for pixel in group:
        if pixel < 0:
            break
        for j in range(c.filter.size):
            level += c.filter[j] * waves[pixel, i - j]
    return level


@njit(cache=True, error_model="numpy")
def _sort_by_sample(sample):
    """Counting sort: order of the entries, and where those of each sample begin in it."""
    first = np.zeros(sample.max() + 2, np.int64)
    for s in sample:
        first[s + 1] += 1
    for s in range(1, first.size):
        first[s] += first[s - 1]
    order = np.empty(sample.size, np.int64)
    place = first[:-1].copy()
    for k in range(sample.size):
        order[place[sample[k]]] = k
        place[sample[k]] += 1
    return order, first


@njit(cache=True, error_model="numpy")
def _digitise(c, pixel, time, origin, step, spread, weight, waves, rng):
    """Find the first sample that triggers and the waveforms around it.

    Samples are counted from the one at `origin`, or rather from a random phase of the sampling clock
    around it.

    Returns
    -------
    found : bool
    sample : float
        Time of the trigger, in samples after `origin`.
    waveforms : ndarray of float32 (n_pixels, n_samples)
    true_image : ndarray of int32 (n_pixels,)
    """
    n_pixels = c.groups.shape[0]
    n_taps = c.pulses.shape[1]
    length = waves.shape[1]

    # The jitter of the photomultipliers, at most 4 standard deviations, must not lead before zero.
    shift = rng.random() + 4.0 * spread
    sample = np.empty(pixel.size, np.int64)
    phase = np.empty(pixel.size, np.int64)
    for k in range(pixel.size):
        jitter = spread * c.normals[int(rng.random() * QUANTILES)]
        place = max((time[k] - origin) / step + shift + jitter, 0.0)
        sample[k] = int(place)
        phase[k] = int((place - sample[k]) * PHASES)
    order, first = _sort_by_sample(sample)
    n_lit = first.size - 1

    # Photoelectrons in each group that may still be felt, and the groups in which they are many.
    duration = n_taps + c.filter.size
    enough = int(np.ceil(c.floor / weight))
    light = np.zeros(n_pixels, np.int64)
    active = np.empty(n_pixels, np.int64)
    n_active = 0

    # Waveforms are ready from sample `base` on: Cherenkov light in all pixels, noise where `noisy`.
    base = -length
    noisy = np.zeros(n_pixels, np.bool_)
    buffer = np.empty(length + 2 * n_taps, np.float32)

    trigger = -1
    for now in range(n_lit + duration):
        if now < n_lit:
            for k in range(first[now], first[now + 1]):
                for group in c.groups[pixel[order[k]]]:
                    if group < 0:
                        break
                    light[group] += 1
                    if light[group] == enough:
                        active[n_active] = group
                        n_active += 1
        past = now - duration
        if past >= 0:
            for k in range(first[past], first[past + 1]):
                for group in c.groups[pixel[order[k]]]:
                    if group < 0:
                        break
                    light[group] -= 1

        i = 0
        while i < n_active:
            group = active[i]
            if light[group] < enough:
                n_active -= 1
                active[i] = active[n_active]
                continue
            i += 1
            if now - base >= length - (c.n_samples - c.trigger_sample):
                base = now - c.lead
                noisy[:] = False
                waves[:] = 0.0
                for k in range(
                    first[max(0, min(base - n_taps, n_lit))], first[min(base + length, n_lit)]
                ):
                    entry = order[k]
                    charge = c.charges[int(rng.random() * QUANTILES)]
                    # A bunch fluctuates as the sum of its photoelectrons.
                    charge = weight * (1.0 + (charge - 1.0) / np.sqrt(weight))
                    _add_pulse(
                        waves[pixel[entry]],
                        sample[entry] + 1 - base,
                        c.pulses[phase[entry]],
                        np.float32(charge),
                    )
            for member in c.groups[group]:
                if member >= 0 and not noisy[member]:
                    noisy[member] = True
                    _add_noise(c, waves[member], buffer, rng)
            if _group_level(c, c.groups[group], waves, now - base) >= c.threshold:
                trigger = now
                break
        if trigger >= 0:
            break

    if trigger < 0:
        return False, 0.0, np.empty((0, 0), np.float32), np.empty(0, np.int32)

    start = trigger - c.trigger_sample
    waveforms = np.empty((n_pixels, c.n_samples), np.float32)
    for p in range(n_pixels):
        waveform = waveforms[p]
        waveform[:] = waves[p, start - base : start - base + c.n_samples]
        if not noisy[p]:
            _add_noise(c, waveform, buffer, rng)
    count = np.zeros(n_pixels, np.int64)
    begin = max(0, min(start - c.peak, n_lit))
    end = max(0, min(start - c.peak + c.n_samples, n_lit))
    for k in range(first[begin], first[end]):
        count[pixel[order[k]]] += 1
    true_image = np.empty(n_pixels, np.int32)
    for p in range(n_pixels):
        true_image[p] = np.rint(weight * count[p])
    return True, trigger - shift, waveforms, true_image
