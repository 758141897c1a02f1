"""Conditions of an observation, found again after they were put in by other means."""

import shutil

import numpy as np
import pytest
import tables
from ctapipe.image.modifications import ImageModifier
from ctapipe.instrument import SubarrayDescription

from gammalearn.cli import main
from gammalearn.data.images.augmentation import augment
from gammalearn.errors import EmptySelectionError
from gammalearn.inspection.match import compare, match_files, measure
from gammalearn.settings import AugmentationSettings

GAMMAS = "gamma_lsts_run7_7.0.0"

#: A difference is found if it is this near to what was put in, in standard deviations.
NEAR = 3.5


def images(seed, n_images=400, n_pixels=900, sigma=1.5, gains=0.0):
    """Two telescopes: dark pixels with noise, and showers of a falling spectrum in 20 of 900."""
    random = np.random.default_rng(seed)
    telescopes = []
    for _ in range(2):
        charge = random.normal(0.4, sigma, (n_images, n_pixels))
        size = 200 * (1 + random.pareto(1.5, n_images))
        first = random.integers(0, n_pixels - 20, n_images)
        for image, start, light in zip(charge, first, size, strict=True):
            image[start : start + 20] += light * random.dirichlet(np.ones(20))
        telescopes.append(charge * (1 + gains * random.standard_normal(n_pixels)))
    return telescopes


def is_found(estimate, value):
    return abs(estimate.value - value) < NEAR * estimate.error


@pytest.fixture(scope="module")
def simulated():
    return measure(images(1))


def test_the_same_conditions_differ_by_nothing(simulated):
    match = compare(measure(images(2)), simulated)
    assert is_found(match.nsb, 0) and is_found(match.light, 1)
    assert match.pixel_dropout.value == 0 and not match.gain_jitter.is_clear
    assert match.nsb.error < 0.05 and match.light.error < 0.15
    assert is_found(match.night_sky, 1)


def test_augmentation_is_found_again(simulated):
    settings = AugmentationSettings(nsb=2.0, pixel_dropout=0.05)
    degraded = [
        augment({"charge": charge}, np.arange(len(charge)), settings, seed=number, epoch=0)
        for number, charge in enumerate(images(3))
    ]
    match = compare(measure([pixels["charge"] for pixels in degraded]), simulated)
    assert is_found(match.nsb, 2.0) and match.nsb.error < 0.1
    assert is_found(match.pixel_dropout, 0.05) and match.pixel_dropout.error < 0.005
    assert is_found(match.night_sky, (1.5**2 + 2) / 1.5**2)
    assert is_found(match.light, 1)


def test_dead_pixels_are_dead_in_all_images(simulated):
    telescopes = images(4)
    for charge in telescopes:
        charge[:, ::20] = np.nan
    match = compare(measure(telescopes), simulated)
    assert match.pixel_dropout.value == pytest.approx(0.05)
    assert match.pixel_dropout.is_clear


@pytest.mark.parametrize("spread", [0.05, 0.15])
def test_wrong_gains_are_found(simulated, spread):
    match = compare(measure(images(5, gains=spread)), simulated)
    assert is_found(match.gain_jitter, spread) and match.gain_jitter.error < 0.02


def test_spreads_of_gains_add_in_quadrature():
    match = compare(measure(images(6, gains=0.13)), measure(images(7, gains=0.05)))
    assert is_found(match.gain_jitter, 0.12)


def test_less_light_is_found(simulated):
    """The same showers with 80 % of the light, and the same noise."""
    dark = images(1, sigma=0.0)
    random = np.random.default_rng(8)
    telescopes = [0.8 * charge + random.normal(0, 1.5, charge.shape) for charge in dark]
    match = compare(measure(telescopes), simulated)
    assert is_found(match.light, 0.8)
    assert is_found(match.nsb, 0)


def test_few_images_tell_no_spread(simulated):
    match = compare(measure(images(9, n_images=20)), simulated)
    assert np.isnan(match.gain_jitter.value)
    assert str(match.gain_jitter) == "unknown"


@pytest.fixture(scope="module")
def degraded(data_dir, tmp_path_factory):
    """A file with night sky by ctapipe, and every fifteenth pixel dead."""
    path = tmp_path_factory.mktemp("match") / "observed.dl1.h5"
    shutil.copyfile(data_dir / "dl1_ctapipe" / f"{GAMMAS}.dl1.h5", path)
    path.chmod(0o644)
    night = ImageModifier(
        SubarrayDescription.from_hdf(path, focal_length_choice="EQUIVALENT"),
        noise_level_dim_pixels=4.0,
        noise_level_bright_pixels=4.0,
        rng_seed=1,
    )
    with tables.open_file(path, "a") as file:
        for table in file.iter_nodes("/dl1/event/telescope/images", "Table"):
            rows = table.read()
            scale, offset = 1.0, 0.0
            for number in range(1, 20):
                if getattr(table.attrs, f"CTAFIELD_{number}_NAME", "") == "image":
                    scale = getattr(table.attrs, f"CTAFIELD_{number}_TRANSFORM_SCALE", 1.0)
                    offset = getattr(table.attrs, f"CTAFIELD_{number}_TRANSFORM_OFFSET", 0.0)
            charge = (rows["image"].astype(float) - offset) / scale
            tel_id = int(table.name.removeprefix("tel_"))
            changed = np.array([night(tel_id, image) for image in charge])
            changed[:, ::15] = 0
            rows["image"] = changed * scale + offset
            table.modify_rows(0, len(rows), rows=rows)
    return path


def test_a_file_by_ctapipes_modifier_is_matched(degraded, data_dir):
    original = data_dir / "dl1_ctapipe" / f"{GAMMAS}.dl1.h5"
    ((observed, simulated, match),) = match_files(degraded, original).values()
    assert len(observed.light) == len(simulated.light)
    assert is_found(match.nsb, 4.0) and match.nsb.error < 1
    # Each fifteenth of 1855 pixels, from the first on.
    assert match.pixel_dropout.value == pytest.approx(124 / 1855, abs=0.003)
    assert is_found(match.light, 1)


def test_the_command_prints_what_to_paste(degraded, data_dir, capsys):
    original = data_dir / "dl1_ctapipe" / f"{GAMMAS}.dl1.h5"
    assert main(["info", str(degraded), "--match", str(original)]) == 0
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if "augmentation" in line)
    assert "nsb: " in line and "pixel_dropout: 0.06" in line
    assert "night_sky: " in text and "dead_pixels: 0.06" in text
    assert main(["info", str(original), "--match", str(degraded)]) == 0
    text = capsys.readouterr().out
    assert "more noise than the observation" in text
    assert main(["info", str(original), "--match", str(original)]) == 0
    assert "nothing to change" in capsys.readouterr().out


def test_several_files_are_refused(data_dir, capsys):
    path = str(data_dir / "dl1_ctapipe" / f"{GAMMAS}.dl1.h5")
    assert main(["info", path, path, "--match", path]) == 2
    assert "give one FILE" in capsys.readouterr().err


def test_files_without_a_common_camera_are_refused(degraded, data_dir, tmp_path):
    other = data_dir / "dl1_ctapipe" / "proton_run201_prod5.dl1.h5"
    with pytest.raises(EmptySelectionError, match="no camera with 10 images"):
        match_files(degraded, other)
