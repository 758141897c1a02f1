"""What all settings share: how they are checked, and numbers with units."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field

__all__ = [
    "Degrees",
    "Metres",
    "Minutes",
    "Nanoseconds",
    "Number",
    "Particle",
    "Settings",
    "Strings",
    "TeV",
    "as_list",
    "as_path",
]

Particle = Literal["gamma", "electron", "proton"]


def as_path(value: Any) -> Any:
    return str(Path(value).expanduser()) if isinstance(value, str | Path) else value


def as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | int | Path) else value


def _as_str_list(value: Any) -> Any:
    value = as_list(value)
    if not isinstance(value, list | tuple):
        return value
    return [str(v) if isinstance(v, Path) else v for v in value]


#: One file, glob or expression may stand for a list of one.
Strings = Annotated[list[str], BeforeValidator(_as_str_list)]


def _number_in(name: str) -> BeforeValidator:
    """A validator that turns a quantity, such as ``"20 GeV"``, into a number in a unit."""

    def convert(value: Any) -> Any:
        if isinstance(value, int | float):
            return value
        if isinstance(value, str):
            with suppress(ValueError):
                return float(value)
        # Slow to import, and few settings are quantities.
        import astropy.units as u

        unit = u.Unit(name)
        if isinstance(value, str):
            try:
                value = u.Quantity(value.strip())
            except (TypeError, ValueError):
                raise ValueError(
                    f"expected a number ({unit}) or a number with a unit, got {value!r}"
                ) from None
        if isinstance(value, u.Quantity):
            if not value.unit.is_equivalent(unit):
                raise ValueError(f"expected a number ({unit}) or a unit like it, got '{value}'")
            value = value.to_value(unit)
        return value

    return BeforeValidator(convert)


#: Numbers in these units; text and astropy quantities of other units are converted.
TeV = Annotated[float, _number_in("TeV"), Field(allow_inf_nan=False)]
Degrees = Annotated[float, _number_in("deg"), Field(allow_inf_nan=False)]
Metres = Annotated[float, _number_in("m"), Field(allow_inf_nan=False)]
Nanoseconds = Annotated[float, _number_in("ns"), Field(allow_inf_nan=False)]
Minutes = Annotated[float, _number_in("min"), Field(allow_inf_nan=False)]


#: A value of a parameter that another package defines; true and false stay what they are.
Number = bool | int | float | None


class Settings(pydantic.BaseModel):
    """What all settings share: unknown keys are refused, defaults are checked, and none changes."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, use_attribute_docstrings=True, frozen=True
    )
