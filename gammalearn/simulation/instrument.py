"""Arrays of telescopes: which stand where, and their description for ctapipe.

An array is known by name (a file in `layouts`) or read from a YAML file of the user with the same
keys: the height of its observation level, and for each telescope its type and position; the place
on Earth and its magnetic field are those of La Palma unless given.
"""

from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import combinations
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Literal, Self

import astropy.units as u
import numpy as np
import pydantic
import yaml
from astropy.coordinates import EarthLocation
from ctapipe.instrument import SubarrayDescription

from ..errors import SettingsError
from ..io import plain_yaml
from .telescopes import TELESCOPE_TYPES, TelescopeModel, telescope_model

__all__ = ["Array", "TelescopeModel", "array"]

#: Heights above sea level (m) that telescopes may stand at: higher up showers have not developed.
LOWEST_HEIGHT, HIGHEST_HEIGHT = 0.0, 10_000.0

#: Largest distance (m) of a telescope from the array's centre; beyond, the Earth is not flat.
LARGEST_DISTANCE = 10_000.0

#: Telescopes of one array; the largest that are planned have some 60.
MOST_TELESCOPES = 256

#: Upper limit (µT) of each component of the magnetic field; the Earth's is 65 µT at most.
STRONGEST_FIELD = 100.0

_TESLA = 1e-6  # per µT

_Distance = Annotated[float, pydantic.Field(ge=-LARGEST_DISTANCE, le=LARGEST_DISTANCE)]
_Field = Annotated[float, pydantic.Field(ge=-STRONGEST_FIELD, le=STRONGEST_FIELD)]


@dataclass(frozen=True, eq=False)
class Array:
    """An array of telescopes and its site.

    Parameters
    ----------
    name : str
    models : tuple of TelescopeModel, length n_tel
        The same object for telescopes of the same type.
    positions : ndarray, shape (n_tel, 3)
        In m, ground frame (x North, y West, z up from the observation level).
    tel_ids : ndarray of int, shape (n_tel,)
        From 1 in the order of the layout.
    subarray : ctapipe.instrument.SubarrayDescription
        Its reference location is the array's centre on the observation level.
    height : float
        Observation level in m above sea level.
    magnetic_field : ndarray, shape (3,)
        In tesla, ground frame (north, west, up).
    """

    name: str
    models: tuple[TelescopeModel, ...]
    positions: np.ndarray
    tel_ids: np.ndarray
    subarray: SubarrayDescription
    height: float
    magnetic_field: np.ndarray


def array(name_or_path: str | Path) -> Array:
    """An array of telescopes.

    Parameters
    ----------
    name_or_path : str or Path
        ``lst1``, ``lst4``, ``lst4_mst9`` or a YAML file with the keys of their files.

    Raises
    ------
    SettingsError
        If there is no such array, or its layout is wrong or impossible.
    """
    known = {Path(file.name).stem: file for file in _layout_files()}
    path = Path(name_or_path).expanduser()
    if str(name_or_path) in known:
        name, source = str(name_or_path), known[str(name_or_path)]
    elif path.is_file():
        name, source = path.stem, path
    else:
        raise SettingsError(
            f"There is no array '{name_or_path}': known are {', '.join(known)}, and YAML files of "
            "layouts that exist."
        )
    return _build(name, _read(source, name_or_path))


class _Values(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Place(_Values):
    """A telescope and where it stands (m, ground frame)."""

    type: Literal[TELESCOPE_TYPES]  # type: ignore[valid-type]  # the list is that of the models
    x: _Distance
    y: _Distance
    z: float


class _Layout(_Values):
    """An array: height in m, latitude and longitude in deg, magnetic field (north, west, up) in
    µT."""

    height: float
    latitude: float = pydantic.Field(28.7622, ge=-90, le=90)
    longitude: float = pydantic.Field(-17.8920, ge=-180, le=360)
    magnetic_field: tuple[_Field, _Field, _Field] = (30.8, 0.0, -23.2)
    telescopes: list[_Place] = pydantic.Field(min_length=1, max_length=MOST_TELESCOPES)

    @pydantic.model_validator(mode="after")
    def _possible(self) -> Self:
        for number, place in enumerate(self.telescopes, start=1):
            if place.z < 0:
                raise ValueError(f"telescope {number} stands {-place.z:g} m below the ground")
            height = self.height + place.z
            if not LOWEST_HEIGHT <= height < HIGHEST_HEIGHT:
                raise ValueError(
                    f"telescope {number} stands at {height:g} m above sea level, outside the "
                    f"{LOWEST_HEIGHT:g} to {HIGHEST_HEIGHT:g} m of air that showers are seen in"
                )
        for (i, one), (j, other) in combinations(enumerate(self.telescopes, start=1), 2):
            room = sum(telescope_model(place.type).mirror_radius for place in (one, other))
            if np.hypot(one.x - other.x, one.y - other.y) < room:
                raise ValueError(f"telescopes {i} and {j} stand in the same place")
        return self


def _layout_files() -> list[Traversable]:
    folder = files("gammalearn.simulation.layouts")
    return sorted(
        (file for file in folder.iterdir() if file.name.endswith(".yaml")), key=lambda f: f.name
    )


def _read(source: Path | Traversable, given: str | Path) -> _Layout:
    """The layout in a file; errors name it as the user did."""
    try:
        return _Layout.model_validate(plain_yaml.load(source.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"The array layout '{given}' is not a YAML file.") from error
    except pydantic.ValidationError as error:
        raise SettingsError(f"The array layout '{given}' is wrong: {_explain(error)}.") from error


def _explain(error: pydantic.ValidationError) -> str:
    """The first mistake: where, telescopes counted from 1, and what is expected there."""
    mistake = error.errors(include_url=False)[0]
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in mistake["loc"])
    match mistake["type"]:
        case "value_error":
            return mistake["msg"].removeprefix("Value error, ")
        case "missing":
            return f"'{where}' is missing"
        case "extra_forbidden":
            return f"'{where}' is not known"
        case "too_long":
            return (
                f"it has {len(mistake['input'])} telescopes, and at most {MOST_TELESCOPES} can be "
                "simulated"
            )
        case "model_type":
            return f"{where or 'it'} must be keys with values, such as `height: 2158`"
        case _:
            message = mistake["msg"][0].lower() + mistake["msg"][1:]
            given = shorten(repr(mistake["input"]), 100, placeholder=" …")
            return f"'{where}': {message}, got {given}"


def _build(name: str, layout: _Layout) -> Array:
    models = tuple(telescope_model(place.type) for place in layout.telescopes)
    positions = np.array([(place.x, place.y, place.z) for place in layout.telescopes])
    tel_ids = np.arange(1, len(models) + 1)
    subarray = SubarrayDescription(
        name=name,
        tel_positions=dict(zip(tel_ids.tolist(), positions * u.m, strict=True)),
        tel_descriptions={
            tel_id: model.description
            for tel_id, model in zip(tel_ids.tolist(), models, strict=True)
        },
        reference_location=EarthLocation.from_geodetic(
            lon=layout.longitude * u.deg, lat=layout.latitude * u.deg, height=layout.height * u.m
        ),
    )
    return Array(
        name=name,
        models=models,
        positions=positions,
        tel_ids=tel_ids,
        subarray=subarray,
        height=layout.height,
        magnetic_field=_TESLA * np.array(layout.magnetic_field),
    )
