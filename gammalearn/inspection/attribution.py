"""What a number comes from, and which things a network finds alike: for any network."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

__all__ = ["AT_A_TIME", "places_by_likeness", "shares_of_inputs"]

#: Copies of an event that the network sees at a time.
AT_A_TIME = 16


def shares_of_inputs(
    score: Callable[[list[Tensor]], Tensor], inputs: Sequence[Tensor], steps: int, power: int = 1
) -> list[np.ndarray]:
    """Integrated gradients from zero to the inputs (Sundararajan, Taly & Yan 2017).

    They share the difference between the score of the inputs and that of zeros among the inputs.
    The integral along the straight line between both is a Gauss-Legendre sum, which needs fewer
    steps than equal ones.

    Parameters
    ----------
    score : callable
        From copies of the inputs, each with the number of copies as a first dimension more, to a
        number for each copy.
    inputs : sequence of Tensor
    steps : int
        Points of the sum.
    power : int
        The points are these powers of equal ones. A network that sees logarithms changes most where
        there is little light: larger powers put more points there.

    Returns
    -------
    list of ndarray
        Of the shapes of the inputs.
    """
    nodes, lengths = np.polynomial.legendre.leggauss(steps)
    place = (nodes + 1) / 2
    brightness = torch.from_numpy(place**power).float()
    # The integral over t = s^p has the factor dt/ds.
    shares = torch.from_numpy(lengths / 2 * power * place ** (power - 1)).float()
    total = [torch.zeros_like(one) for one in inputs]
    for first in range(0, steps, AT_A_TIME):
        part = slice(first, first + AT_A_TIME)
        copies = [
            (one * brightness[part].view(-1, *[1] * one.ndim)).requires_grad_() for one in inputs
        ]
        gradients = torch.autograd.grad((score(copies) * shares[part]).sum(), copies)
        for sum_, gradient in zip(total, gradients, strict=True):
            sum_ += gradient.sum(dim=0)
    return [(sum_ * one).numpy() for sum_, one in zip(total, inputs, strict=True)]


def places_by_likeness(embedding: np.ndarray, seed: int) -> np.ndarray:
    """Places on a map where rows that are alike are near each other.

    They are those of t-SNE (van der Maaten & Hinton 2008, J. Mach. Learn. Res. 9, 2579).

    Parameters
    ----------
    embedding : ndarray, shape (n, n_features)
        Four rows or more.
    seed : int

    Returns
    -------
    ndarray, shape (n, 2)
    """
    # Here, as it takes a second to import.
    from sklearn.manifold import TSNE

    # The default, 30 neighbours, is too many for a few rows.
    neighbours = min(30.0, (len(embedding) - 1) / 3)
    return TSNE(perplexity=neighbours, init="pca", random_state=seed).fit_transform(embedding)
