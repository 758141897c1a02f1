"""The page of the study, in words and tables."""

from collections.abc import Iterable, Mapping, Sequence

import astropy.units as u
import numpy as np
from study_results import (
    ALONG,
    BASELINE,
    BRIGHT,
    BY_ENERGY,
    LONGER,
    LST1,
    MONO,
    REFERENCES,
    STEREO,
    TRUE_GEOMETRY,
    picture_name,
)

from gammalearn.evaluation.report.reference_curves import reference_curve, reference_sources

__all__ = ["compose", "with_error"]

#: Statistic → title and what it is multiplied with in the tables.
SHOWN = {
    "energy_resolution": ("energy resolution (%)", 100.0),
    "energy_bias": ("energy bias (%)", 100.0),
    "angular_resolution_68": ("direction, 68 % within (deg)", 1.0),
    "angular_resolution_95": ("direction, 95 % within (deg)", 1.0),
    "auc": ("AUC", 1.0),
    "others_left": ("protons left (%)", 100.0),
}

#: The same for relations, of which only differences have a unit.
RELATED = {
    "energy_resolution": ("energy resolution", 1.0),
    "energy_bias": ("energy bias, difference (%)", 100.0),
    "angular_resolution_68": ("direction, 68 %", 1.0),
    "angular_resolution_95": ("direction, 95 %", 1.0),
    "auc": ("1 − AUC", 1.0),
    "others_left": ("protons left", 1.0),
}

#: Contenders that lack something of the stereo network.
ABLATION = (
    "lst4_stereo_no_geometry",
    "lst4_stereo_no_parameters",
    "lst4_parameters",
    "conv5_stereo",
    "conv4_stereo",
)

#: Energies (TeV) of the table by core.
ENERGIES = {"100 GeV": 0.1, "1 TeV": 1.0}

NONE = "–"


def compose(numbers: Mapping) -> list[str]:
    """The paragraphs of the page, as Markdown.

    Parameters
    ----------
    numbers : mapping
        What ``study.json`` holds.
    """
    return [
        "# Stereo against mono",
        "This study reconstructs the same simulated showers in several ways. Four LSTs at La Palma "
        "see the showers, 20° from the zenith. All contenders learn from the same files. All are "
        "judged on the same other files, which none of them has learnt from. This is the "
        f"**{numbers['size']}** study. [Run the study](../howto/study.md) tells how to run it.",
        *_in_short(numbers.get("totals", {})),
        *_contenders(numbers["contenders"], numbers["events"]),
        *_totals(numbers.get("totals", {})),
        *_bright(numbers.get("bright", {})),
        *_one_telescope(numbers.get("one_telescope", {})),
        *_energies(numbers.get("cores", {})),
        *_bins(numbers.get("multiplicity", {}), numbers.get("offset", {})),
        *_migrations_and_roc_curves(numbers.get("totals", {})),
        *_sensitivity(numbers["sensitivity"]),
        *_ablation(numbers.get("totals", {})),
        *_learning_curve(numbers["learning_curve"], numbers.get("learning_curve_made")),
        *_provenance(numbers),
    ]


def _in_short(totals: Mapping) -> list[str]:
    """What the stereo network gains, in a sentence a quantity."""
    lines = []
    for statistic, words in {
        "angular_resolution_68": "Direction: the angle that holds 68 % of the gammas is",
        "energy_resolution": "Energy: the resolution is",
        "others_left": "Separation: the share of protons left with 80 % of the gammas is",
    }.items():
        figures = totals.get(statistic, {})
        unit = "°" if "deg" in SHOWN[statistic][0] else " %"
        values = [
            f"{_value(figures[label], SHOWN[statistic][1])}{unit} with {_name(label)}"
            for label in (LONGER, STEREO, MONO, BASELINE)
            if label in figures
        ]
        if STEREO in figures and len(values) > 1:
            lines.append(f"- {words} {', '.join(values)}.")
    return ["\n".join(lines)] if lines else []


def _contenders(contenders: Mapping, events: Mapping) -> list[str]:
    rows = [
        [
            _name(name),
            about["description"],
            about.get("epochs", NONE),
            about.get("seed", NONE),
            _hours(about),
            about.get("machine", NONE),
            *(events.get(name, {}).get(particle, NONE) for particle in ("gammas", "protons")),
        ]
        for name, about in contenders.items()
    ]
    heading = ["", "what it sees", "epochs", "seed", "hours", "machine", "gammas", "protons"]
    parts = [
        "## Contenders",
        _table(heading, rows),
        "Hours are those of training and reconstruction on the clock. Other work on the machine "
        "makes them longer. Gammas and protons are the test events that the contender has read, "
        "whether or not others have them. `lst4_mono` enters twice below: as the mean of the "
        "telescopes of an event (ctapipe's StereoMeanCombiner), and image by image. "
        f"{_name(TRUE_GEOMETRY)} is no reconstruction. It shows which energies and separation the "
        "same trees would reach if direction and core were known without an error.",
    ]
    for state in ("not run", "not finished"):
        names = [_name(name) for name, about in contenders.items() if about["state"] == state]
        if names:
            parts.append(f"**{state.capitalize()}:** {', '.join(names)}.")
    return parts


def _totals(totals: Mapping) -> list[str]:
    if not totals:
        return []
    parts = [
        "## All energies together",
        "An event counts only if every contender that gives the quantity has reconstructed it: "
        f"{_count(totals)}. The energy resolution is half of the central 68 % of the relative "
        "error of the energy. The bias is the median of this error. AUC is the chance that a gamma "
        "has more gammaness than a proton. Protons left is the share of them above the threshold "
        "that keeps 80 % of the gammas.",
        _values(totals),
        "Errors are standard deviations of a bootstrap over showers. Each contender was trained "
        "once. Another seed changes its values too, and that is not part of the errors.",
    ]
    for label in (BASELINE, MONO):
        parts += _over(totals, label)
    return parts


def _over(totals: Mapping, reference: str) -> list[str]:
    """All contenders relative to one of them."""
    if not all(reference in figures for figures in totals.values()):
        return []
    return [
        f"The same over {_name(reference)}. Resolutions, 1 − AUC and protons are divided by its "
        "own, so a ratio below 1 is better. Biases are subtracted. Ratios compare the same "
        "showers, so their errors are smaller than those of the two values. The significance of "
        "the difference (σ) stands in brackets: it is negative where the value is smaller.",
        _relations(totals, reference, [name for name in _labels(totals) if name != reference]),
    ]


def _bright(figures: Mapping) -> list[str]:
    if not figures:
        return []
    return [
        f"## Above {BRIGHT:g}",
        f"The gammas with a true energy above {BRIGHT:g} alone: {_count(figures)}.",
        _values(figures),
        *_over(figures, MONO),
    ]


def _one_telescope(figures: Mapping) -> list[str]:
    if not figures:
        return []
    return [
        "## One telescope",
        f"{_name(LST1)} sees the first telescope alone. Here an event counts if this telescope and "
        f"all others of the table have it: {_count(figures)}.",
        _values(figures),
    ]


def _energies(cores: Mapping) -> list[str]:
    if not cores:
        return []
    parts = [
        "## True energy",
        "The grey curves are published: the requirement on four LSTs, CTAO North with four LSTs "
        "and nine MSTs, and LST-1 alone with random forests. They come from other simulations and "
        "other cuts. The middle panels show the relation to the first contender.",
    ]
    for name in cores:
        for statistic in [statistic for drawn in BY_ENERGY.values() for statistic in drawn]:
            if statistic in cores[name]:
                words = f"{SHOWN[statistic][0]} by true energy, cores {name}"
                parts.append(_picture(picture_name(statistic, name), words))
    for statistic in ALONG:
        title, factor = SHOWN[statistic]
        rows = [
            [
                _name(label),
                *(
                    _value(_at(figures.get(statistic, {}).get(label, ()), energy), factor)
                    for figures in cores.values()
                    for energy in ENERGIES.values()
                ),
            ]
            for label in _labels(*({"": f.get(statistic, {})} for f in cores.values()))
        ]
        for reference in REFERENCES:
            curve = reference_curve(reference)
            at = [curve["energy"] == energy * u.TeV for energy in ENERGIES.values()]
            values = [
                factor * float(u.Quantity(curve[statistic][chosen][0]).value) for chosen in at
            ]
            row = [f"{value:.3g}" for value in values] * len(cores)
            rows.append([f"published: {curve.meta['title']}", *row])
        heading = [f"{energy}, cores {name}" for name in cores for energy in ENERGIES]
        parts.append(_table([title, *heading], rows))
    parts.append(
        "The bins hold a fifth of a decade around these energies. The sources of the published "
        "values do not tell how far off the cores are, so these values stand in all columns of "
        "their energy."
    )
    return parts


def _at(points: Iterable[Mapping], energy: float) -> Mapping | None:
    return next((p for p in points if np.isclose(p["energy"], energy, rtol=0.02)), None)


def _bins(multiplicity: Mapping, offset: Mapping) -> list[str]:
    parts = []
    for title, words, bins in (
        (
            "Number of telescopes",
            "The number is that of the images that the stereo networks use. Each has 50 "
            "photoelectrons or more.",
            multiplicity,
        ),
        (
            "Offset from the pointing",
            "The offset is the angle between the true direction of the gamma and the pointing. The "
            "gammas of the source are at 0.4°.",
            offset,
        ),
    ):
        if not bins:
            continue
        parts += [f"## {title}", words]
        for statistic in ALONG:
            name, factor = SHOWN[statistic]
            mine = [figures.get(statistic, {}) for figures in bins.values()]
            rows = [
                [_name(label), *(_value(figures.get(label), factor) for figures in mine)]
                for label in _labels(*({"": figures} for figures in mine))
            ]
            parts.append(_table([name, *bins], rows))
    if parts:
        words = "Direction and energy by number of telescopes and by offset"
        parts.append(_picture("by_multiplicity_and_offset", words))
    return parts


def _migrations_and_roc_curves(totals: Mapping) -> list[str]:
    parts = []
    if {STEREO, MONO} & set(_labels(totals)):
        parts += [
            "## Migration matrices",
            "A column of a matrix holds the gammas of one true value. The colour says which part "
            "of them was reconstructed to each value. Points are the median and the central 68 %. "
            "All matrices of a picture have one scale of colours.",
        ]
        for statistic, name in (
            ("energy_resolution", "energy"),
            ("angular_resolution_68", "altitude"),
            ("angular_resolution_68", "azimuth"),
        ):
            if statistic in totals:
                parts.append(_picture(f"migration_{name}", f"Migration matrices of the {name}"))
    if "auc" in totals:
        parts += [
            "## ROC curves",
            "The bands are of true energy. A proton of the same light has two to three times the "
            "energy of a gamma, so a band is easier than one of reconstructed energy.",
            _picture("roc_curves", "ROC curves by true energy"),
        ]
    return parts


def _sensitivity(found: Mapping) -> list[str]:
    known = {name: mine for name, mine in found.items() if "best_relative" in mine}
    parts = ["## Sensitivity"]
    if known:
        best = {
            name: min(mine["by_energy"], key=lambda point: point["relative"])
            for name, mine in known.items()
        }
        parts += [
            "The sensitivity is the flux of a point source that is detected in 50 h with 5 σ, with "
            "the best cut on gammaness in each bin. Each contender has all of its own events here, "
            "so those that it loses count against it. The cuts are found with the same events. The "
            "background is that of protons.",
            _table(
                ["", "best (parts of the Crab Nebula)", "at (TeV)"],
                [
                    [_name(name), f"{point['relative']:.4f}", f"{point['energy']:.2g}"]
                    for name, point in best.items()
                ],
            ),
            _picture("sensitivity", "Sensitivity by reconstructed energy"),
        ]
    lacking = [
        f"- {_name(name)}: {mine['why_not'] or 'it does not tell gammas from protons.'}"
        for name, mine in found.items()
        if name not in known
    ]
    return [*parts, "\n".join(lacking)] if lacking else parts


def _ablation(totals: Mapping) -> list[str]:
    labels = _labels(totals)
    names = [name for name in ABLATION if name in labels]
    if not names or STEREO not in labels:
        return []
    return [
        "## What each part brings",
        f"Each network here lacks something that {_name(STEREO)} has. Its values are divided by "
        f"those of {_name(STEREO)}. A ratio above 1 is the gain from what it lacks. The "
        "significance of the difference (σ) stands in brackets.",
        _relations(totals, STEREO, names),
    ]


def _learning_curve(found: Mapping, made: Mapping | None) -> list[str]:
    if not found:
        return ["## Learning curve", "The learning curve was **not run**."]
    shown = [*ALONG, "auc"]
    rows = [
        [
            _name(name),
            point["gammas"],
            *(_value(point.get(statistic), SHOWN[statistic][1]) for statistic in shown),
            _hours(point),
        ]
        for name, points in found.items()
        for point in points
    ]
    heading = ["", "gammas learnt from", *(SHOWN[statistic][0] for statistic in shown), "hours"]
    return [
        "## Learning curve",
        "The networks are trained again with fewer showers. All trainings have the same number of "
        "epochs, so one with half of the events makes half of the steps. Protons are limited to "
        "the number of the gammas. The values are of the events that all of these runs have.",
        _table(heading, rows),
        _picture("learning_curve", "Resolutions and AUC by the number of gammas learnt from"),
        *(
            [
                f"`{made['command']}` made the learning curve, on {made['machine']}, with "
                f"GammaLearn {made['versions']['GammaLearn']}. All its networks were trained "
                "there, those with all events too, so their values differ a little from those "
                "above."
            ]
            if made
            else []
        ),
    ]


def _provenance(numbers: Mapping) -> list[str]:
    made = ", ".join(f"{name} {version}" for name, version in numbers["versions"].items())
    parts = [
        "## How this page was made",
        f"`{numbers['command']}` made it, on {numbers['machine']}, with {made}. All numbers are in "
        "[study.json](study.json). The bootstrap has 500 resamples and the seed 0.",
    ]
    for more in numbers.get("added", ()):
        names = ", ".join(f"`{name}`" for name in more["contenders"])
        parts.append(
            f"`{more['command']}` added {names} later, on {more['machine']}. They are in the "
            "tables, and in none of the pictures."
        )
    commands = [
        f"- `{about['command']}`" for about in numbers["contenders"].values() if "command" in about
    ]
    if commands:
        parts += ["These commands trained the contenders:", "\n".join(commands)]
    sources = [f"- {name}: {source}." for name, source in reference_sources(REFERENCES).items()]
    return [*parts, "The published curves have these sources:", "\n".join(sources)]


def _labels(*groups: Mapping[str, Mapping]) -> list[str]:
    """All labels of statistic → label → figures."""
    return list(
        dict.fromkeys(label for group in groups for figures in group.values() for label in figures)
    )


def _count(totals: Mapping) -> str:
    """How many gammas, and protons, the figures rest on."""
    words = []
    of_gammas = totals.get("angular_resolution_68") or totals.get("energy_resolution")
    if of_gammas:
        # Single images are more, of the same events.
        some = min(of_gammas.values(), key=lambda figure: figure["events"])
        words.append(f"{some['events']} gammas of {some['showers']} showers")
    if "auc" in totals:
        some = min(totals["auc"].values(), key=lambda figure: figure["events"])
        words.append(f"for the separation {some['events']} gammas and protons")
    return ", ".join(words)


def _values(totals: Mapping) -> str:
    shown = [statistic for statistic in SHOWN if statistic in totals]
    rows = [
        [_name(label), *(_value(totals[s].get(label), SHOWN[s][1]) for s in shown)]
        for label in _labels(totals)
    ]
    return _table(["", *(SHOWN[statistic][0] for statistic in shown)], rows)


def _relations(totals: Mapping, reference: str, labels: Iterable[str]) -> str:
    shown = [statistic for statistic in RELATED if statistic in totals]
    rows = []
    for label in labels:
        row = [_name(label)]
        for statistic in shown:
            over = totals[statistic].get(label, {}).get("over", {}).get(reference)
            if over is None or over["relation"] is None:
                row.append(NONE)
                continue
            relation, error = over["relation"], over["relation_error"]
            text = with_error(relation, error, RELATED[statistic][1])
            sigma = over["significance"]
            if sigma is not None:
                # It is of AUC, and the relation of 1 − AUC.
                sigma = -sigma if statistic == "auc" else sigma
                text += f" ({_minus(f'{sigma:+.1f}')})"
            row.append(text)
        rows.append(row)
    return _table(["", *(RELATED[statistic][0] for statistic in shown)], rows)


def _name(label: str) -> str:
    """A label on the page: of one telescope, its mean is the image."""
    name, comma, rest = label.partition(",")
    return f"`{name}`" if label == LST1 else f"`{name}`{comma}{rest}"


def _hours(about: Mapping) -> str:
    return f"{about['hours']:.2f}" if about.get("hours") is not None else NONE


def _value(figure: Mapping | None, factor: float) -> str:
    return NONE if figure is None else with_error(figure["value"], figure["error"], factor)


def with_error(value: float | None, error: float | None, factor: float = 1.0) -> str:
    """A value, times a factor, to the second digit of its error; three digits without one."""
    if value is None:
        return NONE
    if not error:
        return _minus(f"{factor * value:.3g}")
    digits = max(0, 1 - int(np.floor(np.log10(factor * error))))
    return _minus(f"{factor * value:.{digits}f} ± {factor * error:.{digits}f}")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _table(heading: Sequence, rows: Iterable[Sequence]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _picture(name: str, words: str) -> str:
    return f"![{words[0].upper()}{words[1:]}](study/{name}.png)"
