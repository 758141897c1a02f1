"""A mock flare from the sky to its spectrum, against the truth that was put in.

    python benchmarks/observation.py -o DIR --data runs/observation
    python benchmarks/observation.py -o DIR --data runs/observation --seeds 20

Makes what is missing in the folder of --data: simulated gammas and protons, their reconstruction by
the shipped network lst4-stereo, the cuts and the instrument response by ctapipe's tools, a mock
observation of a source like the Crab Nebula in a flare, and its DL3. gammapy then measures the
source. With --seeds, as many observations of the source, and of an empty sky, are drawn from
simulated events besides: from those of the response, and from others. DIR/observation.md and .json
have the figures.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from ctapipe.core import run_tool
from ctapipe.irf.spectra import SPECTRA, Spectra
from ctapipe.tools.compute_irf import IrfTool
from ctapipe.tools.optimize_event_selection import EventSelectionOptimizer
from engine import machine
from matplotlib.figure import Figure
from observation_page import page
from observation_spectrum import REFERENCE, Measured, counts_of, measure, theta_squared
from observation_study import Pool, study
from telescopes import write_page

from gammalearn.io.observed.earth_rotation import offline
from gammalearn.plotting.style import (
    PALETTE,
    PICTURE_DPI,
    ROUND_NUMBERS,
    make_logarithmic,
    picture_style,
)
from gammalearn.run.observation import observe
from gammalearn.run.options import RunOptions
from gammalearn.run.reconstruction import predict
from gammalearn.settings.reading import load_observation, read_simulation
from gammalearn.simulation import simulate, simulate_observation

NETWORK = "lst4-stereo"

CONFIGURATION = Path(__file__).parents[1] / "docs" / "irf" / "lst4.yaml"

#: The source is in the South 20 deg from the zenith, which the network was trained for.
SOURCE = SkyCoord(83.6331 * u.deg, 8.76 * u.deg)
POINTING = SOURCE.directional_offset_by(90 * u.deg, 0.4 * u.deg)
CRAB_UNITS = 5.0

#: Showers of each file of the response and of the pool, and minutes of the mock observation.
SIZES = {
    "small": {"gamma": 2400, "proton": 2500, "minutes": 1.0},
    "full": {"gamma": 20000, "proton": 60000, "minutes": 4.0},
}

#: Simulated events that observations are drawn from: those of the response, and others.
POOLS = {"events of the response": "irf", "other events": "pool"}

#: Minutes of each drawn observation.
DRAWN_MINUTES = 4.0

OBSERVATION = """\
output: {path}
start: {start}
duration: {minutes} min
source:
  name: Mock flare
  ra: {ra}
  dec: {dec}
  crab_units: {crab_units}
  energy: [80 GeV, 20 TeV]
  scatter: [250, 400]
wobble_offset: 0.4 deg
wobble_angle: 90 deg
proton: {{energy: [400 GeV, 20 TeV], viewcone: 2 deg, scatter: [220, 400]}}
helium: {{energy: [800 GeV, 20 TeV], viewcone: 2 deg, scatter: [220, 400]}}
electron: {{energy: [100 GeV, 5 TeV], viewcone: 2 deg, scatter: [250, 350]}}
seed: 1
"""


@dataclass(frozen=True)
class Files:
    """What is made, in the order of the making."""

    data: Path
    size: str

    def simulated(self, use: str, particle: str) -> Path:
        """DL2 of simulated events, for the response (``irf``) or the ``pool``."""
        name = f"{use}_{particle}"
        path = self.data / "dl2" / f"{name}.dl2.h5"
        if not path.exists():
            dl1 = self.data / f"{name}.dl1.h5"
            if not dl1.exists():
                self._simulate(dl1, use, particle)
            predict(NETWORK, [str(dl1)], path.parent, RunOptions(progress=False))
        return path

    def _simulate(self, path: Path, use: str, particle: str) -> None:
        special = {
            # Flat, for the bins of the response at high energies.
            "gamma": {
                "offset": "0.4 deg",
                "energy": ["30 GeV", "10 TeV"],
                "spectral_index": -1.5,
            },
            "proton": {"viewcone": "3 deg", "energy": ["100 GeV", "20 TeV"]},
        }
        seed = 1 + 2 * ["irf", "pool"].index(use) + ["gamma", "proton"].index(particle)
        settings = {
            "output": str(path),
            "particle": particle,
            "n_showers": SIZES[self.size][particle],
            "scatter": "350 m",
            "seed": seed,
            "run": seed,
            **special[particle],
        }
        simulate(read_simulation(settings, "observation.py"), processes=1, progress=False)

    def response(self) -> tuple[Path, Path]:
        """The instrument response and its cuts."""
        irf, cuts = self.data / "irf.fits.gz", self.data / "cuts.fits"
        if not irf.exists():
            words = ["--config", str(CONFIGURATION), "--overwrite"]
            for particle in ("gamma", "proton"):
                words += [f"--{particle}-file", str(self.simulated("irf", particle))]
            # 70 % of the gammas at all energies: an optimum would need many more protons.
            percentile = [
                "--EventSelectionOptimizer.optimization_algorithm=PercentileCuts",
                "--GhPercentileCutCalculator.target_percentile=70",
            ]
            run_tool(
                EventSelectionOptimizer(), [*words, *percentile, "--output", str(cuts)], raises=True
            )
            run_tool(IrfTool(), [*words, "--cuts", str(cuts), "--output", str(irf)], raises=True)
        return irf, cuts

    def observed(self) -> Path:
        """DL1 of the mock observation."""
        path = self.data / "flare.dl1.h5"
        if not path.exists():
            minutes = SIZES[self.size]["minutes"]
            # The pointing culminates at 02:07:00 UTC.
            start = np.datetime64("2024-12-01T02:07:00") - np.timedelta64(int(30 * minutes), "s")
            settings = self.data / "flare.yaml"
            text = OBSERVATION.format(
                path=path,
                start=start,
                minutes=minutes,
                ra=SOURCE.ra.deg,
                dec=SOURCE.dec.deg,
                crab_units=CRAB_UNITS,
            )
            write_page(settings, text)
            simulate_observation(load_observation(settings, {}), processes=1, progress=False)
        return path

    def dl3(self) -> Path:
        """DL3 of the mock observation."""
        folder = self.data / "dl3"
        if not (folder / "obs-index.fits.gz").exists():
            irf, cuts = self.response()
            quiet = RunOptions(progress=False, overwrite=True)
            observe(NETWORK, [str(self.observed())], folder, quiet, irf=irf, cuts=cuts)
        return folder


def truth() -> dict[str, float]:
    """Flux at the reference and index of the source, as they were put in."""
    crab = SPECTRA[Spectra.CRAB_HEGRA]
    flux = (CRAB_UNITS * crab(REFERENCE)).to_value("cm-2 s-1 TeV-1")
    return {"flux": float(flux), "index": -float(crab.index)}


def pulls(measured: list[Measured]) -> dict[str, np.ndarray]:
    """Measured less true, in standard deviations."""
    true = truth()
    return {
        name: np.array(
            [(getattr(one, name) - true[name]) / getattr(one, f"{name}_error") for one in measured]
        )
        for name in true
    }


def draw_theta_squared(table, path: Path) -> None:
    """Counts against the squared angle to the source, and to its mirror image."""
    with picture_style():
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        low, high = (table[end].to_value("deg2") for end in ("low", "high"))
        middle, width = (low + high) / 2, (high - low) / 2
        for values, label, color in (
            (table["counts"], "source", PALETTE[0]),
            (table["counts_off"], "background", PALETTE[1]),
        ):
            error = np.sqrt(np.asarray(values, dtype=float))
            axes.errorbar(middle, values, error, width, fmt=".", color=color, label=label)
        axes.set(xlabel="θ² (deg²)", ylabel="events", ylim=(0, None))
        axes.legend()
        figure.savefig(path, dpi=PICTURE_DPI)


def draw_spectrum(measured: Measured, path: Path) -> None:
    """The fitted power law with its band, and what was put in."""
    true = truth()
    energy = np.geomspace(0.15, 5, 50)
    ratio = energy / REFERENCE.to_value(u.TeV)
    band = np.hypot(measured.flux_error / measured.flux, measured.index_error * np.log(ratio))
    fitted = measured.flux * ratio**-measured.index
    with picture_style():
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.subplots()
        axes.fill_between(
            energy, energy**2 * fitted * (1 - band), energy**2 * fitted * (1 + band),
            color=PALETTE[0], alpha=0.3, label="measured, 1 σ",
        )  # fmt: skip
        put_in = true["flux"] * ratio ** -true["index"]
        axes.plot(energy, energy**2 * put_in, color=PALETTE[1], label="put in")
        make_logarithmic(axes, "x", ROUND_NUMBERS)
        make_logarithmic(axes, "y", ROUND_NUMBERS)
        axes.set(xlabel="energy (TeV)", ylabel="E² dN/dE (TeV / (cm² s))")
        axes.legend()
        figure.savefig(path, dpi=PICTURE_DPI)


def figures_of(values: np.ndarray) -> dict[str, float]:
    """Mean and width with their errors, and how many values are beyond 2."""
    n, width = len(values), float(np.std(values, ddof=1))
    return {
        "mean": float(np.mean(values)),
        "mean_error": width / np.sqrt(n),
        "width": width,
        "width_error": width / np.sqrt(2 * (n - 1)),
        "beyond": int(np.sum(np.abs(values) > 2)),
    }


def many(files: Files, use: str, n_seeds: int) -> dict:
    """The figures of observations that are drawn from simulated events of one use."""
    irf, cuts = files.response()
    pool = Pool.read(files.simulated(use, "gamma"), files.simulated(use, "proton"), irf, cuts)
    values: dict[str, np.ndarray] = {}
    for name, crab_units in (("source", CRAB_UNITS), ("empty", 0.0)):
        folder = files.data / f"drawn_{use}_{name}"
        measured = study(
            pool, irf, folder, crab_units, 60 * DRAWN_MINUTES, POINTING, SOURCE,
            range(1, n_seeds + 1),
        )  # fmt: skip
        if crab_units:
            values |= {f"{name} (pull)": pull for name, pull in pulls(measured).items()}
        else:
            values["significance of an empty sky"] = np.array(
                [one.significance for one in measured]
            )
    is_gamma = np.asarray(pool.events["is_gamma"])
    return {
        "gammas": int(is_gamma.sum()),
        "protons": int((~is_gamma).sum()),
        "figures": {name: figures_of(some) for name, some in values.items()},
        "values": {name: some.tolist() for name, some in values.items()},
    }


def main() -> None:
    """Read the command line, make what is missing, measure, write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("runs/observation/results"))
    parser.add_argument("--data", type=Path, default=Path("runs/observation"))
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--seeds", type=int, default=0, help="observations to draw from a pool")
    options = parser.parse_args()
    files, began = Files(options.data, options.size), time.monotonic()
    options.output.mkdir(parents=True, exist_ok=True)
    with offline():
        folder = files.dl3()
        measured = measure(counts_of(folder, SOURCE))
        draw_theta_squared(theta_squared(folder, SOURCE), options.output / "observation_theta2.png")
        draw_spectrum(measured, options.output / "observation_spectrum.png")
        results = {
            "machine": machine("cpu"),
            "size": options.size,
            "minutes": SIZES[options.size]["minutes"],
            "network": NETWORK,
            "crab_units": CRAB_UNITS,
            "reference": f"{REFERENCE:g}",
            "truth": truth(),
            "observation": measured.as_dict(),
        }
        if options.seeds:
            results["drawn"] = {
                "seeds": options.seeds,
                "minutes": DRAWN_MINUTES,
                "pools": {name: many(files, use, options.seeds) for name, use in POOLS.items()},
            }
    results["seconds"] = round(time.monotonic() - began)
    seeds = f" --seeds {options.seeds}" if options.seeds else ""
    command = f"python benchmarks/observation.py -o DIR --size {options.size}{seeds}"
    write_page(options.output / "observation.json", json.dumps(results, indent=1) + "\n")
    write_page(options.output / "observation.md", page(results, command))
    print(page(results, command))


if __name__ == "__main__":
    main()
