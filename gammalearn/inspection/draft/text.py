"""Text of an experiment: a Python file with comments, to be changed by its reader."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from ...io.particles import plural
from ...io.printable import printable
from ...io.writing import write_whole
from .choices import ENOUGH_LIGHT, Draft
from .place import check_place_of_draft

__all__ = ["draft_text", "write_draft"]

SIMULATION = """\
#: Showers that the run simulates first, if the files do not exist.
DIFFUSE_GAMMAS = {
    "particle": "gamma",
    "energy": ("30 GeV", "5 TeV"),
    "viewcone": "2.5 deg",
    "scatter": "350 m",
}
PROTONS = {
    "particle": "proton",
    "energy": ("100 GeV", "20 TeV"),
    "viewcone": "3 deg",
    "scatter": "350 m",
}
simulation = [
    SimulationSettings(
        output="data/train/gamma.dl1.h5", n_showers=2400, seed=1, run=1, **DIFFUSE_GAMMAS
    ),
    SimulationSettings(output="data/train/proton.dl1.h5", n_showers=4000, seed=2, run=2, **PROTONS),
    SimulationSettings(
        output="data/test/gamma.dl1.h5", n_showers=400, seed=3, run=3, **DIFFUSE_GAMMAS
    ),
    SimulationSettings(output="data/test/proton.dl1.h5", n_showers=1000, seed=4, run=4, **PROTONS),
]

"""


def write_draft(draft: Draft, path: Path, overwrite: bool = False) -> None:
    """Write an experiment.

    Parameters
    ----------
    draft : Draft
    path : Path
    overwrite : bool
        Replace the file if it exists.

    Raises
    ------
    SettingsError, OutputError
        If it must not be written, or cannot.
    """
    check_place_of_draft(path, overwrite)
    text = draft_text(draft, path)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def draft_text(draft: Draft, path: Path) -> str:
    """The text of an experiment.

    Parameters
    ----------
    draft : Draft
    path : Path
        File that it is for.
    """
    run = f"gammalearn {_shell_word(path)}"
    header = [
        "A first experiment for your files, written by `gammalearn init`. Change what you like.",
        f"Check it with:   gammalearn check {_shell_word(path)}",
        f"Try it with:     {run} --fast-dev-run --output runs/trial",
        f"Run it with:     {run}",
        "All settings are explained in docs/reference/settings.md of GammaLearn.",
        "",
        *_found(draft),
    ]
    classes = ["AugmentationSettings", "CutSettings", "DataSettings", "Experiment"]
    classes += ["NetworkSettings", *["SimulationSettings"] * draft.simulated, "TrainingSettings"]
    classes += ["WeightSettings"] * draft.unbalanced
    imports = "".join(f"    {name},\n" for name in classes)
    return (
        "".join(f"{_comment(line)}\n" for line in header)
        + f"\nfrom gammalearn.settings import (\n{imports})\n\n"
        + (SIMULATION if draft.simulated else "")
        + "experiment = Experiment(\n"
        + ("    simulation=simulation,\n" if draft.simulated else "")
        + _data(draft)
        + _network(draft)
        + _tasks(draft)
        + _training(draft)
        + ")\n"
    )


def _found(draft: Draft) -> list[str]:
    """What was found in the files."""
    if draft.simulated:
        return ["No files were given: the run simulates showers over the four LSTs at La Palma."]
    counts = ", ".join(
        f"{n} {plural(name) if n > 1 else name}" for name, n in draft.events.most_common()
    )
    kind = "showers" if draft.selection.stereo else "single images"
    lines = [
        f"Selected events for training and validation ({kind}): {counts}.",
        f"{draft.n_several} of {draft.n_showers} showers have images of several telescopes.",
    ]
    if draft.energies:
        lines.append(f"Energies: {draft.energies[0]:.3g} to {draft.energies[1]:.3g} TeV.")
    if draft.pointings:
        low, high = draft.pointings
        spread = f"{low:.1f}" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f}"
        lines.append(f"Altitude of the telescopes: {spread} deg.")
    lines += [f"Not used: {name}: {why}" for name, why in draft.left_out.items()]
    return lines


def _data(draft: Draft) -> str:
    lines = ["data=DataSettings("]
    lines += _files("train", draft.train, "To learn from. Globs such as my/*.dl1.h5 work too.")
    if draft.tested_on_training:
        lines += [
            "    # WARNING: some test files are training files too, because there is no other",
            "    # file of their particles. The results will look better than they are.",
        ]
    lines += _files("test", draft.test, "To reconstruct and evaluate.")
    lines.append("    # Types, names or ids of the telescopes.")
    lines.append(f"    telescopes=[{', '.join(map(_text, draft.telescopes))}],")
    if draft.selection.stereo:
        lines += [
            "    # An event is a shower, with its images of two or more telescopes.",
            '    grouping="stereo",',
            "    min_multiplicity=2,",
        ]
    else:
        lines += [
            "    # An event is one image: few showers have images of several telescopes.",
            '    grouping="mono",',
        ]
    lines += _cuts(draft) + _channels(draft)
    if draft.rotations:
        lines += [
            "    # Turn events at random by angles that keep the pixels in place.",
            "    augmentation=AugmentationSettings(rotations=True),",
        ]
    else:
        lines += [
            "    # The cameras allow no rotations.",
            "    augmentation=AugmentationSettings(),",
        ]
    if draft.unbalanced:
        lines += [
            "    # There are many more events of one particle than of another.",
            "    weights=WeightSettings(balance_particles=True),",
        ]
    return _indented([*lines, "),"])


def _files(name: str, paths: Sequence[Path], comment: str) -> list[str]:
    return [
        f"    # {comment}",
        f"    {name}=[",
        *(f"        {_text(str(path))}," for path in paths),
        "    ],",
    ]


def _cuts(draft: Draft) -> list[str]:
    if draft.selection.light:
        return [
            "    # Only images with enough light (p.e.) to show a shower. Another usual cut is",
            '    # "leakage_intensity_width_2 < 0.2".',
            f'    cuts=CutSettings(image=["hillas_intensity > {ENOUGH_LIGHT}"]),',
        ]
    return [
        f'    # A usual cut is image=["hillas_intensity > {ENOUGH_LIGHT}"] (p.e.). Here it would',
        "    # leave too few events, or the files have no image parameters.",
        "    cuts=CutSettings(),",
    ]


def _channels(draft: Draft) -> list[str]:
    if draft.peak_time:
        return ['    channels=["charge", "peak_time"],']
    return ["    # The files have no peak times.", '    channels=["charge"],']


def _network(draft: Draft) -> str:
    lines = [
        "# This network learns in minutes on two cores. With a GPU, set encoder to",
        '# "gammaphysnet" and epochs to 30.',
        "network=NetworkSettings(",
        '    encoder="conv5",',
        "    keypoints=16,",
    ]
    if draft.parameters:
        lines += [
            "    # The network sees the image parameters too, and the geometry of the shower.",
            '    parameters="all",',
            "    geometry=True,",
        ]
    else:
        lines += [
            '    # If files have image parameters, parameters="all" and geometry=True help most,',
            "    # above all with few events.",
        ]
    return _indented([*lines, "    embedding=128,", "    head=96,", "),"])


def _tasks(draft: Draft) -> str:
    particles = draft.regressions_learn_from
    only = f'"particles": [{", ".join(map(_text, particles))}]' if particles else ""
    weighted = ", ".join(['"weight": 3', *([only] if only else [])])
    lines = ["# Quantities to learn. The loss of the energy is the smallest one."]
    if not draft.separates:
        lines.append("# particle_type needs gammas and other particles.")
    lines.append("tasks={")
    lines += ['    "particle_type": {},'] * draft.separates
    lines += [f'    "energy": {{{weighted}}},']
    lines += [f'    "{name}": {{{only}}},' for name in ("direction", "impact")]
    return _indented([*lines, "},"])


def _training(draft: Draft) -> str:
    lines = [
        "training=TrainingSettings(",
        "    # More epochs learn more, until the validation loss no longer falls.",
        f"    epochs={draft.epochs},",
        f"    batch_size={draft.batch_size},",
        "    learning_rate=2e-3,",
        "    # The learning rate rises, then falls to zero at the end.",
        '    schedule="one_cycle",',
    ]
    if draft.averages:
        lines += [
            "    # Use the mean of the weights of the last steps.",
            "    weight_averaging=0.998,",
        ]
    return _indented([*lines, "    seed=1,", "),"])


def _indented(lines: Sequence[str]) -> str:
    return "".join(f"    {line}\n" for line in lines)


def _comment(text: str) -> str:
    """One line of a comment, whatever names of files and telescopes are in it."""
    return f"# {printable(text)}".replace("\n", " ").rstrip()


def _text(value: str) -> str:
    """Python of a text, in double quotes where that needs no escapes."""
    code = repr(value)
    return f'"{code[1:-1]}"' if code[0] == "'" and '"' not in value else code


def _shell_word(path: Path) -> str:
    return shlex.quote(str(path))
