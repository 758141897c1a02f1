"""Imposters: galaxies that look like lenses and are none."""

from collections.abc import Callable

import numpy as np

from ...catalogue import ZERO_POINT
from ...galaxies.images import Camera, Painted, Scene, ellipse, scene_of
from ...galaxies.population import Galaxies
from .canvas import on_canvas, place_on_canvas
from .systems import Sources

__all__ = ["IMPOSTERS", "KINDS", "Field"]

#: Kinds of galaxies that are no lenses, and how many there are of each.
KINDS = {"elliptical": 0.2, "companions": 0.3, "spiral": 0.25, "ring": 0.1, "merger": 0.15}


class Field:
    """What imposters are made of.

    Parameters
    ----------
    massive : Galaxies
        Of the kind of lenses.
    spirals : Galaxies
    blue : Sources
        Small blue galaxies, as those behind lenses.
    camera : Camera
    """

    def __init__(self, massive: Galaxies, spirals: Galaxies, blue: Sources, camera: Camera):
        self.massive, self.spirals, self.blue, self.camera = massive, spirals, blue, camera

    def flux(self, flux: np.ndarray, dust: np.ndarray) -> np.ndarray:
        """A flux in the bands of the camera, behind the dust of the Milky Way."""
        return flux[..., self.camera.columns] * 10 ** (0.4 * (ZERO_POINT - dust))

    def some_blue(self, rng: np.random.Generator) -> np.ndarray:
        """Flux of a small blue galaxy."""
        return self.blue.flux[rng.integers(len(self.blue.flux))]


#: What draws an imposter: from a field, its number, dust, centre, and a generator.
Draw = Callable[
    [Field, int, np.ndarray, np.ndarray, np.random.Generator], tuple[list[Scene], list[Painted]]
]


def _massive(field: Field, row: int, dust: np.ndarray, centre: np.ndarray) -> Scene:
    return scene_of(field.massive, row, dust, centre, field.camera)


def elliptical(
    field: Field, row: int, dust: np.ndarray, centre: np.ndarray, rng: np.random.Generator
) -> tuple[list[Scene], list[Painted]]:
    """A massive galaxy alone."""
    return [_massive(field, row, dust, centre)], []


def companions(
    field: Field, row: int, dust: np.ndarray, centre: np.ndarray, rng: np.random.Generator
) -> tuple[list[Scene], list[Painted]]:
    """A massive galaxy with one to four small blue ones around it."""
    n = int(rng.integers(1, 5))
    apart = rng.uniform(0.6, 3.2, n)
    direction = rng.uniform(0, 2 * np.pi, n)
    # Those that are far along one ellipse look most like images of one source.
    if rng.random() < 0.3:
        apart[:] = apart[0] * rng.uniform(0.8, 1.2, n)
    flux = np.stack([field.some_blue(rng) for _ in range(n)])
    if rng.random() < 0.4:
        flux = flux[:1] * rng.uniform(0.3, 1.0, (n, 1))
    radius = 0.3 * np.exp(rng.normal(0, 0.4, n)) / field.camera.pixel_scale
    angle = direction + np.pi / 2 + rng.normal(0, 0.5, n)
    angle = np.where(rng.random(n) < 0.3, angle, rng.uniform(0, np.pi, n))
    place = np.stack([np.cos(direction), np.sin(direction)], axis=1) * apart[:, None]
    around = Scene(
        ["disc"] * n,
        # Images of sources are magnified, so that fainter satellites would be told by it.
        field.flux(flux, dust) * 10 ** rng.uniform(0.0, 0.8),
        centre + place / field.camera.pixel_scale,
        ellipse(radius / np.sqrt(0.5), rng.uniform(0.2, 0.9, n), angle),
    )
    return [_massive(field, row, dust, centre), around], []


def _in_disc(
    x: np.ndarray, y: np.ndarray, ratio: float, angle: float
) -> tuple[np.ndarray, np.ndarray]:
    """Radius and angle in an inclined disc."""
    cos, sin = np.cos(angle), np.sin(angle)
    long, short = cos * x + sin * y, (cos * y - sin * x) / ratio
    return np.hypot(long, short), np.arctan2(short, long)


def _painted(light: np.ndarray, flux: np.ndarray, field: Field) -> Painted:
    return on_canvas(light / light.sum(), flux, field.camera)


def spiral(
    field: Field, row: int, dust: np.ndarray, centre: np.ndarray, rng: np.random.Generator
) -> tuple[list[Scene], list[Painted]]:
    """A bulge, and a disc with logarithmic arms."""
    number = row % len(field.spirals)
    scene = scene_of(field.spirals, number, dust, centre, field.camera)
    bulge = Scene(scene.kind[:1], scene.flux[:1], scene.position[:1], scene.shape[:1])
    ratio = max(float(field.spirals.axis_ratio[number, 1]), 0.3)
    x, y = place_on_canvas(field.camera, centre)
    distance, turn = _in_disc(x, y, ratio, float(field.spirals.angle[number]))
    size = float(np.clip(field.spirals.radius[number, 1], 1.0, 2.8))
    disc = np.exp(-1.678 * distance / size)
    pitch, n_arms = np.tan(np.deg2rad(rng.uniform(10, 30))), int(rng.integers(2, 4))
    phase = n_arms * (
        turn - np.log(np.maximum(distance, 0.05) / size) / pitch * rng.choice([-1, 1])
    )
    along = (0.5 + 0.5 * np.cos(phase + rng.uniform(0, 2 * np.pi))) ** rng.uniform(1.5, 4)
    arms = along * distance / size * np.exp(-1.678 * distance / (0.85 * size))
    in_arms = rng.uniform(0.35, 0.75)
    flux = scene.flux[1]
    blue = field.flux(field.some_blue(rng), dust)
    blue = blue / blue.sum() * flux.sum()
    return [bulge], [
        _painted(disc, (1 - in_arms) * flux, field),
        _painted(arms, in_arms * (0.7 * blue + 0.3 * flux), field),
    ]


def ring(
    field: Field, row: int, dust: np.ndarray, centre: np.ndarray, rng: np.random.Generator
) -> tuple[list[Scene], list[Painted]]:
    """A massive galaxy with a ring of new stars, brighter at one side, and knots in it."""
    x, y = place_on_canvas(field.camera, centre)
    distance, turn = _in_disc(x, y, rng.uniform(0.45, 1), rng.uniform(0, np.pi))
    radius = rng.uniform(0.9, 2.6)
    width = rng.uniform(0.12, 0.3) * radius
    light = np.exp(-0.5 * ((distance - radius) / width) ** 2)
    light *= 1 + rng.uniform(0, 0.7) * np.cos(turn - rng.uniform(0, 2 * np.pi))
    for _ in range(int(rng.integers(0, 7))):
        apart = np.angle(np.exp(1j * (turn - rng.uniform(0, 2 * np.pi)))) * radius
        near = apart**2 + (distance - radius) ** 2
        light += rng.uniform(0.3, 1.5) * np.exp(-0.5 * near / (0.5 * width) ** 2)
    scene = _massive(field, row, dust, centre)
    blue = field.flux(field.some_blue(rng), dust)
    flux = blue / blue.sum() * scene.flux.sum() * rng.uniform(0.08, 0.5)
    return [scene], [_painted(light, flux, field)]


def merger(
    field: Field, row: int, dust: np.ndarray, centre: np.ndarray, rng: np.random.Generator
) -> tuple[list[Scene], list[Painted]]:
    """Two or three galaxies near each other, with tails of stars."""
    camera = field.camera
    scenes = [_massive(field, row, dust, centre)]
    place = centre
    for _ in range(int(rng.integers(1, 3))):
        direction, apart = rng.uniform(0, 2 * np.pi), rng.uniform(0.8, 3.0) / camera.pixel_scale
        place = centre + apart * np.array([np.cos(direction), np.sin(direction)])
        other = int(rng.integers(len(field.spirals)))
        scenes.append(scene_of(field.spirals, other, dust, place, camera))
    flux, tails = scenes[-1].flux.sum(axis=0), []
    for _ in range(int(rng.integers(0, 3))):
        x, y = place_on_canvas(camera, place)
        # A part of a circle through the galaxy, which becomes fainter along it.
        curve, beyond = rng.uniform(0.8, 3.0), rng.uniform(0, 2 * np.pi)
        x, y = x - curve * np.cos(beyond), y - curve * np.sin(beyond)
        along = np.mod(np.arctan2(y, x) - beyond - np.pi, 2 * np.pi)
        across = np.hypot(x, y) - curve
        light = np.exp(-0.5 * (across / rng.uniform(0.12, 0.35)) ** 2 - along / rng.uniform(0.6, 2))
        tails.append(_painted(light, flux * rng.uniform(0.1, 0.4), field))
    return scenes, tails


#: What draws each of `KINDS`.
IMPOSTERS: dict[str, Draw] = {
    "elliptical": elliptical,
    "companions": companions,
    "spiral": spiral,
    "ring": ring,
    "merger": merger,
}
