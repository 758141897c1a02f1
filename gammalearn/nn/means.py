"""Means over the images of each event: of their features, and of what each estimates."""

import torch
from torch import Tensor

__all__ = [
    "images_of_events",
    "mean_over_images",
    "most_likely_mean",
    "place_and_log_sigma",
    "weighted_mean",
    "weighted_sky_mean",
]


def images_of_events(event: Tensor, n_events: int) -> Tensor:
    """Number of images of each event, shape (n_events,); bincount cannot be exported."""
    return event.new_zeros(n_events).index_add(0, event, torch.ones_like(event))


def mean_over_images(x: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of the images' features for each event; 0 for an event without images.

    Parameters
    ----------
    x : Tensor, shape (n_images, features)
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, features)
    """
    total = x.new_zeros(n_events, x.shape[1]).index_add(0, event, x)
    count = images_of_events(event, n_events).clamp(min=1)
    return total / count.unsqueeze(1)


def weighted_mean(estimates: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of what the images of an event give, with the weights that they give.

    Parameters
    ----------
    estimates : Tensor, shape (n_images, n_outputs + 1)
        Outputs and the logarithm of the weight, which counts up to ±6.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, n_outputs)
    """
    outputs, log_weight = estimates.float().tensor_split([estimates.shape[1] - 1], dim=1)
    return _mean_and_weight(outputs, log_weight.clamp(-6, 6).exp(), event, n_events)[0]


def most_likely_mean(estimates: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of what the images of an event give, with the uncertainties that they give.

    The value of the greatest likelihood where each image's is normally distributed, and its
    standard deviation where their errors have nothing in common: weights are 1 / σ², and the
    mean's σ is (Σ 1 / σ²)^(−1/2). What errors have in common is left to the event's head to add.

    Parameters
    ----------
    estimates : Tensor, shape (n_images, n_outputs)
        Values and the logarithm of their standard deviation, which counts up to ±6.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, n_outputs)
    """
    values, log_sigma = estimates.float().tensor_split([estimates.shape[1] - 1], dim=1)
    precision = torch.exp(-2 * log_sigma.clamp(-6, 6))
    mean, precision = _mean_and_weight(values, precision, event, n_events)
    return torch.cat([mean, -precision.log() / 2], dim=1)


def _mean_and_weight(
    values: Tensor, weight: Tensor, event: Tensor, n_events: int
) -> tuple[Tensor, Tensor]:
    """Weighted mean of the values of each event's images, and the sum of their weights."""
    terms = torch.cat([values * weight, weight], dim=1)
    total = terms.new_zeros(n_events, terms.shape[1]).index_add(0, event, terms)
    return total[:, :-1] / total[:, -1:], total[:, -1:]


def weighted_sky_mean(estimates: Tensor, event: Tensor, n_events: int) -> Tensor:
    """Mean of the places that the images of an event give, weighted with their precisions.

    The place of the greatest likelihood where each image's is normally distributed,
    (Σ P)⁻¹ Σ P x. Long images that cross give the point where their axes do.

    Parameters
    ----------
    estimates : Tensor, shape (n_images, N_SKY)
        Place and precision matrix of each image, see `gammalearn.nn.image_head.SkyEstimate`.
    event : Tensor of int64, shape (n_images,)
        Row of each image's event.
    n_events : int

    Returns
    -------
    Tensor, shape (n_events, N_SKY)
        Places and precision matrices.
    """
    lon, lat, xx, xy, yy = estimates.float().unbind(dim=1)
    terms = torch.stack([xx, xy, yy, xx * lon + xy * lat, xy * lon + yy * lat], dim=1)
    total = terms.new_zeros(n_events, 5).index_add(0, event, terms)
    xx, xy, yy, at_lon, at_lat = total.unbind(dim=1)
    determinant = xx * yy - xy * xy
    place = torch.stack([yy * at_lon - xy * at_lat, xx * at_lat - xy * at_lon], dim=1)
    return torch.cat([place / determinant.unsqueeze(1), total[:, :3]], dim=1)


def place_and_log_sigma(estimates: Tensor) -> Tensor:
    """Places in the sky with one uncertainty each, which is alike in all directions.

    Its square is the mean of the variances in two coordinates, half the trace of P⁻¹.

    Parameters
    ----------
    estimates : Tensor, shape (n_estimates, N_SKY)
        Place and precision matrix P.

    Returns
    -------
    Tensor, shape (n_estimates, 3)
        Place (deg) and the logarithm of the standard deviation (deg) in each coordinate.
    """
    lon, lat, xx, xy, yy = estimates.float().unbind(dim=1)
    log_sigma = torch.log((xx + yy) / (2 * (xx * yy - xy * xy))) / 2
    return torch.stack([lon, lat, log_sigma], dim=1)
