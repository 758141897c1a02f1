"""A source in DL3, by gammapy alone: excess, significance, theta² and spectrum."""

from dataclasses import asdict, dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import Angle, SkyCoord
from astropy.table import QTable
from gammapy.data import DataStore, Observations
from gammapy.datasets import Datasets, SpectrumDataset
from gammapy.makers import ReflectedRegionsBackgroundMaker, SpectrumDatasetMaker
from gammapy.maps import MapAxis, RegionGeom
from gammapy.modeling import Fit
from gammapy.modeling.models import PowerLawSpectralModel, SkyModel
from regions import CircleSkyRegion

__all__ = ["ON_RADIUS", "REFERENCE", "Measured", "counts_of", "measure", "theta_squared"]

#: Radius of the region around the source, and of those that the background comes from.
ON_RADIUS = Angle("0.2 deg")

#: Energy at which the flux is compared: there, flux and index are nearly independent.
REFERENCE = 0.5 * u.TeV

RECO = MapAxis.from_energy_bounds("0.15 TeV", "5 TeV", nbin=9)
TRUE = MapAxis.from_energy_bounds("0.05 TeV", "10 TeV", nbin=30, name="energy_true")


@dataclass(frozen=True)
class Measured:
    """What the events in the region say of the source.

    Attributes
    ----------
    n_on, n_off : int
    alpha : float
        Factor from the regions of the background to that of the source.
    excess, significance : float
        Li & Ma (1983), formula 17, with a sign.
    livetime : float
        In s.
    flux, flux_error : float
        Differential flux at `REFERENCE`, in 1 / (cm² s TeV); NaN without a fit.
    index, index_error : float
        Photon index of the power law.
    """

    n_on: int
    n_off: int
    alpha: float
    excess: float
    significance: float
    livetime: float
    flux: float = np.nan
    flux_error: float = np.nan
    index: float = np.nan
    index_error: float = np.nan

    def as_dict(self) -> dict[str, float]:
        """All by name."""
        return asdict(self)


def counts_of(folder: Path, source: SkyCoord) -> Datasets:
    """Counts in the region of the source and in its reflections, one for each observation."""
    geometry = RegionGeom.create(CircleSkyRegion(source, ON_RADIUS), axes=[RECO])
    empty = SpectrumDataset.create(geom=geometry, energy_axis_true=TRUE)
    maker = SpectrumDatasetMaker(
        containment_correction=True, selection=["counts", "exposure", "edisp"]
    )
    background = ReflectedRegionsBackgroundMaker()
    datasets = Datasets()
    for observation in _observations(folder):
        name = str(observation.obs_id)
        datasets.append(background.run(maker.run(empty.copy(name=name), observation), observation))
    return datasets


def _observations(folder: Path) -> Observations:
    return DataStore.from_dir(folder).get_observations()


def measure(datasets: Datasets, with_spectrum: bool = True) -> Measured:
    """Excess and spectrum from the counts of some observations."""
    stacked = datasets.stack_reduce(name="all")
    info = stacked.info_dict()
    counts = Measured(
        n_on=int(info["counts"]),
        n_off=int(info["counts_off"]),
        alpha=float(info["alpha"]),
        excess=float(info["excess"]),
        significance=float(info["sqrt_ts"]),
        livetime=float(u.Quantity(info["livetime"]).to_value("s")),
    )
    if not with_spectrum:
        return counts
    spectrum = PowerLawSpectralModel(
        index=2.5, amplitude="1e-10 cm-2 s-1 TeV-1", reference=REFERENCE
    )
    stacked.models = [SkyModel(spectral_model=spectrum, name="source")]
    Fit().run(datasets=[stacked])
    flux, index = spectrum.amplitude, spectrum.index
    fitted = {
        "flux": float(flux.value),
        "flux_error": float(flux.error),
        "index": float(index.value),
        "index_error": float(index.error),
    }
    return Measured(**{**counts.as_dict(), **fitted})


def theta_squared(folder: Path, source: SkyCoord) -> QTable:
    """Events against the squared angle to the source, and to its mirror image in the pointing.

    Returns
    -------
    QTable
        ``low`` and ``high`` ends of the bins (deg²), ``counts`` and ``counts_off``.
    """
    edges = np.linspace(0, 0.2, 21)
    counts = np.zeros((2, len(edges) - 1), dtype=int)
    for observation in _observations(folder):
        pointing = observation.pointing.fixed_icrs
        mirror = pointing.directional_offset_by(
            pointing.position_angle(source) + 180 * u.deg, pointing.separation(source)
        )
        for row, place in enumerate((source, mirror)):
            separation = observation.events.radec.separation(place).deg
            counts[row] += np.histogram(separation**2, edges)[0]
    bins = {"low": edges[:-1] * u.deg**2, "high": edges[1:] * u.deg**2}
    return QTable({**bins, "counts": counts[0], "counts_off": counts[1]})
