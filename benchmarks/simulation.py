"""Figures and pictures of the simulation: its speed, and its showers against references.

    python benchmarks/simulation.py -o DIR                     # everything, a quarter of an hour
    python benchmarks/simulation.py --quick -o DIR             # the same with a tenth of the events
    python benchmarks/simulation.py --figures lateral muon -o DIR

Prints every figure and writes them to DIR/simulation.json, pictures to DIR/simulation_NAME.png.
Comparisons with CORSIKA need the test data (--data, or GAMMALEARN_TEST_DATA) and the package
eventio, which ctapipe[all] brings along.
"""

import argparse
import json
import math
import multiprocessing
import os
import platform
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import astropy.units as u
import matplotlib.pyplot as plt
import numpy as np
import shower_measurements as measure
import shower_references as references
import tables
from astropy.table import Table
from ctapipe.io import EventSource
from ctapipe.visualization import CameraDisplay

from gammalearn.settings import SimulationSettings
from gammalearn.simulation import simulate
from gammalearn.simulation.telescopes import telescope_model

SIMULATED, GAMMAS, PROTONS, REFERENCE = "tab:blue", "tab:blue", "tab:red", "black"

#: What the speed is measured with.
RUNS = {
    "gamma": dict(particle="gamma", energy=(0.05, 5.0), scatter=300.0, viewcone=0.0),
    "proton": dict(particle="proton", energy=(0.1, 20.0), scatter=350.0, viewcone=3.0),
}

#: Edges of energies (TeV) about those of the requirement on four LSTs.
ENERGY_EDGES = np.array([0.05, 0.08, 0.134, 0.224, 0.355, 0.67, 1.5])

#: Showers that come down among the telescopes have their cores within so many metres.
INNER_CORES = 150.0

#: Of images that the camera's edge does not cut, an event with a good direction has so many.
GOOD_IMAGES = 3

#: Those of Prod3b's protons that are simulated like them, and how many times.
PROD3B_PROTONS = {"energy": (0.05, 20.0), "offset": 4.0, "core": 400.0}
PROD3B_SHOWERS, PROD3B_REUSE = 4000, 5

#: Edges of the light of images (p.e.).
INTENSITY_EDGES = np.geomspace(50.0, 20_000.0, 10)


class Benchmark:
    """What all figures share: where to write, how much to simulate, the references.

    Parameters
    ----------
    output : Path
        Folder of pictures and figures.
    data : Path or None
        Folder of test data.
    quick : bool
        Simulate a tenth.
    seed : int
    """

    def __init__(self, output, data, quick, seed):
        self.output = Path(output)
        self.data = data
        self.quick = quick
        self.seed = seed
        self.files = self.output / "files"
        self.files.mkdir(parents=True, exist_ok=True)

    def n(self, full: int) -> int:
        """Of a number of showers or events, what is to be simulated."""
        return max(full // 10, 5) if self.quick else full

    def gammas(self) -> Path:
        """Gammas in the axis of four LSTs, 20 degrees from the zenith."""
        return measure.simulated_file(
            self.files,
            "gamma",
            particle="gamma",
            n_showers=self.n(1500),
            energy=(0.04, 4.0),
            spectral_index=-1.5,
            scatter=300.0,
            reuse=5,
            seed=self.seed,
        )

    def protons(self) -> Path:
        """Protons from all over the field of view of four LSTs."""
        return measure.simulated_file(
            self.files,
            "proton",
            particle="proton",
            n_showers=self.n(8000),
            energy=(0.05, 20.0),
            viewcone=4.0,
            scatter=400.0,
            reuse=5,
            seed=self.seed,
        )

    def save(self, figure, name):
        """Write a picture, made for a page 700 pixels wide."""
        figure.savefig(self.output / f"simulation_{name}.png", dpi=110)
        plt.close(figure)


# --- Figures ------------------------------------------------------------------------------------


def throughput(benchmark) -> dict:
    """Triggered events per second on one process, all that makes and writes them included."""
    result = {}
    for particle, run in RUNS.items():
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, context) as pool, tempfile.TemporaryDirectory() as folder:
            n_showers = benchmark.n(2000)
            speed = pool.submit(_speed, run, n_showers, benchmark.seed, folder)
            result[particle] = speed.result()
        print("{:8s} {events} events of {showers} showers: {per_second:.0f} events/s, {per_cpu_second:.0f} per second of CPU time; {memory:.2f} GB at most".format(particle, **result[particle]))  # noqa: E501  # fmt: skip
    return result


def _speed(run, n_showers, seed, folder):
    common = dict(run, array="lst4", spectral_index=-2.0, reuse=10, seed=seed)
    # Compile first.
    warm_up = SimulationSettings(output=f"{folder}/warm_up.dl1.h5", n_showers=30, **common)
    simulate(warm_up, progress=False)
    wall, cpu = time.perf_counter(), time.process_time()
    path = Path(folder) / "timed.dl1.h5"
    simulate(SimulationSettings(output=str(path), n_showers=n_showers, **common), progress=False)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    with tables.open_file(path) as file:
        n_events = int(file.root.dl1.event.subarray.trigger.nrows)
    return {
        "showers": n_showers,
        "events": n_events,
        "per_second": n_events / wall,
        "per_cpu_second": n_events / cpu,
        "memory": memory,
    }


def profile(benchmark) -> dict:
    """Electrons against depth, and Greisen's formula."""
    result = {}
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    for i, (energy, n_showers) in enumerate({30: 3000, 100: 1000, 300: 400, 1000: 150}.items()):
        depth, profiles = measure.longitudinal_profile(
            energy, benchmark.n(n_showers), benchmark.seed
        )
        mean = profiles.mean(axis=0)
        error = profiles.std(axis=0) / math.sqrt(len(profiles))
        inside = (depth >= 20.0) & (depth <= 1000.0)
        depth, mean, error = depth[inside], mean[inside], error[inside]
        expected = references.greisen(depth, energy) * references.share_above(
            0.020, references.shower_age(depth, energy)
        )
        color = f"C{i}"
        axes.fill_between(depth, mean - error, mean + error, color=color, alpha=0.3, lw=0)
        axes.plot(depth, mean, color=color, label=f"{energy} GeV")
        axes.plot(depth, expected, "--", color=color)
        result[energy] = {
            "depth of maximum": float(depth[mean.argmax()]),
            "Greisen's depth of maximum": float(depth[expected.argmax()]),
            "maximum over Greisen's": float(mean.max() / expected.max()),
            "track length over Greisen's": float(mean.sum() / expected.sum()),
        }
        print(f"{energy} GeV:", _line(result[energy]))
    axes.plot([], [], "k--", label="Greisen, Nerling")
    axes.set(
        xlabel="Depth / (g/cm²)", ylabel="Electrons above 20 MeV", yscale="log", ylim=(0.3, None)
    )
    axes.legend()
    benchmark.save(figure, "profile")
    return result


def lateral(benchmark) -> dict:
    """Photons per m² against core distance, and CORSIKA's."""
    distances = np.array(
        [5, 20, 35, 50, 65, 80, 90, 100, 108, 115, 122, 130, 140, 160, 190, 230, 290]
    )
    density = measure.lateral_density(100.0, distances, benchmark.n(1000), benchmark.seed)
    mean = density.mean(axis=0)
    error = density.std(axis=0) / math.sqrt(len(density))
    plateau = mean[distances <= 65].mean()
    result = {
        "plateau": float(plateau),
        "hump": float(mean.max()),
        "hump at": float(distances[mean.argmax()]),
        "at 190 m": float(mean[distances == 190][0]),
    }
    print("100 GeV, photons per m²:", _line(result))

    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    axes.fill_between(distances, mean - error, mean + error, color=SIMULATED, alpha=0.4, lw=0)
    axes.plot(distances, mean, color=SIMULATED, label="simulated, mean of 100 GeV")
    if benchmark.data:
        places = measure.light_like_corsika(benchmark.data, benchmark.n(300), benchmark.seed)
        result["CORSIKA"] = _against_corsika(places, axes)
    axes.set(
        xlabel="Core distance / m",
        ylabel="Photons per m² and 100 GeV, 300–600 nm",
        xlim=(0, None),
        ylim=(0, None),
    )
    axes.legend(fontsize="small")
    benchmark.save(figure, "lateral")
    return result


def _against_corsika(places, axes):
    """Draw CORSIKA's places and the same simulated, and return their ratios."""
    simulated = np.asarray(places["simulated"])
    keys = list(dict.fromkeys(zip(places["file"], places["shower"], strict=True)))
    ratios = {}
    for (file, shower), marker in zip(keys, "osD^", strict=True):
        own = (places["file"] == file) & (places["shower"] == shower)
        distance, energy = places["distance"][own], places["energy"][own]
        scale = 100.0 / energy
        label = f"{energy[0]:.0f} GeV"
        order = np.argsort(distance)
        axes.plot(
            distance,
            places["density"][own] * scale,
            marker,
            color=REFERENCE,
            label=f"CORSIKA, {label}",
        )
        axes.errorbar(
            distance[order] + 1.5,
            simulated[own].mean(axis=1)[order] * scale[order],
            yerr=simulated[own].std(axis=1)[order] * scale[order],
            fmt=marker,
            color=SIMULATED,
            alpha=0.5,
            ms=5,
            lw=0.8,
        )
        # Places of one shower fluctuate together: a shower is one measurement.
        ratio = simulated[own].sum(axis=0) / places["density"][own].sum()
        ratios[f"{label} over CORSIKA"] = float(ratio.mean())
        ratios[f"{label} rms of a shower"] = float(ratio.std() / ratio.mean())
    axes.errorbar([], [], [], fmt="o", color=SIMULATED, alpha=0.5, label="simulated likewise, rms")
    overall = simulated.mean(axis=1) / places["density"]
    ratios["density over CORSIKA"] = float(overall.mean())
    for name in ("width", "length", "duration"):
        ratios[f"{name} over CORSIKA"] = float(
            (np.asarray(places[f"simulated_{name}"]).mean(axis=1) / places[name]).mean()
        )
    print("like CORSIKA's showers:", _line(ratios))
    return ratios


def light(benchmark) -> dict:
    """All light and that within 120 m of the core, over the energy of gammas."""
    result = {}
    energies = {50: 300, 100: 200, 200: 100, 500: 50, 1000: 30, 3000: 16}
    for energy, n_showers in energies.items():
        total, pool = measure.light_on_the_ground(energy, benchmark.n(n_showers), benchmark.seed)
        expected = references.expected_light(energy, measure.LA_PALMA)
        result[energy] = {
            "photons per GeV": float(total.mean() / energy),
            "expected": float(expected / energy),
            "ratio": float(total.mean() / expected),
            "error": float(total.std() / math.sqrt(len(total)) / expected),
            "pool": float(pool.mean() / energy * 100.0),
            "error of pool": float(pool.std() / math.sqrt(len(pool)) / energy * 100.0),
        }
        print(f"{energy} GeV:", _line(result[energy]))
    values = {key: np.array([result[energy][key] for energy in energies]) for key in result[50]}
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
    energy = np.array(list(energies)) / 1000.0
    left.errorbar(
        energy,
        values["photons per GeV"],
        values["error"] * values["expected"],
        fmt="o",
        color=SIMULATED,
        label="simulated",
    )
    left.plot(energy, values["expected"], "k--", label="Greisen, Nerling, Frank and Tamm")
    left.set(xscale="log", ylabel="Photons on the ground per GeV", ylim=(0, None))
    left.legend(fontsize="small", loc="lower right")
    right.errorbar(
        energy, values["pool"], values["error of pool"], fmt="o", color=SIMULATED, label="simulated"
    )
    right.set(xscale="log", ylabel="per m² and 100 GeV within 120 m", ylim=(0, None))
    for axes in (left, right):
        axes.set_xlabel("Energy / TeV")
    benchmark.save(figure, "light")
    return result


def muon(benchmark) -> dict:
    """Rings of muons: radius and light."""
    mirror = telescope_model("LST").mirror_radius
    result, energies = {}, np.array([6, 7, 8, 10, 14, 20, 30, 50, 100])
    radius, photons = [], []
    for energy in energies:
        angle, n_photons = measure.muon_light(energy, benchmark.n(200), benchmark.seed, mirror)
        # Some muons decay on the way.
        radius.append(np.median(angle))
        photons.append(np.median(n_photons))
    expected = np.array([references.muon_ring(measure.LA_PALMA, mirror, E) for E in energies])
    model, readouts = measure.muon_images(30.0, benchmark.n(100), benchmark.seed, impact=3.0)
    ring, electrons = measure.fitted_rings(model, readouts)
    result = {
        "radius at 50 GeV": float(radius[-2]),
        "expected radius": float(np.degrees(expected[-2, 0])),
        "photons at 50 GeV": float(photons[-2]),
        "expected photons": float(expected[-2, 1]),
        "fitted radius at 30 GeV": float(np.median(ring)),
        "photoelectrons at 30 GeV, 3 m off": float(np.median(electrons)),
    }
    print("muons:", _line(result))

    figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2), layout="constrained")
    left.plot(energies, np.degrees(expected[:, 0]), "k--", label="Cherenkov angle")
    left.plot(energies, radius, "o", color=SIMULATED, label="photons")
    left.plot([30], [np.median(ring)], "s", color="tab:orange", label="rings fitted by ctapipe")
    left.set(xscale="log", ylabel="Radius / deg", ylim=(0, 1.4))
    right.plot(energies, expected[:, 1], "k--", label="Vacanti")
    right.plot(energies, photons, "o", color=SIMULATED, label="simulated")
    right.set(xscale="log", ylabel="Photons on an LST's mirror", ylim=(0, None))
    for axes in (left, right):
        axes.set_xlabel("Energy / GeV")
        axes.legend(fontsize="small")
    benchmark.save(figure, "muon")
    return result


def hillas(benchmark) -> dict:
    """Width and length of images of gammas against their light, and those of real images."""
    table = measure.images(benchmark.gammas())
    pairs = _real_and_again(benchmark) if benchmark.data else None
    figure, axes = plt.subplots(2, 2, figsize=(7.6, 5.6), layout="constrained")
    middle = np.sqrt(INTENSITY_EDGES[1:] * INTENSITY_EDGES[:-1])
    result = {}
    for row, (prefix, what) in enumerate({"": "cleaned", "true_": "photoelectrons"}.items()):
        good = table[table[f"{prefix}leakage"] < 0.1]
        light = good[f"{prefix}intensity"]
        for axis, name in zip(axes[row], ("width", "length"), strict=True):
            median, _ = measure.median_in_bins(light, good[prefix + name], INTENSITY_EDGES, 20)
            low, high = _band(light, good[prefix + name], INTENSITY_EDGES)
            axis.fill_between(middle, low, high, color=SIMULATED, alpha=0.25, lw=0)
            axis.plot(middle, median, color=SIMULATED, label="simulated, 20°, 40 GeV to 4 TeV")
            if pairs is not None:
                column = prefix + name
                for kind, style, color, label in (
                    ("", "o", REFERENCE, "CORSIKA and sim_telarray, 40°"),
                    ("again_", "o", "tab:orange", "the same events, simulated"),
                ):
                    axis.plot(
                        pairs[f"{kind}{prefix}intensity"],
                        pairs[f"{kind}{column}"],
                        style,
                        color=color,
                        ms=4,
                        label=label,
                    )
                ratio = pairs[f"again_{column}"] / pairs[column]
                result[f"{column} over real"] = float(np.nanmean(ratio))
            axis.set(
                xscale="log",
                xlabel="Light / p.e.",
                ylabel=f"{name.capitalize()} / deg, {what}",
                ylim=(0, None),
            )
    if pairs is not None:
        for prefix in ("", "true_"):
            column = f"{prefix}intensity"
            ratio = pairs[f"again_{column}"] / pairs[column]
            result[f"{column} over real"] = float(np.nanmean(ratio))
    axes[0, 0].legend(fontsize="x-small", loc="upper left")
    print("real events simulated again, mean over images:", _line(result))
    benchmark.save(figure, "hillas")
    return result


def _real_and_again(benchmark):
    """Real images of gammas, beside them the medians (again_...) of their simulations."""
    real = references.lst_images(benchmark.data, references.GAMMA_FILES[:1])
    rows = []
    for number in np.unique(real["event_id"]):
        event = real[real["event_id"] == number]
        again = measure.like_real_event(benchmark.files, event, benchmark.n(300), benchmark.seed)
        for image in measure.image_columns(event):
            same = again[again["tel_id"] == image["tel_id"]]
            row = {}
            for name in (
                prefix + name
                for prefix in ("", "true_")
                for name in ("intensity", "width", "length")
            ):
                row[name] = image[name]
                row[f"again_{name}"] = np.nanmedian(same[name])
            rows.append(row)
    return Table(rows=rows)


def _band(x, y, edges):
    """Quantiles of y, 16 % and 84 %, in bins of x."""
    low, high = np.full((2, len(edges) - 1), np.nan)
    for i, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        inside = y[(x >= first) & (x < last)]
        inside = inside[np.isfinite(inside)]
        if len(inside) >= 20:
            low[i], high[i] = np.quantile(inside, [0.16, 0.84])
    return low, high


def protons(benchmark) -> dict:
    """Gammas and protons: light, width, islands."""
    images = {
        "gammas": measure.images(benchmark.gammas()),
        "protons": measure.images(benchmark.protons()),
    }
    figure, axes = plt.subplots(4, 2, figsize=(7.6, 11.2), layout="constrained")
    result = {
        **_light_of_protons(benchmark, *axes[0]),
        **_cleaned_images(benchmark, images, *axes[1]),
        **_true_images(benchmark, images["gammas"], axes[2:]),
    }
    for key, value in result.items():
        print(f"{key}: {value}")
    benchmark.save(figure, "protons")
    return result


def _light_of_protons(benchmark, left, right):
    """Light in the pool against energy, and energies that give as much."""
    energies = {100: 600, 200: 400, 400: 200, 1000: 100, 2500: 40}
    energy = np.array(list(energies), dtype=float)
    light, error = {}, {}
    for who, kind, color in (
        ("gammas", measure.particles.GAMMA, GAMMAS),
        ("protons", measure.particles.PROTON, PROTONS),
    ):
        some = [
            measure.pool_light(E, benchmark.n(n), benchmark.seed, kind) for E, n in energies.items()
        ]
        light[who] = np.array([values.mean() for values in some])
        error[who] = np.array([values.std() / math.sqrt(len(values)) for values in some])
        left.errorbar(energy / 1000.0, light[who], error[who], fmt="o-", color=color, label=who)
    models = "protons, SIBYLL and UrQMD"
    model_light = np.array([references.PROTON_LIGHT[E] for E in energies])
    left.errorbar(
        energy / 1000.0, *model_light.T, fmt="s", mfc="none", color=REFERENCE, label=models
    )
    left.set(
        xscale="log",
        yscale="log",
        xlabel="Energy / TeV",
        ylabel="Photons per m² within 120 m",
    )
    left.legend(fontsize="small")

    result = {
        "light of protons over SIBYLL's and UrQMD's": {
            f"{E:.0f} GeV": f"{ratio:.2f} ± {spread:.2f}"
            for E, ratio, spread in zip(
                energy,
                light["protons"] / model_light[:, 0],
                np.hypot(error["protons"], model_light[:, 1]) / model_light[:, 0],
                strict=True,
            )
        }
    }
    # Light is close to a power of the energy between two energies.
    of_gammas = np.geomspace(100.0, 1000.0, 19)
    brightness = np.interp(np.log(of_gammas), np.log(energy), np.log(light["gammas"]))
    for who, of_protons, style in (
        ("protons, simulated", light["protons"], {"color": PROTONS}),
        (models, model_light[:, 0], {"color": REFERENCE, "ls": "--"}),
    ):
        same = np.exp(np.interp(brightness, np.log(of_protons), np.log(energy)))
        right.plot(of_gammas / 1000.0, same / of_gammas, label=who, **style)
        result[f"{who}: energy over that of gammas of as much light"] = {
            f"{E:.0f} GeV": round(float(np.interp(E, of_gammas, same / of_gammas)), 2)
            for E in (100.0, 200.0, 500.0, 1000.0)
        }
    right.axhspan(2.0, 3.0, color="0.9", zorder=0)
    right.set(
        xscale="log",
        ylim=(1.0, 5.0),
        xlabel="Energy of a gamma / TeV",
        ylabel="Energy of a proton over that\nof a gamma of as much light",
    )
    right.legend(fontsize="small")
    if benchmark.data:
        ((place, _),) = references.corsika_photons(benchmark.data, (references.CORSIKA_PROTON,))
        detector = measure.LightDetector([[0.0, 0.0, 0.0]], 5.0, height=measure.CORSIKA_LEVEL)
        rng = np.random.default_rng(benchmark.seed)
        simulated = [
            detector.detect(place["energy"], rng, kind=measure.particles.PROTON).density[0]
            for _ in range(benchmark.n(500))
        ]
        result["500 GeV at the core, photons per m²"] = {
            "CORSIKA": round(place["density"], 1),
            "simulated quartiles": np.round(np.quantile(simulated, [0.25, 0.5, 0.75]), 1).tolist(),
        }
    return result


def _cleaned_images(benchmark, images, left, right):
    """Width against light, and islands."""
    middle = np.sqrt(INTENSITY_EDGES[1:] * INTENSITY_EDGES[:-1])
    result, width = {}, {}
    for who, table in images.items():
        color = PROTONS if who == "protons" else GAMMAS
        table = table[table["leakage"] < 0.1]
        light = table["intensity"]
        width[who], _ = measure.median_in_bins(light, table["width"], INTENSITY_EDGES, 20)
        low, high = _band(light, table["width"], INTENSITY_EDGES)
        left.fill_between(middle, low, high, color=color, alpha=0.2, lw=0)
        left.plot(middle, width[who], color=color, label=who)

        islands = table["n_islands"][light > 200.0]
        right.hist(
            np.minimum(islands, 8),
            bins=np.arange(0.5, 9.5),
            weights=np.full(len(islands), 1.0 / len(islands)),
            histtype="step",
            color=color,
            lw=1.5,
            label=who,
        )
        result[f"islands of {who} above 200 p.e."] = round(float(islands.mean()), 3)
        result[f"share of {who} with several"] = round(float((islands > 1).mean()), 3)
    result["width of protons over gammas"] = {
        f"{at:.0f} p.e.": round(float(ratio), 2)
        for at, ratio in zip(middle, width["protons"] / width["gammas"], strict=True)
        if np.isfinite(ratio)
    }
    if benchmark.data:
        real = measure.image_columns(references.lst_images(benchmark.data, references.PROTON_FILES))
        left.plot(
            real["intensity"], real["width"], "o", color=REFERENCE, ms=4, label="protons, CORSIKA"
        )
        bright = real["intensity"] > 200.0
        result["islands of real protons above 200 p.e."] = round(
            float(real["n_islands"][bright].mean()), 3
        )
        result["real protons above 200 p.e."] = int(bright.sum())
    left.set(xscale="log", xlabel="Light / p.e.", ylabel="Width / deg", ylim=(0, None))
    left.legend(fontsize="x-small")
    right.set(xlabel="Islands of images above 200 p.e.", ylabel="Share of images")
    right.legend(fontsize="small")
    return result


def _true_images(benchmark, gammas, axes):
    """Images of protons in photoelectrons, and those of CORSIKA's."""
    edges, middle = INTENSITY_EDGES, np.sqrt(INTENSITY_EDGES[1:] * INTENSITY_EDGES[:-1])
    n_showers = benchmark.n(PROD3B_SHOWERS)
    telescopes = references.PROTON_FILE_TELESCOPES
    protons = measure.proton_images(
        n_showers, PROD3B_REUSE, **PROD3B_PROTONS, **telescopes, seed=benchmark.seed
    )
    gammas = Table(
        {
            "intensity": telescopes["light"] * gammas["true_intensity"],
            "energy": gammas["energy"],
            "leakage": gammas["true_leakage"],
        }
    )
    result = {}
    (rates, energies), sizes = axes
    counted = [(protons["intensity"], n_showers * PROD3B_REUSE)]
    real = None
    if benchmark.data:
        real = references.true_proton_images(benchmark.data)
        low, high = PROD3B_PROTONS["energy"]
        # Those that our protons are like.
        real = real[
            (real["energy"] > low)
            & (real["energy"] < high)
            & (real["core"] < PROD3B_PROTONS["core"])
            & (real["offset"] < PROD3B_PROTONS["offset"])
        ]
        result["real protons"] = len(real)
        counted.append((real["intensity"], references.protons_thrown(**PROD3B_PROTONS)))
    more_than = [
        np.array([np.count_nonzero(light > least) for least in middle]) / number * 1000.0
        for light, number in counted
    ]
    rates.plot(middle, more_than[0], color=PROTONS, label="protons, simulated")
    if real is not None:
        # The images of an event come together: as many events as half of the images.
        error = np.sqrt(2.0 * more_than[1] * 1000.0 / counted[1][1])
        rates.errorbar(
            middle, more_than[1], error, fmt="o", color=REFERENCE, ms=4, label="protons, Prod3b"
        )
        result["images of protons of more light, over Prod3b"] = _by_light(
            middle, more_than[0] / more_than[1], more_than[1] / error > 4.0
        )
    rates.set(xscale="log", yscale="log", ylabel="LST images of more light\nper 1000 showers")

    tables = {"gammas": (gammas, "-", GAMMAS), "protons": (protons, "-", PROTONS)}
    median = {}
    for who, (table, style, color) in tables.items():
        table = table[table["leakage"] < 0.2]
        median[who], _ = measure.median_in_bins(table["intensity"], table["energy"], edges, 20)
        energies.plot(middle, median[who], style, color=color, label=f"{who}, simulated")
    result["energy of images of protons over gammas"] = _by_light(
        middle, median["protons"] / median["gammas"]
    )
    inside = protons[protons["leakage"] < 0.2]
    if real is not None:
        real = real[real["leakage"] < 0.2]
        expected, error = measure.median_in_bins(real["intensity"], real["energy"], edges, 8)
        energies.errorbar(
            middle, expected, error, fmt="o", color=REFERENCE, ms=4, label="protons, Prod3b"
        )
        result["energy of images of protons over Prod3b"] = _by_light(
            middle, median["protons"] / expected
        )
        result["energy of images of Prod3b's protons over our gammas"] = _by_light(
            middle, expected / median["gammas"]
        )
    energies.set(xscale="log", yscale="log", ylabel="Median energy of images / TeV")

    for axis, name in zip(sizes, ("width", "length"), strict=True):
        size, _ = measure.median_in_bins(inside["intensity"], inside[name], edges, 20)
        axis.plot(middle, size, color=PROTONS, label="protons, simulated")
        if real is not None:
            expected, error = measure.median_in_bins(real["intensity"], real[name], edges, 8)
            axis.errorbar(
                middle, expected, error, fmt="o", color=REFERENCE, ms=4, label="protons, Prod3b"
            )
            result[f"{name} of protons over Prod3b"] = _by_light(middle, size / expected)
        axis.set(xscale="log", ylim=(0, None), ylabel=f"{name.capitalize()} / deg, photoelectrons")
    if real is not None:
        islands, _ = measure.median_in_bins(inside["intensity"], inside["n_islands"], edges, 20)
        expected, _ = measure.median_in_bins(real["intensity"], real["n_islands"], edges, 8)
        result["islands of protons over Prod3b, uncleaned"] = _by_light(middle, islands / expected)
    for axis in axes.flat:
        axis.set_xlabel("Light / p.e.")
        axis.legend(fontsize="x-small")
    return result


def _by_light(middle, values, where=True):
    """Figures by the light (p.e.) of images, those that there are."""
    known = np.isfinite(values) & where
    return {
        f"{at:.0f} p.e.": round(float(value), 2)
        for at, value in zip(middle[known], values[known], strict=True)
    }


def direction(benchmark) -> dict:
    """Angular resolution of ctapipe's HillasReconstructor on four LSTs."""
    directions = measure.stereo_directions(benchmark.gammas())
    required_at = np.array(list(references.LST_REQUIREMENT))
    required = np.array(list(references.LST_REQUIREMENT.values()))
    figure, axes = plt.subplots(figsize=(6.4, 4.0), layout="constrained")
    result = {}
    inner = directions[directions["core"] < INNER_CORES]
    seen = directions[directions["n_inside"] >= GOOD_IMAGES]
    for where, table, column, style in (
        (f"cores within {INNER_CORES:.0f} m", inner, "offset", "o-"),
        (f"{GOOD_IMAGES} images inside the camera", seen, "inside_offset", "s--"),
        ("all cores", directions, "offset", "o:"),
    ):
        angle, error, count = measure.containment(table, ENERGY_EDGES, column=column)
        axes.errorbar(required_at, angle, error, fmt=style, color=SIMULATED, label=where)
        for at, a, e, r, n in zip(required_at, angle, error, required, count, strict=True):
            result[f"{at:.3g} TeV, {where}"] = {
                "resolution": float(a),
                "error": float(e),
                "requirement": float(r),
                "ratio": float(a / r),
                "events": int(n),
            }
    for at, row in result.items():
        print(f"{at}:", _line(row))
    if benchmark.data:
        result["real events"] = _real_directions(benchmark)
    axes.plot(required_at, required, "k--", label="4 LSTs, required")
    axes.plot(required_at, 1.5 * required, "k:", lw=0.8, label="1.5 times as much")
    axes.set(
        xscale="log",
        xlabel="Energy / TeV",
        ylabel="Angle that holds 68 % / deg",
        ylim=(0, None),
    )
    axes.legend(fontsize="small")
    benchmark.save(figure, "direction")
    return result


def _real_directions(benchmark):
    """Errors (deg) of the directions of real events, and of the same simulated."""
    name = references.GAMMA_FILES[0]
    images = references.lst_images(benchmark.data, [name])
    real = measure.stereo_directions(Path(benchmark.data) / "dl1_ctapipe" / name)["offset"]
    result = {}
    for number, offset in zip(np.unique(images["event_id"]), real, strict=True):
        event = images[images["event_id"] == number]
        path = measure.event_again(benchmark.files, event, benchmark.n(300), benchmark.seed)
        again = np.asarray(measure.stereo_directions(path)["offset"])
        again = again[np.isfinite(again)]
        if np.isfinite(offset) and len(again) > 0:
            result[f"event {number}"] = {
                "real": round(float(offset), 3),
                "simulated quartiles": np.quantile(again, [0.25, 0.5, 0.75]).round(3).tolist(),
            }
    print("real events:", result)
    return result


def gallery(benchmark) -> dict:
    """Images as ctapipe shows them: gammas, protons, a muon, one event in four telescopes."""
    figure, axes = plt.subplots(3, 4, figsize=(8.0, 6.2), layout="constrained")
    subarray, gammas = _events_to_show(benchmark.gammas(), 4)
    _, some_protons = _events_to_show(benchmark.protons(), 3)
    geometry = subarray.tel[1].camera.geometry
    for row, (who, events) in enumerate({"Gamma": gammas, "Proton": some_protons}.items()):
        for axis, event in zip(axes[row], events, strict=False):
            brightest = max(event.dl1.tel.values(), key=lambda dl1: dl1.image.sum())
            energy = event.simulation.shower.energy.to(u.TeV)
            _show(axis, geometry, brightest.image, f"{who}, {energy:.2f}")
    model, readouts = measure.muon_images(30.0, 1, benchmark.seed, impact=4.0)
    image = readouts[0].image
    _show(axes[1, 3], model.description.camera.geometry, image, "Muon, 30 GeV, 4 m off")
    for axis, (tel_id, dl1) in zip(axes[2], gammas[-1].dl1.tel.items(), strict=False):
        _show(axis, geometry, dl1.image, f"One gamma in LST {tel_id}")
    for axis in axes.flat:
        axis.set_axis_off()
    benchmark.save(figure, "gallery")
    return {}


def _events_to_show(path, n):
    """Some events of different showers that four telescopes see well, away from the edge."""
    found, showers = [], set()
    with EventSource(path) as source:
        for event in source:
            images = event.dl1.tel.values()
            shower = event.simulation.shower.energy.value
            if len(images) < 4 or shower in showers:
                continue
            leakage = [dl1.parameters.leakage.intensity_width_2 for dl1 in images]
            light = [dl1.parameters.hillas.intensity for dl1 in images]
            if max(leakage) < 0.05 and min(light) > 150.0 and max(light) > 600.0:
                found.append(event)
                showers.add(shower)
            if len(found) == n:
                break
        return source.subarray, found


def _show(axis, geometry, image, title):
    display = CameraDisplay(geometry, image=image, ax=axis, cmap="inferno", show_frame=False)
    display.set_limits_minmax(-4.0, max(float(np.quantile(image, 0.999)), 20.0))
    axis.set_title(title, fontsize="small")


def _line(figures):
    """Figures on one line."""
    return ", ".join(
        f"{key} {value:.3g}" if isinstance(value, float) and value < 1000 else f"{key} {value:.0f}"
        for key, value in figures.items()
        if isinstance(value, float | int)
    )


FIGURES = {
    function.__name__: function
    for function in (
        throughput,
        profile,
        lateral,
        light,
        muon,
        hillas,
        protons,
        direction,
        gallery,
    )
}


def main():
    """Read the command line, make the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--figures", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--quick", action="store_true", help="simulate a tenth")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("GAMMALEARN_TEST_DATA"),
        help="folder of simulated test data; by default GAMMALEARN_TEST_DATA",
    )
    options = parser.parse_args()
    benchmark = Benchmark(options.output, options.data, options.quick, options.seed)
    path = options.output / "simulation.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in options.figures:
        print(f"\n{name}: {FIGURES[name].__doc__.splitlines()[0]}", flush=True)
        start = time.perf_counter()
        figures = FIGURES[name](benchmark)
        results[name] = {
            "figures": figures,
            "command": f"benchmarks/simulation.py --figures {name} --seed {options.seed}"
            + (" --quick" if options.quick else ""),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "seconds": round(time.perf_counter() - start),
        }
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
