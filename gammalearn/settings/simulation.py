"""Settings of one simulated file."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from .base import Degrees, Metres, Settings, TeV, as_path

__all__ = ["SimulationSettings", "check_energies", "check_hdf5", "with_nodes"]

#: Energies (TeV) of simulated showers: those below give no light, those above take a day each.
LOWEST_ENERGY, HIGHEST_ENERGY = 0.001, 1000

#: Largest angle from the zenith (deg) of simulated showers; beyond, the Earth's curvature counts.
LARGEST_ZENITH = 75


def check_energies(energy: tuple[float, float]) -> tuple[float, float]:
    """Refuse a range of energies (TeV) that cannot be simulated."""
    low, high = energy
    if not LOWEST_ENERGY <= low < high <= HIGHEST_ENERGY:
        raise ValueError(
            f"expected two increasing energies between {LOWEST_ENERGY} and {HIGHEST_ENERGY} "
            f"TeV, got {low:g} and {high:g} TeV"
        )
    return energy


def check_hdf5(output: str) -> str:
    """Refuse a name that is not of an HDF5 file."""
    if not output.endswith(".h5"):
        raise ValueError(f"expected a name that ends in .h5, got {output!r}")
    return output


class SimulationSettings(Settings):
    """One file of simulated events. A number can be text with another unit, such as `20 GeV`."""

    renamed: ClassVar = {"simulation.index": "simulation.spectral_index"}

    output: Annotated[str, BeforeValidator(as_path)]
    """DL1 file to write. A relative name starts from the working directory."""

    particle: Literal["gamma", "electron", "proton", "helium"]
    """Particle that hits the atmosphere."""

    array: str = "lst4"
    """Telescopes: ``lst1``, ``lst4``, ``lst4_mst9``, or a YAML file with a layout."""

    n_showers: int = Field(ge=1)
    """Number of showers to simulate. Most of them may trigger no telescope."""

    energy: tuple[TeV, TeV]
    """Lowest and highest energy (TeV)."""

    spectral_index: float = Field(-2.0, ge=-5, le=0)
    """Exponent of the energy spectrum. With -2, each decade has a tenth of the showers of the
    decade below."""

    viewcone: Degrees = Field(0.0, ge=0, le=20)
    """Radius (deg) of the disc in the sky, around the pointing, from which the showers come. 0 is a
    point source."""

    offset: Degrees = Field(0.0, ge=0, lt=10)
    """Angle (deg) between a point source and the pointing. The position angle of each shower is
    random."""

    scatter: Metres = Field(300.0, gt=0, le=10_000)
    """Radius (m) of the circle, perpendicular to the shower, in which the impact points lie."""

    reuse: int = Field(10, ge=1, le=100)
    """Number of impact points for each shower. Each can give an event."""

    zenith: Degrees = Field(20.0, ge=0, le=70)
    """Angle (deg) between the pointing and the zenith."""

    azimuth: Degrees = Field(180.0, ge=-360, le=360)
    """Azimuth (deg) of the pointing, from North to East."""

    min_telescopes: int | None = Field(None, ge=1)
    """Smallest number of telescopes that must trigger. By default 2, or 1 if the array has one
    telescope."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Seed of all random numbers, together with the run. Another seed gives other events."""

    run: int = Field(1, ge=1, lt=2**31)
    """Number of the run, which is the obs_id of its events."""

    waveforms: bool = False
    """Write the calibrated waveforms too (R1, in p.e. per sample), for networks with
    ``data.input=waveforms``. The file becomes some ten times as large."""

    @field_validator("output")
    @classmethod
    def _hdf5(cls, output: str) -> str:
        return check_hdf5(output)

    @field_validator("energy")
    @classmethod
    def _range(cls, energy: tuple[float, float]) -> tuple[float, float]:
        return check_energies(energy)

    @model_validator(mode="after")
    def _directions(self) -> Self:
        if self.viewcone and self.offset:
            raise ValueError(
                "offset is of a point source: set either offset or viewcone, and the other to 0"
            )
        if self.zenith + self.viewcone + self.offset > LARGEST_ZENITH:
            raise ValueError(
                f"zenith={self.zenith:g} deg with viewcone or offset lets showers come from more "
                f"than {LARGEST_ZENITH} deg from the zenith"
            )
        return self

    def shower_settings(self) -> dict[str, Any]:
        """All that decides what is simulated: everything but where it goes.

        Waveforms are named only where they are written: a file that has them serves as one without.
        """
        exclude = {"output"} if self.waveforms else {"output", "waveforms"}
        return self.model_dump(mode="json", exclude=exclude)


def with_nodes(value: Any) -> Any:
    """Simulations of which those with ``nodes`` become one for each node.

    A node is a pair of zenith and azimuth in deg. ``{zenith}`` and ``{azimuth}`` in the output
    stand for its angles. The runs of the nodes are numbered from the run of the entry on, so their
    showers and the ids of their events differ.

    Parameters
    ----------
    value : any
        The list of simulations as a user gives it.

    Raises
    ------
    ValueError
        If an entry has no valid list of nodes, or files of several nodes would have the same name.
    """
    if not isinstance(value, list | tuple):
        return value
    expanded: list[Any] = []
    for entry in value:
        if not isinstance(entry, Mapping) or "nodes" not in entry:
            expanded.append(entry)
            continue
        expanded += _of_nodes(dict(entry))
    return expanded


def _of_nodes(entry: dict[str, Any]) -> list[dict[str, Any]]:
    """The simulations of the nodes of one entry."""
    nodes = entry.pop("nodes")
    try:
        pairs = TypeAdapter(list[tuple[Degrees, Degrees]]).validate_python(nodes)
        first = TypeAdapter(int).validate_python(entry.pop("run", 1))
    except ValidationError as error:
        raise ValueError(
            f"nodes: expected pairs of zenith and azimuth in deg, such as [[20, 180], [40, 180]], "
            f"and a number as run, got {nodes!r}"
        ) from error
    if not pairs or {"zenith", "azimuth"} & set(entry):
        raise ValueError(
            "nodes give zenith and azimuth: give at least one node, and leave out zenith and "
            "azimuth"
        )
    output = str(entry.get("output", ""))
    files = [_output_of_node(output, *pair) for pair in pairs]
    if len(set(files)) < len(files):
        raise ValueError(
            f"{len(files)} nodes need files of different names: write {{zenith}} and {{azimuth}} "
            f"into the output {output!r}, and each node once"
        )
    return [
        {**entry, "output": file, "zenith": zenith, "azimuth": azimuth, "run": first + number}
        for number, (file, (zenith, azimuth)) in enumerate(zip(files, pairs, strict=True))
    ]


def _output_of_node(output: str, zenith: float, azimuth: float) -> str:
    return output.replace("{zenith}", f"{zenith:g}").replace("{azimuth}", f"{azimuth:g}")
