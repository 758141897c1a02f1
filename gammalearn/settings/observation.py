"""Settings of one mock observation."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from .base import Degrees, Hertz, Metres, Microseconds, Minutes, Settings, TeV, as_path
from .simulation import check_energies, check_hdf5

__all__ = ["DiffuseSettings", "ObservationSettings", "SourceSettings", "SpectrumSettings"]

#: Years in which times are known well enough to point by them.
FIRST_YEAR, LAST_YEAR = 1980, 2100


def _as_pair(value: Any) -> Any:
    """One radius is that of all energies."""
    return value if isinstance(value, list | tuple) else [value, value]


#: Radius (m) of the circle of impact points at the lowest and at the highest energy.
Scatter = Annotated[
    tuple[
        Annotated[Metres, Field(gt=0, le=10_000)],
        Annotated[Metres, Field(gt=0, le=10_000)],
    ],
    BeforeValidator(_as_pair),
]


class SpectrumSettings(Settings):
    """Spectrum of a source: a power law, with an exponential cut-off or a curvature if wanted."""

    flux: float = Field(gt=0, allow_inf_nan=False)
    """Differential flux at the reference energy, in 1 / (cm² s TeV)."""

    reference_energy: TeV = Field(1.0, gt=0)
    """Reference energy (TeV)."""

    spectral_index: float = Field(-2.5, ge=-6, le=0)
    """Exponent of the power law."""

    cutoff: TeV | None = Field(None, gt=0)
    """Energy (TeV) of an exponential cut-off."""

    curvature: float = Field(0.0, ge=-2, le=0)
    """Curvature of a log-parabola: what is added to the exponent for each decade above the
    reference energy."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if self.cutoff is not None and self.curvature:
            raise ValueError("set either cutoff or curvature, not both")
        return self


class SourceSettings(Settings):
    """The source that is observed. By default, the Crab Nebula."""

    name: str = Field("Crab Nebula", min_length=1, max_length=100)
    """Name of the source, which the file has as the name of the target."""

    ra: Degrees = Field(83.6331, ge=0, lt=360)
    """Right ascension (deg, ICRS)."""

    dec: Degrees = Field(22.0145, ge=-90, le=90)
    """Declination (deg, ICRS)."""

    crab: Literal["hegra", "magic"] = "hegra"
    """Spectrum of the Crab Nebula that the source has unless ``spectrum`` is set: the power law of
    HEGRA (2004) or the log-parabola of MAGIC (2015)."""

    crab_units: float = Field(1.0, ge=0, le=1000)
    """Flux in units of that of the Crab Nebula. 0 is an empty sky."""

    spectrum: SpectrumSettings | None = None
    """A spectrum of the source's own, instead of that of the Crab Nebula."""

    extension: Degrees = Field(0.0, ge=0, le=2)
    """Standard deviation (deg), in each direction, of a Gaussian. 0 is a point source."""

    energy: tuple[TeV, TeV] = (0.03, 30.0)
    """Lowest and highest energy (TeV) of the simulated gammas."""

    scatter: Scatter = (250.0, 450.0)
    """Radius (m) of the circle, perpendicular to the shower, in which the impact points lie: at the
    lowest and at the highest energy. Between them it grows with the logarithm of the energy. One
    number is the radius at all energies."""

    @field_validator("energy")
    @classmethod
    def _range(cls, energy: tuple[float, float]) -> tuple[float, float]:
        return check_energies(energy)

    @model_validator(mode="after")
    def _one_flux(self) -> Self:
        if self.spectrum is not None and self.crab_units != 1:
            raise ValueError("crab_units is of the Crab's spectrum: leave it out, or spectrum")
        return self


class DiffuseSettings(Settings):
    """Particles that come from everywhere in the sky, with the spectrum measured at Earth."""

    energy: tuple[TeV, TeV]
    """Lowest and highest energy (TeV) of the simulated particles."""

    viewcone: Degrees = Field(4.0, gt=0, le=20)
    """Radius (deg) of the disc in the sky, around the pointing, from which the particles come."""

    scatter: Scatter = (300.0, 450.0)
    """Radius (m) of the circle, perpendicular to the shower, in which the impact points lie: at the
    lowest and at the highest energy. Between them it grows with the logarithm of the energy. One
    number is the radius at all energies."""

    flux_factor: float = Field(1.0, ge=0, le=1000)
    """Factor on the measured flux."""

    @field_validator("energy")
    @classmethod
    def _range(cls, energy: tuple[float, float]) -> tuple[float, float]:
        return check_energies(energy)


def _as_utc(value: Any) -> Any:
    """A time in ISO's form, in UTC; what has no zone is UTC already."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(
                f"expected a time in UTC such as 2024-12-01T03:20:00, got {value!r}"
            ) from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        return value
    if not FIRST_YEAR <= value.year < LAST_YEAR:
        raise ValueError(f"expected a time between {FIRST_YEAR} and {LAST_YEAR}, got {value}")
    return (value.astimezone(UTC) if value.tzinfo else value).replace(tzinfo=None).isoformat()


class ObservationSettings(Settings):
    """One file of a mock observation. A number can be text with another unit, such as `20 GeV`."""

    output: Annotated[str, BeforeValidator(as_path)]
    """DL1 file to write. A relative name starts from the working directory. A YAML file of settings
    without it stands for a DL1 file of the same name beside it. The truth is written beside the DL1
    file, in a file that ends in ``.truth.ecsv``."""

    array: str = "lst4"
    """Telescopes: ``lst1``, ``lst4``, ``lst4_mst9``, or a YAML file with a layout."""

    start: Annotated[str, BeforeValidator(_as_utc)] = "2024-12-01T03:20:00"
    """When the observation starts, in UTC."""

    duration: Minutes = Field(1.0, gt=0, le=1440)
    """Duration (min) of the observation."""

    source: SourceSettings = SourceSettings()
    """The source."""

    wobble_offset: Degrees = Field(0.4, ge=0, le=5)
    """Angle (deg) between the source and the pointing, which follows the sky."""

    wobble_angle: Degrees = Field(0.0, ge=-360, le=360)
    """Position angle (deg) of the pointing as seen from the source, from North to East."""

    proton: DiffuseSettings | None = DiffuseSettings(energy=(0.3, 30.0))
    """Diffuse protons, by default from 0.3 to 30 TeV. ``null`` for none."""

    helium: DiffuseSettings | None = DiffuseSettings(energy=(0.6, 30.0))
    """Diffuse helium nuclei, by default from 0.6 to 30 TeV. ``null`` for none."""

    electron: DiffuseSettings | None = DiffuseSettings(energy=(0.05, 5.0))
    """Diffuse electrons and positrons, by default from 0.05 to 5 TeV. ``null`` for none."""

    pedestal_rate: Hertz = Field(10.0, ge=0, le=1000)
    """Rate (Hz) of interleaved pedestal events. 0 for none."""

    dead_time: Microseconds = Field(7.0, ge=0, le=10_000)
    """Time (µs) after a recorded event in which no other event is recorded."""

    night_sky: float = Field(1.0, ge=0, le=20)
    """Brightness of the night sky in units of the dark sky of La Palma, which all simulations have
    by default."""

    reflectivity: float = Field(1.0, gt=0, le=1.2)
    """Factor on the reflectivity of the mirrors, both for Cherenkov light and for the night sky."""

    dead_pixels: float = Field(0.0, ge=0, le=0.5)
    """Fraction of the pixels of each camera that give no signal. The file flags them as an
    observatory does."""

    gain: float = Field(1.0, gt=0, le=3)
    """Factor on all charges that the calibration has wrong."""

    gain_spread: float = Field(0.0, ge=0, le=0.5)
    """Relative standard deviation, from pixel to pixel, of what the calibration has wrong."""

    min_telescopes: int | None = Field(None, ge=1)
    """Smallest number of telescopes that must trigger. By default 2, or 1 if the array has one
    telescope."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of all random numbers, together with the run. Another seed gives other events."""

    run: int = Field(1, ge=1, lt=2**31)
    """Number of the run, which is the obs_id of its events."""

    @field_validator("output")
    @classmethod
    def _hdf5(cls, output: str) -> str:
        return check_hdf5(output)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.source.crab_units or self.diffuse() or self.pedestal_rate):
            raise ValueError("nothing is to be observed: set a source, particles or pedestals")
        return self

    def diffuse(self) -> dict[str, DiffuseSettings]:
        """Particles that come from everywhere, by name: those alone that have a flux."""
        named = {"proton": self.proton, "helium": self.helium, "electron": self.electron}
        return {name: some for name, some in named.items() if some and some.flux_factor}
