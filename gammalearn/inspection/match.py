"""Match of two files: what makes simulated images like observed ones.

All is measured in the images: the noise and its spread from pixel to pixel in the dark pixels, the
missing pixels, and the light of bright images.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..camera import CameraType
from ..data.images.channels import without_impossible
from ..data.readers.formats import open_reader
from ..errors import EmptySelectionError
from ..io.isolated import read_isolated
from .lines import titled_lines

__all__ = ["Conditions", "Estimate", "Match", "describe_match", "match_files"]

#: Images of each telescope that are looked at, spread over the file.
IMAGES_OF_TELESCOPE = 1000

#: Images of a telescope that the spread of its gains needs.
LEAST_FOR_SPREAD = 60

#: Images of a camera below which nothing is said.
LEAST_IMAGES = 10

#: Quantiles of the light of the images that are compared: bright ones, but not the few brightest.
BRIGHT = np.linspace(0.7, 0.95, 11)

#: Of a normal distribution, one standard deviation to either side of its mean.
ONE_SIGMA = (0.158655254, 0.841344746)

#: Resamples of the images for the error of the light.
N_RESAMPLES = 200

#: Standard deviations from which a difference is more than chance.
CLEAR = 2.0

#: Standard deviations above the median at which the charges of dark pixels end.
REACH = 4.0

#: Limits of the logarithm of a pixel's noise around the camera's, in robust standard deviations.
CLIPPED = 4.0


@dataclass(frozen=True)
class Estimate:
    """A number with its error (one standard deviation); both can be NaN."""

    value: float
    error: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ± {self.error:.2g}" if np.isfinite(self.value) else "unknown"

    @property
    def is_clear(self) -> bool:
        """Whether it is not 0 within its error."""
        return bool(abs(self.value) > CLEAR * self.error)


@dataclass(frozen=True)
class Conditions:
    """What the images of one camera type tell of the sky and the camera.

    Attributes
    ----------
    noise : Estimate
        Variance (p.e.²) of the charges of dark pixels, the median of the images.
    missing : Estimate
        Share of the pixels of an image that are missing.
    gain_variance : Estimate
        Variance, from pixel to pixel, of the relative gain; NaN with too few images.
    light : ndarray, shape (n_images,)
        Sum (p.e.) of the charges of each image, for all pixels of the camera.
    """

    noise: Estimate
    missing: Estimate
    gain_variance: Estimate
    light: np.ndarray


@dataclass(frozen=True)
class Match:
    """What has to be changed in simulated images to make them like observed ones.

    Attributes
    ----------
    nsb : Estimate
        Night sky (p.e.) to add to each pixel, as ``data.augmentation.nsb`` does.
    pixel_dropout : Estimate
        Share of the pixels to remove.
    gain_jitter : Estimate
        Relative standard deviation of the gains to add.
    night_sky : Estimate
        Observed noise divided by that of the simulation: the ratio of the night skies, because the
        noise of the electronics is a few percent of it.
    light : Estimate
        Light of the observed images divided by that of the simulated images.
    """

    nsb: Estimate
    pixel_dropout: Estimate
    gain_jitter: Estimate
    night_sky: Estimate
    light: Estimate


def match_files(observed: Path, simulated: Path) -> dict[str, tuple[Conditions, Conditions, Match]]:
    """Compare the images of two files, for each camera type that both have.

    Parameters
    ----------
    observed : Path
        The file to be matched.
    simulated : Path
        The file whose images are to become like it.

    Returns
    -------
    dict of str to (Conditions, Conditions, Match)
        By the camera's name in the observed file: observed, simulated, and what is between them.

    Raises
    ------
    InputFileError
        If a file cannot be read.
    EmptySelectionError
        If the files have no camera with enough images in common.
    """
    ours, theirs = (read_isolated(_conditions, path) for path in (observed, simulated))
    found = {}
    for camera, conditions in ours:
        for other, reference in theirs:
            if other.order_of(camera) is not None:
                found[camera.name] = (conditions, reference, compare(conditions, reference))
                break
    if not found:
        raise EmptySelectionError(
            f"'{observed}' and '{simulated}' have no camera with {LEAST_IMAGES} images of showers "
            "in each; give files of the same telescopes."
        )
    return found


def compare(observed: Conditions, simulated: Conditions) -> Match:
    """What makes the second conditions like the first.

    Night sky and gains add up in variance. A pixel that is missing in the simulation cannot be
    removed again: the share is that of the other pixels.

    Parameters
    ----------
    observed, simulated : Conditions
    """
    nsb = Estimate(
        observed.noise.value - simulated.noise.value,
        float(np.hypot(observed.noise.error, simulated.noise.error)),
    )
    there = 1 - simulated.missing.value
    dropout = Estimate(
        (observed.missing.value - simulated.missing.value) / there,
        float(np.hypot(observed.missing.error, simulated.missing.error)) / there,
    )
    variance = observed.gain_variance.value - simulated.gain_variance.value
    of_variance = float(np.hypot(observed.gain_variance.error, simulated.gain_variance.error))
    jitter = float(np.sqrt(max(variance, 0)))
    # Near 0, the root of the variance's error is the error of the root.
    clear = variance > CLEAR * of_variance
    error = of_variance / (2 * jitter) if clear else np.sqrt(of_variance)
    known = np.isfinite(variance)
    gains = Estimate(jitter if known else np.nan, float(error) if known else np.nan)
    ratio = observed.noise.value / simulated.noise.value
    of_both = [one.noise.error / one.noise.value for one in (observed, simulated)]
    relative = np.hypot(of_both[0], of_both[1])
    night_sky = Estimate(ratio, float(ratio * relative))
    return Match(nsb, dropout, gains, night_sky, _light_ratio(observed.light, simulated.light))


def _light_ratio(observed: np.ndarray, simulated: np.ndarray) -> Estimate:
    """Mean ratio of the quantiles of two distributions of light."""
    random = np.random.default_rng(0)

    def ratio(one: np.ndarray, other: np.ndarray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):
            logarithm = np.log(np.quantile(one, BRIGHT) / np.quantile(other, BRIGHT))
        return float(np.exp(np.mean(logarithm)))

    resampled = [
        ratio(random.choice(observed, len(observed)), random.choice(simulated, len(simulated)))
        for _ in range(N_RESAMPLES)
    ]
    return Estimate(ratio(observed, simulated), float(np.std(resampled)))


def _conditions(path: Path) -> list[tuple[CameraType, Conditions]]:
    """The conditions of each camera type of a file that has enough images."""
    cameras: list[CameraType] = []
    charges: list[list[np.ndarray]] = []
    with open_reader(path) as reader:
        is_shower = reader.is_shower()
        for tel_id in reader.telescopes_with_images():
            telescope = reader.subarray.tel[tel_id]
            camera = CameraType.from_geometry(
                telescope.camera.geometry, telescope.optics.equivalent_focal_length
            )
            event = np.asarray(reader.images(tel_id)["event"])
            rows = np.flatnonzero((event >= 0) & is_shower[event])
            if len(rows) > IMAGES_OF_TELESCOPE:
                rows = rows[np.linspace(0, len(rows) - 1, IMAGES_OF_TELESCOPE).astype(int)]
            pixels, _ = without_impossible(reader.pixels(tel_id, rows, ["charge"]))
            charge = pixels["charge"].astype(np.float32)
            charge[~np.isfinite(charge)] = np.nan
            # A single 0 may be a rounded charge; dead pixels have no other.
            charge[:, (charge == 0).all(axis=0)] = np.nan
            for known, of_camera in zip(cameras, charges, strict=True):
                if known.order_of(camera) is not None:
                    of_camera.append(charge)
                    break
            else:
                cameras.append(camera)
                charges.append([charge])
    return [
        (camera, measure(of_camera))
        for camera, of_camera in zip(cameras, charges, strict=True)
        if sum(map(len, of_camera)) >= LEAST_IMAGES
    ]


def measure(telescopes: Sequence[np.ndarray]) -> Conditions:
    """The conditions that images tell.

    Parameters
    ----------
    telescopes : sequence of ndarray, shape (n_images, n_pixels)
        Charges (p.e.) of each telescope, NaN for missing pixels.
    """
    telescopes = [charge for charge in telescopes if len(charge)]
    seen = [charge[np.isfinite(charge).any(axis=1)] for charge in telescopes]
    noise = np.concatenate([_half_width(_without_light(charge), axis=1) ** 2 for charge in seen])
    light = []
    for charge in seen:
        present = np.isfinite(charge).mean(axis=1)
        above = charge - np.nanmedian(charge, axis=1)[:, None]
        light.append(np.nansum(above, axis=1) / present)
    # Images of the brightest showers have hardly a dark pixel.
    width = _half_width(noise, axis=0)
    # What is broken is broken in all images: pixels are independent of each other, images are not.
    missing = np.concatenate([np.isnan(charge).mean(axis=0) for charge in telescopes])
    return Conditions(
        # The error of a median of numbers that are distributed normally.
        Estimate(float(np.median(noise)), float(1.25 * width / np.sqrt(len(noise)))),
        Estimate(float(np.mean(missing)), float(np.std(missing) / np.sqrt(len(missing)))),
        _gain_variance(seen),
        np.concatenate(light),
    )


def _without_light(charge: np.ndarray) -> np.ndarray:
    """The charges of dark pixels, NaN for those above, shape (n_images, n_pixels).

    What lies below the median is noise alone, and tells how far it reaches above.
    """
    low, middle = np.nanquantile(charge, [ONE_SIGMA[0], 0.5], axis=1, keepdims=True)
    return np.where(charge > middle + REACH * (middle - low), np.nan, charge)


def _half_width(charge: np.ndarray, axis: int) -> np.ndarray:
    """Half of what the middle 68 % span: the standard deviation of dark pixels."""
    low, high = np.nanquantile(charge, ONE_SIGMA, axis=axis)
    return (high - low) / 2


def _gain_variance(telescopes: Sequence[np.ndarray]) -> Estimate:
    """Variance of the gains from pixel to pixel, by the noise of each pixel.

    A pixel whose gain is wrong by a factor has its noise wrong by the same. What the noise of even
    and odd images has in common is of the pixel, and what it has not is chance.
    """
    pairs = []
    for charge in telescopes:
        if len(charge) < LEAST_FOR_SPREAD:
            continue
        usable = np.isfinite(charge).sum(axis=0) >= LEAST_FOR_SPREAD
        halves = np.stack([_half_width(charge[part::2, usable], axis=0) for part in (0, 1)])
        halves = halves[:, (halves > 0).all(axis=0)]
        if halves.shape[1] < 2:
            continue
        logarithm = np.log(halves)
        logarithm -= np.median(logarithm, axis=1, keepdims=True)
        limit = CLIPPED * _half_width(logarithm.reshape(-1), axis=0)
        pairs.append(np.clip(logarithm, -limit, limit))
    if not pairs:
        return Estimate(np.nan, np.nan)
    even, odd = np.concatenate(pairs, axis=1)
    products = (even - even.mean()) * (odd - odd.mean())
    return Estimate(float(products.mean()), float(products.std() / np.sqrt(len(products))))


def describe_match(observed: Path, simulated: Path) -> str:
    """What makes the images of a simulated file like those of an observed one, in lines.

    Parameters
    ----------
    observed, simulated : Path

    Raises
    ------
    GammaLearnError
        As `match_files`.
    """
    lines: list[str] = []
    for name, (ours, theirs, match) in match_files(observed, simulated).items():
        lines += titled_lines(
            f"{name}: {observed.name} ({len(ours.light)} images) against {simulated.name} "
            f"({len(theirs.light)} images)",
            {
                "noise of dark pixels (p.e.²)": f"{ours.noise} against {theirs.noise}",
                "night sky to add (p.e.)": match.nsb,
                "night sky, relative": match.night_sky,
                "missing pixels": f"{ours.missing} against {theirs.missing}",
                "pixels to remove": match.pixel_dropout,
                "spread of the gains to add": match.gain_jitter
                if np.isfinite(match.gain_jitter.value)
                else f"unknown: it needs {LEAST_FOR_SPREAD} images of a telescope in each file",
                "light of bright images": f"{match.light} times that of the simulation, which is "
                "the gain only if particles, energies, zenith angle and trigger are the same",
            },
        )
        lines += [*_settings(match), ""]
    return "\n".join(lines[:-1])


def _settings(match: Match) -> list[str]:
    """The lines to paste, and what they cannot say."""
    found = {
        name: estimate.value
        for name in ("nsb", "gain_jitter", "pixel_dropout")
        if np.isfinite((estimate := getattr(match, name)).value)
        and estimate.is_clear
        and (estimate.value > 0)
    }
    names = {"pixel_dropout": "dead_pixels", "gain_jitter": "gain_spread"}
    observation = {"night_sky": match.night_sky.value} if match.nsb.is_clear else {}
    observation |= {theirs: found[ours] for ours, theirs in names.items() if ours in found}
    lines = []
    if found:
        lines += [
            "  for a training with the simulated file:",
            f"    data: {{augmentation: {{{_pairs(found)}}}}}",
        ]
    if observation:
        lines += [
            "  for gammalearn simulate --observation, if the simulated file has the settings' "
            "defaults:",
            f"    {{{_pairs(observation)}}}",
        ]
    if not lines:
        lines.append("  nothing to change: the differences are within their errors")
    if match.nsb.is_clear and match.nsb.value < 0:
        lines.append(
            "  the simulation has more noise than the observation, and augmentation only adds "
            "noise: simulate with a darker sky"
        )
    return lines


def _pairs(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name}: {value:.3g}" for name, value in values.items())
