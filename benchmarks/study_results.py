"""What the DL2 files of the study's runs say: numbers and pictures."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from gammalearn.evaluation.comparison import compare_migration
from gammalearn.evaluation.events.reading import read_events
from gammalearn.evaluation.performance.observation import evaluate_performance
from gammalearn.evaluation.quantities import MAIN_QUANTITIES, QUANTITIES
from gammalearn.evaluation.quantities.direction import pointing_offset
from gammalearn.evaluation.quantities.impact import core_distance
from gammalearn.evaluation.reconstructions import (
    EACH,
    MEAN,
    Reconstruction,
    in_common,
    limited,
    line_up,
    read_reconstructions,
)
from gammalearn.evaluation.report.reference_curves import draw_references
from gammalearn.evaluation.statistics.differences import differences, differences_by_energy
from gammalearn.evaluation.statistics.roc_curves import roc_curves_by_energy
from gammalearn.evaluation.statistics.side_by_side import draw_differences, draw_roc_curves
from gammalearn.io.writing import make_folder, write_whole
from gammalearn.plotting.style import PALETTE, draw_binned, make_logarithmic, new_binned_axes
from gammalearn.settings import EvaluationSettings

#: Contenders that are treated in a way of their own. Of one telescope, the mean is the image.
STEREO, LONGER, PARAMETERS = "lst4_stereo", "lst4_stereo_longer", "lst4_parameters"
BASELINE, TRUE_GEOMETRY, HILLAS = "baseline", "baseline_true_geometry", "hillas"
MONO, MONO_IMAGES = f"lst4_mono, {MEAN}", f"lst4_mono, {EACH}"
LST1, LST1_IMAGES = f"lst1_mono, {MEAN}", f"lst1_mono, {EACH}"

#: The first ones of all tables. Pictures have no others, which would hide each other.
ORDER = (BASELINE, STEREO, MONO, LONGER, PARAMETERS, "conv5_stereo", HILLAS)

#: Published curves that are drawn.
REFERENCES = ("lst4_requirement", "ctao_north", "lst1_mono")

#: Five bins a decade, such that 100 GeV and 1 TeV are in the middle of one; bands of ROC curves.
SETTINGS = EvaluationSettings(energy_range=(10**-1.7, 10**1.3), bins_per_decade=5)
EDGES = np.geomspace(*SETTINGS.energy_range, 16) * u.TeV
BANDS = np.geomspace(*SETTINGS.energy_range, 4) * u.TeV

#: Metres from the centre of the array: as far as cores fall, and among the telescopes.
CORES = {"up to 350 m": np.inf, "within 150 m": 150.0}

#: Showers above it give enough light in several telescopes for stereo to gain most.
BRIGHT = 200 * u.GeV

MULTIPLICITIES = (2, 3, 4)
OFFSETS_DEG = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5)

#: Quantity → what is drawn of it by true energy.
BY_ENERGY = {
    "direction": ("angular_resolution_68",),
    "energy": ("energy_resolution", "energy_bias"),
}

#: What is drawn by anything else, and what its axis is called.
ALONG = {"angular_resolution_68": "direction, 68 % within (deg)", "energy_resolution": "ΔE/E"}

#: Pixels of an inch of the pictures, and their colours: each is to be a small file.
DPI, COLOURS = 100, 128

#: Files of gammas that do not go into a sensitivity to a point source.
DIFFUSE = "gamma_diffuse"

FLUX = u.TeV / (u.cm**2 * u.s)


class Pictures:
    """The folder of the pictures.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.folder, self.written = folder, set()
        make_folder(folder)

    def save(self, figure: Figure, name: str) -> None:
        """Write a picture with few colours, which makes a small file."""

        def write(path):
            figure.savefig(path, dpi=DPI, metadata={"Software": None})
            with Image.open(path) as image:
                few = image.convert("RGB").quantize(COLOURS)
            few.save(path, optimize=True)

        write_whole(self.folder / f"{name}.png", write)
        self.written.add(f"{name}.png")

    def remove_others(self) -> None:
        """Remove pictures of an earlier page that this one does not have."""
        for path in self.folder.glob("*.png"):
            if path.name not in self.written:
                path.unlink()


def compare_contenders(complete: Sequence, pictures: Pictures) -> dict:
    """What contenders give on identical events.

    Parameters
    ----------
    complete : sequence of study.Training
        Two at least.
    pictures : Pictures

    Returns
    -------
    numbers : dict
        ``events`` (of each, whether or not others have them), ``totals``, ``bright``,
        ``one_telescope``, ``cores``, ``multiplicity`` and ``offset``, as far as there are
        contenders for them.
    """
    sources = read_reconstructions(
        [str(training.output) for training in complete], [training.name for training in complete]
    )
    lined_up = line_up(sources)
    numbers = {"events": {source.label: _count(source.events) for source in sources}}
    contenders = [c for c in lined_up if c.label not in (LST1, LST1_IMAGES)]
    if not contenders:
        return numbers
    contenders.sort(key=_place)
    labels = [contender.label for contender in contenders]
    numbers["totals"] = figures_over(
        contenders, [n for n in (BASELINE, MONO, STEREO) if n in labels]
    )
    events = _events(contenders)
    bright = np.asarray(events["event"])[events["true_energy"] > BRIGHT]
    if len(bright):
        numbers["bright"] = figures_over(
            limited(contenders, bright), [MONO], ("energy", "direction")
        )
    of_one = [c for c in lined_up if c.label == LST1]
    if of_one:
        first = [contender for contender in contenders if contender.label in ORDER[:3]]
        numbers["one_telescope"] = figures_over([*first, *of_one], [LST1])
    numbers["cores"] = {}
    for name, reach in CORES.items():
        near = limited(contenders, _near(contenders, reach))
        if len(_events(near)):
            numbers["cores"][name] = _by_energy(near, name, pictures)
    numbers |= _along(contenders, pictures)
    _draw_migrations(contenders, pictures)
    _draw_roc_curves(contenders, pictures)
    return numbers


def _count(events: QTable) -> dict[str, int]:
    n_gammas = int(np.sum(events["particle"] == "gamma"))
    return {"gammas": n_gammas, "protons": len(events) - n_gammas}


def _place(contender: Reconstruction) -> tuple[bool, int]:
    """Where a contender stands in all tables: single images come last."""
    place = ORDER.index(contender.label) if contender.label in ORDER else len(ORDER)
    return contender.of_images, place


def _common(contenders: Sequence[Reconstruction], quantity: str):
    """Labels and runs on identical events, of gammas where the quantity is theirs."""
    having = [contender for contender in contenders if contender.has(quantity)]
    if all(contender.of_images for contender in having):
        return [], []
    common = in_common(having, quantity)
    if quantity != "particle_type":
        common = [[run[run["particle"] == "gamma"] for run in runs] for runs in common]
    return [contender.label for contender in having], common


def figures_over(
    contenders: Sequence[Reconstruction],
    references: Sequence[str],
    quantities: Sequence[str] = ("energy", "direction", "particle_type"),
) -> dict[str, dict[str, dict]]:
    """Figures of all energies together, and their relations to those of some contenders.

    Parameters
    ----------
    contenders : sequence of Reconstruction
    references : sequence of str
        Labels.
    quantities : sequence of str

    Returns
    -------
    figures : dict
        Statistic → label → ``value``, ``error``, ``events``, ``showers`` and ``over``: reference →
        ``relation``, ``relation_error``, ``significance``, see `differences`.
    """
    found: dict[str, dict[str, dict]] = {}
    for quantity in quantities:
        labels, common = _common(contenders, quantity)
        for reference in [name for name in references if name in labels] or labels[:1]:
            order = sorted(range(len(labels)), key=lambda n, first=reference: labels[n] != first)
            for row in differences([common[n] for n in order], QUANTITIES[quantity]):
                of_statistic = found.setdefault(
                    str(row["statistic"]), {label: {} for label in labels}
                )
                figure = of_statistic[labels[order[row["reconstruction"]]]]
                figure |= {**_figure(row), "over": figure.get("over", {})}
                figure["over"][reference] = {
                    name: float(row[name])
                    for name in ("relation", "relation_error", "significance")
                }
    return found


def _figure(row) -> dict[str, float]:
    return {
        "value": float(row["value"]),
        "error": float(row["error"]),
        "events": int(row["n_events"]),
        "showers": int(row["n_showers"]),
    }


def _events(contenders: Sequence[Reconstruction]) -> QTable:
    """The events that selections go by: those of the stereo network where it is there."""
    of_events = [contender for contender in contenders if not contender.of_images]
    return min(of_events, key=lambda contender: contender.label != STEREO).runs[0]


def _near(contenders: Sequence[Reconstruction], reach: float) -> np.ndarray:
    """Numbers of the events with cores within so many metres."""
    events = _events(contenders)
    # That of files that do not tell the core is NaN, and is as far as cores fall.
    inside = np.isinf(reach) | (core_distance(events).to_value(u.m) < reach)
    return np.asarray(events["event"])[inside]


def _drawn(labels: Sequence[str]) -> list[str]:
    """Those that pictures have, the first ones of the labels."""
    return [label for label in labels if label in ORDER] or list(labels[:1])


def _by_energy(contenders: Sequence[Reconstruction], cores: str, pictures: Pictures) -> dict:
    """Statistic → label → list of figures, one an energy; and their pictures."""
    found: dict = {}
    for quantity, drawn in BY_ENERGY.items():
        labels, common = _common(contenders, quantity)
        if not labels:
            continue
        table = differences_by_energy(common, QUANTITIES[quantity], EDGES)
        shown = _drawn(labels)
        for statistic in QUANTITIES[quantity].statistics:
            rows = table[(table["statistic"] == statistic.name) & (table["n_events"] > 0)]
            found[statistic.name] = {
                label: [
                    {"energy": _centre(row), **_figure(row)}
                    for row in rows[rows["reconstruction"] == number]
                ]
                for number, label in enumerate(labels)
            }
            if statistic.name in drawn:
                few = table[table["reconstruction"] < len(shown)]
                figure = draw_differences(few, statistic, shown, "gamma", REFERENCES)
                figure.suptitle(f"Cores {cores}", fontsize=10)
                pictures.save(figure, picture_name(statistic.name, cores))
    return found


def picture_name(statistic: str, cores: str) -> str:
    """Name of the picture of a statistic by energy."""
    return f"{statistic}_{cores.replace(' ', '_')}"


def _centre(row) -> float:
    low, high = (row[f"true_energy_{end}"].to_value(u.TeV) for end in ("low", "high"))
    return float(f"{np.sqrt(low * high):.3g}")


def _along(contenders: Sequence[Reconstruction], pictures: Pictures) -> dict:
    """``multiplicity`` and ``offset``: bin → statistic → label → figures."""
    events = _events(contenders)
    number, multiplicity = np.asarray(events["event"]), np.asarray(events["multiplicity"])
    offset = pointing_offset(events).to_value(u.deg)
    bins = {
        "multiplicity": {str(n): number[multiplicity == n] for n in MULTIPLICITIES},
        "offset": {
            f"{low:g}–{high:g}°": number[(offset >= low) & (offset < high)]
            for low, high in zip(OFFSETS_DEG[:-1], OFFSETS_DEG[1:], strict=True)
        },
    }
    found = {
        axis: {
            name: figures_over(limited(contenders, mine), [], ("energy", "direction"))
            for name, mine in chosen.items()
            if len(mine)
        }
        for axis, chosen in bins.items()
    }
    labels = _drawn([contender.label for contender in contenders])
    figure = Figure(figsize=(9.0, 6.6), layout="constrained")
    panels = figure.subplots(2, 2, sharex="col", sharey="row")
    for row, (statistic, title) in zip(panels, ALONG.items(), strict=True):
        for axes, figures in zip(row, found.values(), strict=True):
            _draw_bins(axes, figures, statistic, labels)
        row[0].set_ylabel(title)
    for axes, title in zip(panels[1], ("telescopes", "true offset from the pointing"), strict=True):
        axes.set_xlabel(title)
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    pictures.save(figure, "by_multiplicity_and_offset")
    return found


def _draw_bins(axes: Axes, bins: dict, statistic: str, labels: Sequence[str]) -> None:
    axes.grid(True)
    axes.set_xticks(range(len(bins)), list(bins))
    for number, (label, color) in enumerate(zip(labels, PALETTE, strict=False)):
        mine = {
            place + 0.08 * (number - (len(labels) - 1) / 2): figures[statistic][label]
            for place, figures in enumerate(bins.values())
            if label in figures.get(statistic, {})
        }
        _draw_points(axes, mine, "o", color, label)
    axes.set_ylim(bottom=0)


def _draw_points(axes: Axes, points: Mapping[float, dict], style: str, color, label: str) -> None:
    """Figures by where they are drawn."""
    values, errors = (
        np.array([point[name] for point in points.values()]) for name in ("value", "error")
    )
    axes.errorbar(
        list(points), values, np.nan_to_num(errors), fmt=style, color=color, label=label, ms=5
    )


def _draw_migrations(contenders: Sequence[Reconstruction], pictures: Pictures) -> None:
    """Matrices of stereo and mono side by side, on the events that all contenders have."""
    by_label = {contender.label: contender for contender in contenders}
    for name, quantity in MAIN_QUANTITIES.items():
        if not quantity.migrations:
            continue
        labels, common = _common(contenders, name)
        chosen = [labels.index(label) for label in (STEREO, MONO, MONO_IMAGES) if label in labels]
        for axis in quantity.migrations if chosen else ():
            result = compare_migration(
                [by_label[labels[n]] for n in chosen],
                [common[n] for n in chosen],
                axis,
                "gamma",
                EDGES,
            )
            pictures.save(result.figure, f"migration_{axis.name}")


def _draw_roc_curves(contenders: Sequence[Reconstruction], pictures: Pictures) -> None:
    labels, common = _common(contenders, "particle_type")
    if labels:
        shown = _drawn(labels)
        curves = roc_curves_by_energy(common[: len(shown)], BANDS)
        pictures.save(draw_roc_curves(curves, shown), "roc_curves")


def sensitivities(complete: Sequence, pictures: Pictures) -> dict[str, dict]:
    """Sensitivity to a point source of contenders, each with all of its own events.

    Parameters
    ----------
    complete : sequence of study.Training
    pictures : Pictures

    Returns
    -------
    found : dict
        Name → ``best_relative`` (to the Crab Nebula) and ``by_energy``, a list of ``energy`` (TeV,
        reconstructed), ``relative``, ``flux`` and ``error`` (TeV/(cm² s)); or ``why_not``.
    """
    found, tables = {}, {}
    for training in complete:
        paths = sorted((training.output / "dl2").glob("*.h5"))
        paths = [path for path in paths if not path.name.startswith(DIFFUSE)]
        findings = evaluate_performance(paths, read_events(paths), "gamma", SETTINGS)
        sensitivity = findings.sensitivity
        if sensitivity is None:
            why = [text for text in findings.warnings if "no sensitivity" in text]
            found[training.name] = {"why_not": " ".join(why)}
            continue
        table = tables[training.name] = sensitivity.table
        found[training.name] = {
            "best_relative": sensitivity.best,
            "by_energy": [
                {
                    "energy": float(f"{row['reco_energy_center'].to_value(u.TeV):.3g}"),
                    "relative": float(row["relative_sensitivity"]),
                    "flux": float(row["flux_sensitivity"].to_value(FLUX)),
                    "error": float(row["flux_sensitivity_error"].to_value(FLUX)),
                }
                for row in table[sensitivity.is_known]
            ],
        }
    shown = [name for name in (BASELINE, STEREO, "lst4_mono", LONGER, PARAMETERS) if name in tables]
    if shown:
        figure, axes = new_binned_axes(
            tables[shown[0]], "gamma", along="reco_energy", label="reconstructed energy (TeV)"
        )
        axes.set_title("Sensitivity to a point source, 50 h")
        axes.set_ylabel("E² dN/dE (TeV cm⁻² s⁻¹)")
        draw_references(axes, REFERENCES[:1], "flux_sensitivity", FLUX)
        for name, color, marker in zip(shown, PALETTE, "os^Dv", strict=False):
            where = (axes, tables[name], "flux_sensitivity")
            draw_binned(*where, name, color, marker, along="reco_energy")
        make_logarithmic(axes, "y")
        axes.legend()
        pictures.save(figure, "sensitivity")
    return found


def learning_curves(
    complete: Sequence, curve: Mapping[str, Sequence], pictures: Pictures
) -> dict[str, list[dict]]:
    """Figures by the number of gammas learnt from, on the events that all of the runs have.

    Parameters
    ----------
    complete : sequence of study.Training
        Contenders with all events.
    curve : mapping of str to sequence of study.Training
        Those with fewer, by contender.
    pictures : Pictures

    Returns
    -------
    points : dict
        Name → list of ``run``, ``gammas``, what is known of the training, and figures by statistic.
    """
    runs = {}
    for whole in complete:
        parts = [part for part in curve.get(whole.name, ()) if part.state == "complete"]
        if parts:
            runs[whole.name] = [*parts, whole]
    if not runs:
        return {}
    labels = [run.output.name for mine in runs.values() for run in mine]
    words = [str(run.output) for mine in runs.values() for run in mine]
    figures = figures_over(line_up(read_reconstructions(words, labels)), [])
    found = {
        name: [
            {
                "run": run.output.name,
                "gammas": run.n_gammas(),
                **run.record,
                **{s: figure[run.output.name] for s, figure in figures.items()},
            }
            for run in mine
        ]
        for name, mine in runs.items()
    }
    figure = Figure(figsize=(11.0, 4.0), layout="constrained")
    titles = {**ALONG, "auc": "area under the ROC curve"}
    for axes, (statistic, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
        make_logarithmic(axes, "x", (1.0, 2.0, 5.0))
        axes.grid(True)
        axes.set(xlabel="gammas learnt from", ylabel=title)
        for (name, mine), color in zip(found.items(), PALETTE, strict=False):
            points = {p["gammas"]: p[statistic] for p in mine if statistic in p}
            _draw_points(axes, points, "o-", color, name)
        axes.legend()
    pictures.save(figure, "learning_curve")
    return found
