"""The state of sky and camera in the pixels, and what it does to features."""

import numpy as np
import pytest
import torch

from gammalearn.data.images.augmentation import augment
from gammalearn.nn.conditioning import ImageConditioning, bad_pixel_fraction, noise_level
from gammalearn.settings import AugmentationSettings

SCALES = {
    "linear": lambda x: x,
    "asinh": np.arcsinh,
    "log": lambda x: np.sign(x) * np.log1p(np.abs(x)),
    "sqrt": lambda x: np.sign(x) * np.sqrt(np.abs(x)),
}


def noise(sigma, n_images=4, n_pixels=20_000, mean=0.3, seed=0):
    return np.random.default_rng(seed).normal(mean, sigma, (n_images, n_pixels))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("sigma", [0.5, 2.0, 8.0])
def test_noise_is_the_standard_deviation_of_dark_pixels(scale, sigma):
    """Within 3 %, of any scale of the charge, with an offset of the pedestal."""
    charge = torch.from_numpy(SCALES[scale](noise(sigma)))
    np.testing.assert_allclose(noise_level(charge, scale), sigma, rtol=0.03)


def test_light_and_missing_pixels_do_not_count():
    """A tenth of the pixels with light, and as many missing: numpy's quantiles of the others."""
    values = noise(2.0)
    lit, missing = np.zeros((2, 20_000), dtype=bool)
    lit[:2000] = missing[5000:7000] = True
    shower = np.where(lit, values + 50, values)
    charge = torch.from_numpy(np.where(missing, 0, shower))
    low, middle = np.quantile(shower[:, ~missing], [0.1587, 0.5], axis=1)
    np.testing.assert_allclose(noise_level(charge), middle - low, rtol=1e-6)
    np.testing.assert_allclose(noise_level(charge), 2.0, rtol=0.15)
    np.testing.assert_allclose(bad_pixel_fraction(charge), 0.1)


def test_an_image_of_nothing_has_no_noise():
    assert noise_level(torch.zeros(2, 7)).tolist() == [0, 0]
    assert bad_pixel_fraction(torch.zeros(2, 7)).tolist() == [1, 1]
    assert noise_level(torch.zeros(0, 7)).shape == (0,)


def test_twice_the_night_sky_is_seen():
    """Poisson noise of four times the rate has twice the width."""
    random = np.random.default_rng(1)
    levels = [
        noise_level(torch.from_numpy(random.poisson(rate, (3, 9000)) - rate + 1e-3)).numpy()
        for rate in (50.0, 200.0)
    ]
    np.testing.assert_allclose(levels[1] / levels[0], 2, rtol=0.1)


@pytest.mark.parametrize("nsb", [4.0, 20.0])
def test_augmented_night_sky_is_seen(nsb):
    """Variances of the noise and of the Poisson distribution add up."""
    charge = noise(2.0, 3, 9000)
    varied = augment(
        {"charge": charge}, np.arange(3), AugmentationSettings(nsb=nsb), seed=1, epoch=0
    )["charge"]
    found = noise_level(torch.from_numpy(np.arcsinh(varied)), "asinh")
    np.testing.assert_allclose(found, np.sqrt(2.0**2 + nsb), rtol=0.06)


def test_the_beginning_changes_nothing():
    conditioning = ImageConditioning(["nsb", "bad_pixels"], 6, 1, "asinh")
    features, pixels = torch.randn(5, 6), torch.randn(5, 2, 100)
    assert torch.equal(conditioning(features, pixels), features)


def test_conditions_are_of_the_channel_of_charge():
    conditioning = ImageConditioning(["bad_pixels", "nsb"], 6, 1, "linear")
    pixels = torch.from_numpy(np.stack([noise(9.0), noise(2.0)], axis=1)).float()
    pixels[:, 1, :5000] = 0
    missing, log_noise = conditioning.values(pixels).T
    np.testing.assert_allclose(missing, 25, rtol=1e-6)
    np.testing.assert_allclose(log_noise, np.log(2.0), atol=0.03)


def test_a_modulation_is_learned():
    """Features that are to be twice as large where the noise is: FiLM can say so, nothing else."""
    torch.manual_seed(0)
    conditioning = ImageConditioning(["nsb"], 3, 0, "linear")
    pixels = torch.from_numpy(np.concatenate([noise(1.0, 8, 500), noise(4.0, 8, 500)]))[:, None]
    pixels, features = pixels.float(), torch.randn(16, 3)
    wanted = features * torch.tensor([1.0] * 8 + [2.0] * 8)[:, None]
    optimiser = torch.optim.Adam(conditioning.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        loss = (conditioning(features, pixels) - wanted).square().mean()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.02
    noisier = torch.from_numpy(noise(4.0, 16, 500, seed=3))[:, None].float()
    quiet = torch.from_numpy(noise(1.0, 16, 500, seed=4))[:, None].float()
    ratio = conditioning(features, noisier) / conditioning(features, quiet)
    assert ratio.median().item() == pytest.approx(2, rel=0.15)


def test_the_pointing_enters_as_it_is_told():
    conditioning = ImageConditioning(["pointing"], 4)
    sky = torch.tensor([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]])
    assert torch.equal(conditioning.values(None, sky), sky)
    assert torch.equal(conditioning(torch.ones(2, 4), None, sky), torch.ones(2, 4))
    with pytest.raises(ValueError, match="do not tell where"):
        conditioning(torch.ones(2, 4), torch.ones(2, 1, 9))


def test_conditions_of_pixels_and_pointing_go_together():
    conditioning = ImageConditioning(["bad_pixels", "pointing"], 4, 0)
    charge = torch.ones(2, 1, 10)
    charge[1, 0, :3] = 0
    found = conditioning.values(charge, torch.full((2, 3), 0.5))
    np.testing.assert_allclose(found, [[0, 0.5, 0.5, 0.5], [30, 0.5, 0.5, 0.5]], rtol=1e-6)
