"""What all settings share: how they are checked, numbers with units, and earlier names."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pydantic
from pydantic import BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

__all__ = [
    "STORED",
    "Degrees",
    "Hertz",
    "Metres",
    "Microseconds",
    "Minutes",
    "Nanoseconds",
    "Number",
    "Particle",
    "Settings",
    "Strings",
    "TeV",
    "as_list",
    "as_path",
    "current_name",
]

log = logging.getLogger(__name__)

#: Validation context of settings that a file of ours holds, such as a checkpoint: the reader cannot
#: change earlier names there, so no warning is given.
STORED = {"stored": True}

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
Microseconds = Annotated[float, _number_in("us"), Field(allow_inf_nan=False)]
Hertz = Annotated[float, _number_in("Hz"), Field(allow_inf_nan=False)]


#: A value of a parameter that another package defines; true and false stay what they are.
Number = bool | int | float | None


class Settings(pydantic.BaseModel):
    """What all settings share: unknown keys are refused, defaults are checked, and none changes."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, use_attribute_docstrings=True, frozen=True
    )

    renamed: ClassVar[Mapping[str, str]] = {}
    """Earlier names of settings, with those of today, both with their section. An earlier name is
    read with a warning."""

    @classmethod
    def current_key(cls, key: str) -> str:
        """The name, without its section, that a setting has today."""
        return {_key(old): _key(new) for old, new in cls.renamed.items()}.get(key, key)

    @model_validator(mode="before")
    @classmethod
    def _with_current_keys(cls, values: Any, info: ValidationInfo) -> Any:
        if not isinstance(values, Mapping):
            return values
        for old, new in cls.renamed.items():
            if _key(old) in values and _key(new) in values:
                raise ValueError(
                    f"{new} and {old} are two names of one setting; leave out {old}, the earlier "
                    "name"
                )
            if _key(old) in values and info.context != STORED:
                _warn(old, new)
        return {cls.current_key(key): value for key, value in values.items()}


def current_name(name: str, warn: bool = True) -> str:
    """The dotted name that a setting has today.

    Parameters
    ----------
    name : str
        Such as ``network.widths`` or ``simulation.0.energy``, of today or earlier.
    warn : bool
        Warn of an earlier name.
    """
    *section, key = name.split(".")
    without_numbers = ".".join([*(part for part in section if not part.isdecimal()), key])
    for model in Settings.__subclasses__():
        if without_numbers in model.renamed:
            new = model.renamed[without_numbers]
            if warn:
                _warn(without_numbers, new)
            return ".".join([*section, _key(new)])
    return name


def _key(name: str) -> str:
    return name.rpartition(".")[2]


@cache
def _warn(old: str, new: str) -> None:
    """Warn of an earlier name, once in a process."""
    log.warning("The setting %s has a new name, %s; change it in your settings.", old, new)
