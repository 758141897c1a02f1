"""Masks, and the error of reconstructed images, against values computed by hand."""

import pytest
import torch
from torch.nn.functional import huber_loss

from gammalearn.camera import pixel_patches
from gammalearn.tasks.without_labels.reconstruction import decoded_channels, image_errors


def test_the_error_is_that_of_light_and_of_dark_pixels_by_halves():
    """By hand: seven bright pixels that are wrong by 3, ten dark ones that are wrong by 0.5."""
    truth = torch.zeros(1, 2, 20)
    truth[0, 0, :7] = 9.0
    decoded = truth.clone()
    decoded[0, 0, :7] -= 3.0
    decoded[0, 0, 7:17] += 0.5
    decoded[0, 0, 17:] = 100.0  # these do not count
    decoded[0, 1, :7] = 0.2
    decoded[0, 1, 7:] = 100.0  # times of dark pixels mean nothing
    counted = torch.arange(20)[None] < 17
    (error,) = image_errors(decoded, truth, counted, truth[:, 0] > 5)
    of_light, of_dark, of_time = 3.0 - 0.5, 0.5**2 / 2, 0.2**2 / 2
    assert error == pytest.approx((of_light + of_dark) / 2 + of_time)


def test_few_bright_pixels_count_less():
    """One bright pixel is a seventh of what seven are."""
    truth = torch.zeros(1, 1, 20)
    truth[0, 0, 0] = 9.0
    everywhere = torch.ones(1, 20, dtype=torch.bool)
    (error,) = image_errors(torch.zeros(1, 1, 20), truth, everywhere, truth[:, 0] > 5)
    assert error == pytest.approx(8.5 / 7 / 2)


def test_without_light_it_is_the_error_of_all_pixels():
    torch.manual_seed(0)
    truth, decoded = torch.randn(2, 3, 1, 50)
    everywhere = torch.ones(3, 50, dtype=torch.bool)
    errors = image_errors(decoded, truth, everywhere, ~everywhere)
    expected = huber_loss(decoded, truth, reduction="none").mean(dim=(1, 2)) / 2
    torch.testing.assert_close(errors, expected)


def test_only_hidden_pixels_that_are_not_missing_are_learned(make, batch, told):
    task, events = make("reconstruction", masked=0.3), batch()
    pixels = events.images["camera"].pixels
    missing = torch.zeros(3, 144, dtype=torch.bool)
    missing[:, ::5] = True
    pixels[:, 0][missing] = 0.0

    class Decoder(told):
        def decoded(self, images, hidden):
            self.given = super().decoded(images, hidden)["camera"].requires_grad_()
            return {"camera": self.given}

    network = Decoder()
    torch.manual_seed(0)
    losses, known = task.losses(network, events, None)
    losses.sum().backward()
    learned = network.given.grad[:, 0] != 0
    assert torch.equal(learned, network.shown[0] & ~missing & (pixels[:, 0] != 0))
    assert known.all() and (losses > 0).all()


def test_a_share_of_the_patches_is_hidden_as_wholes(make, batch, grid):
    task = make("reconstruction", masked=0.25)
    torch.manual_seed(0)
    hidden = task.masks.random(batch().images)["camera"]
    number = torch.from_numpy(pixel_patches(grid).number)
    n_patches = int(number.max()) + 1
    for image in hidden:
        hidden_patches = {int(n) for n in number[image]}
        assert len(hidden_patches) == round(0.25 * n_patches)
        assert torch.equal(image, torch.isin(number, torch.tensor(sorted(hidden_patches))))
    assert not torch.equal(hidden[0], hidden[1])


@pytest.mark.parametrize(("masked", "n_masks"), [(0.75, 2), (0.5, 2), (0.34, 3), (0.2, 5)])
def test_the_score_hides_each_pixel_once(make, batch, told, masked, n_masks):
    task, network, events = make("reconstruction", masked=masked), told(), batch()
    task.score(network, events.images, events.n_events)
    assert len(network.shown) == n_masks
    assert (torch.stack(network.shown).sum(dim=0) == 1).all()


def test_the_score_of_an_event_is_the_mean_of_its_images(make, batch, told):
    """Whatever the other events of the batch; an image of a decoder that says 0."""
    task, network = make("reconstruction"), told()
    events = batch(event=(0, 0, 1))
    pixels = events.images["camera"].pixels
    score = task.score(network, events.images, 2)
    everywhere = torch.ones(3, 144, dtype=torch.bool)
    zero = torch.zeros_like(pixels)
    errors = image_errors(zero, pixels, everywhere, pixels[:, 0] > 5)
    torch.testing.assert_close(score, torch.stack([errors[:2].mean(), errors[2]]))
    losses, known = task.steady_losses(network, events, None)
    torch.testing.assert_close(losses, score)
    assert known.all()


def test_charge_and_one_time_are_reconstructed():
    assert decoded_channels(["cleaning_mask", "charge"]) == [1]
    assert decoded_channels(["peak_time", "absolute_peak_time", "charge"]) == [2, 0]
    assert decoded_channels(["charge", "absolute_peak_time"]) == [0, 1]
