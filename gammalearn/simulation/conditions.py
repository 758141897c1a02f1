"""Telescopes in other conditions than a simulation has by default: sky, mirrors and pixels."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..settings import ObservationSettings
from .electronics import PixelState
from .instrument import Array
from .telescopes import TelescopeModel

__all__ = ["in_conditions", "pixel_states"]

#: No pixel is calibrated so wrongly that less than this is left of its charges.
LEAST_GAIN = 0.05


def in_conditions(array: Array, settings: ObservationSettings) -> Array:
    """An array whose telescopes see the sky of an observation in its mirrors.

    Parameters
    ----------
    array : Array
    settings : ObservationSettings
        The night sky comes by the mirrors as well as Cherenkov light does.
    """
    changed: dict[int, TelescopeModel] = {}
    for model in array.models:
        if id(model) not in changed:
            # Telescopes of a type keep one model.
            changed[id(model)] = replace(
                model,
                nsb_rate=settings.night_sky * settings.reflectivity * model.nsb_rate,
                efficiency=settings.reflectivity * model.efficiency,
            )
    return replace(array, models=tuple(changed[id(model)] for model in array.models))


def pixel_states(
    array: Array, settings: ObservationSettings, seed: Sequence[int]
) -> dict[int, PixelState]:
    """What is wrong with the pixels of each telescope, by tel_id.

    Parameters
    ----------
    array : Array
    settings : ObservationSettings
    seed : sequence of int
        Of the random numbers, with the tel_id.

    Returns
    -------
    dict of int to PixelState
        Empty where all pixels are right.
    """
    if not settings.dead_pixels and settings.gain == 1 and not settings.gain_spread:
        return {}
    states = {}
    for tel_id, model in zip(array.tel_ids, array.models, strict=True):
        rng = np.random.default_rng([*seed, int(tel_id)])
        n_pixels = model.description.camera.geometry.n_pixels
        dead = np.zeros(n_pixels, np.bool_)
        n_dead = round(settings.dead_pixels * n_pixels)
        dead[rng.choice(n_pixels, n_dead, replace=False)] = True
        gain = settings.gain * (1.0 + settings.gain_spread * rng.standard_normal(n_pixels))
        states[int(tel_id)] = PixelState(dead, np.maximum(gain, LEAST_GAIN).astype(np.float32))
    return states
