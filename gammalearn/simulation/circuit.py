"""What a camera's electronics do for each readout, compiled: noise, light, trigger, window."""

from typing import NamedTuple

import numpy as np
from numba import njit

__all__ = [
    "PHASES",
    "QUANTILES",
    "RECORD",
    "Circuit",
    "add_noise_everywhere",
    "find_trigger",
    "noise_level",
    "read_window",
]

#: Positions within a sample for which pulses are tabulated.
PHASES = 32

#: Charges of photoelectrons are drawn from this many equally probable values: 12 bits.
QUANTILES = 4096

#: Samples of the record of night sky and noise: 19 bits, 1 MB, as caches hold.
RECORD = 2**19

#: What states of random numbers grow by: 2^64 over the golden ratio.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


class Circuit(NamedTuple):
    """The electronics as the compiled functions need them. Times are in samples.

    groups : (n_pixels, n_group), pixels that the trigger sums with each pixel, itself included,
        padded with -1
    dead : (n_pixels,) of bool, pixels without any signal
    pulses : (PHASES, n_taps), p.e. per sample that a photoelectron leaves
    delay : samples after a photoelectron at which this begins
    peak : samples after a photoelectron at which its pulse is highest
    charges : (QUANTILES,), of one photoelectron
    record : (RECORD + n,) of int16, half of the night sky, less its mean, and of the noise; its
        beginning comes again at the end
    unit : of the record, in p.e. per sample
    weights : of the present sample and of those before in the trigger's sum
    threshold : of this sum, in p.e.
    floor : photoelectrons of light in a group below which it cannot trigger
    lead : samples that are kept ready before the first that may trigger
    trigger_sample, n_samples : as in the model
    """

    groups: np.ndarray
    dead: np.ndarray
    pulses: np.ndarray
    delay: int
    peak: int
    charges: np.ndarray
    record: np.ndarray
    unit: np.float32
    weights: np.ndarray
    threshold: float
    floor: float
    lead: int
    trigger_sample: int
    n_samples: int


@njit(cache=True, error_model="numpy")
def _mix(state: np.uint64) -> np.uint64:
    """Random bits of a state, as SplitMix64 has them (Steele et al., doi:10.1145/2660193.2660195).

    A stream is a state that grows by GOLDEN. Ten times as fast as calling a generator, and any
    pixel can have its own stream.
    """
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@njit(cache=True, error_model="numpy")
def _add_noise(record: np.ndarray, unit: np.float32, wave: np.ndarray, state: np.uint64) -> None:
    """Add night sky and electronic noise to the waveform of one pixel.

    Parameters
    ----------
    record, unit
        As in `Circuit`, which is too large to be handed to a function thousands of times.
    wave : ndarray of float32 (n_samples,)
    state : uint64
        Of the pixel's random numbers.
    """
    bits = _mix(state)
    n = np.uint64(wave.size)
    first = bits % np.uint64(RECORD)
    second = (bits >> np.uint64(32)) % np.uint64(RECORD)
    one, other = record[first : first + n], record[second : second + n]
    for i in range(wave.size):
        wave[i] += unit * (np.float32(one[i]) + np.float32(other[i]))


@njit(cache=True, error_model="numpy")
def add_noise_everywhere(
    record: np.ndarray, unit: np.float32, waveforms: np.ndarray, key: np.uint64
) -> None:
    for pixel in range(waveforms.shape[0]):
        _add_noise(record, unit, waveforms[pixel], key + np.uint64(pixel) * GOLDEN)


@njit(cache=True, error_model="numpy")
def read_window(
    c: Circuit,
    pixel: np.ndarray,
    place: np.ndarray,
    weight: float,
    waves: np.ndarray,
    noisy: np.ndarray,
    trigger: int,
    base: int,
    key: np.uint64,
    out: np.ndarray,
) -> np.ndarray:
    """Read out what `find_trigger` has found; parameters as there.

    `out` becomes the waveforms of the readout window, with noise in all pixels.

    Returns
    -------
    true_image : ndarray of int32, shape (n_pixels,)
        Photoelectrons that have their peak in the window.
    """
    start = trigger - c.trigger_sample
    for i in range(waves.shape[0]):
        wave = out[i]
        wave[:] = waves[i, start - base : start - base + c.n_samples]
        if not noisy[i]:
            _add_noise(c.record, c.unit, wave, key + np.uint64(i) * GOLDEN)
    count = np.zeros(waves.shape[0], np.int64)
    for entry in range(place.size):
        peak = np.floor(place[entry]) + c.peak
        count[pixel[entry]] += (peak >= start) and (peak < start + c.n_samples)
    true_image = np.empty(waves.shape[0], np.int32)
    for i in range(waves.shape[0]):
        true_image[i] = np.rint(weight * count[i])
    return true_image


@njit(cache=True, error_model="numpy")
def noise_level(c: Circuit, waves: np.ndarray) -> float:
    highest = -np.inf
    total = np.empty(waves.shape[1])
    for group in c.groups:
        total[:] = 0.0
        for pixel in group:
            if pixel >= 0:
                total += waves[pixel]
        for i in range(c.weights.size - 1, total.size):
            level = 0.0
            for j in range(c.weights.size):
                level += c.weights[j] * total[i - j]
            highest = max(highest, level)
    return highest


@njit(cache=True, error_model="numpy")
def _add_light(
    c: Circuit,
    pixel: np.ndarray,
    place: np.ndarray,
    entries: np.ndarray,
    weight: float,
    waves: np.ndarray,
    state: np.uint64,
) -> None:
    """Add the pulses of some photoelectrons at places (in samples) that may lie outside."""
    n_taps = c.pulses.shape[1]
    for entry in entries:
        state += GOLDEN
        charge = c.charges[_mix(state) % np.uint64(QUANTILES)]
        # A bunch fluctuates as the sum of its photoelectrons.
        charge = np.float32(weight + (charge - 1.0) * np.sqrt(weight))
        sample = int(np.floor(place[entry]))
        pulse = c.pulses[int((place[entry] - sample) * PHASES)]
        first = sample + c.delay
        wave = waves[pixel[entry]]
        for j in range(max(0, -first), min(n_taps, wave.size - first)):
            wave[first + j] += charge * pulse[j]


@njit(cache=True, error_model="numpy")
def _group_level(weights: np.ndarray, group: np.ndarray, waves: np.ndarray, i: int) -> float:
    """The trigger's sum for one group of pixels at sample i of the waveforms."""
    level = 0.0
    for pixel in group:
        if pixel < 0:
            break
        for j in range(weights.size):
            level += weights[j] * waves[pixel, i - j]
    return level


@njit(cache=True, error_model="numpy")
def _sort_by_sample(sample: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
def find_trigger(
    c: Circuit,
    pixel: np.ndarray,
    place: np.ndarray,
    weight: float,
    waves: np.ndarray,
    noisy: np.ndarray,
    key: np.uint64,
) -> tuple[int, int, np.uint64]:
    """Find the first sample that triggers.

    Walks along the samples and keeps count of the light of each group of pixels. Groups with enough
    of it are summed up, with the noise of their pixels.

    Parameters
    ----------
    c : Circuit
    pixel : ndarray of int32 (n_pe,)
    place : ndarray of float (n_pe,)
        When each photoelectron comes to the amplifier, in samples from 0 on.
    weight : float
        Photoelectrons that each entry stands for.
    waves : ndarray of float32 (n_pixels, length)
        Becomes the waveforms around the trigger: light in all pixels, noise in some.
    noisy : ndarray of bool (n_pixels,)
        Becomes where there is noise.
    key : uint64
        Of all random numbers.

    Returns
    -------
    trigger : int
        Sample, or -1 if none.
    base : int
        Sample that the waveforms begin at.
    key : uint64
        Of the random numbers of the noise.
    """
    length = waves.shape[1]
    order, first = _sort_by_sample(place.astype(np.int64))
    n_lit = first.size - 1
    reach = c.delay + c.pulses.shape[1]

    # Entries in each group that may still be felt, and the groups in which they are enough.
    duration = reach + c.weights.size
    enough = int(np.ceil(c.floor / weight))
    light = np.zeros(waves.shape[0], np.int64)
    active = np.empty(waves.shape[0], np.int64)
    n_active = 0

    base = -length
    for now in range(n_lit + duration):
        if now < n_lit:
            for entry in order[first[now] : first[now + 1]]:
                for group in c.groups[pixel[entry]]:
                    if group < 0:
                        break
                    light[group] += 1
                    if light[group] == enough:
                        active[n_active] = group
                        n_active += 1
        if now >= duration:
            for entry in order[first[now - duration] : first[now - duration + 1]]:
                for group in c.groups[pixel[entry]]:
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
                key = _mix(key)
                # Dead pixels have no noise to be added.
                noisy[:] = c.dead
                waves[:] = 0.0
                begin = first[min(max(base - reach, 0), n_lit)]
                end = first[min(max(base + length, 0), n_lit)]
                _add_light(c, pixel, place - base, order[begin:end], weight, waves, _mix(~key))
            for member in c.groups[group]:
                if member >= 0 and not noisy[member]:
                    noisy[member] = True
                    _add_noise(c.record, c.unit, waves[member], key + np.uint64(member) * GOLDEN)
            if _group_level(c.weights, c.groups[group], waves, now - base) >= c.threshold:
                return now, base, key
    return -1, base, key
