"""Whether one telescope more makes an event better: the same showers, seen by fewer telescopes.

    python benchmarks/telescopes.py lst4-stereo data/test/*.dl1.h5 -o docs/results

NETWORK is a checkpoint or the name of a shipped network, FILES are DL1 files of gammas and protons.
The showers that have an image of every telescope are reconstructed from each subset of two or more
of them. DIR/telescopes.md has the figures of each subset, and by how much they change with each
telescope that is added.
"""

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from ablations import reconstructed
from engine import machine
from sklearn.metrics import roc_auc_score

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventDataset, EventIndex, columns_of
from gammalearn.io.finding import find_files
from gammalearn.io.writing import write_whole
from gammalearn.nn import for_inference

KEYS = ["file", "obs_id", "event_id"]

HEAD = """\
# One telescope more

`{command}`, {cpu}

{n_gammas} gammas and {n_protons} protons have an image of each of the {n_telescopes} telescopes.
The network reconstructs each of them from every subset of two or more of the telescopes. All rows
are thus of the same showers. These showers are brighter than others, since all telescopes see them.

| telescopes | direction, 68 % within (deg) | energy resolution (%) | AUC |
|---|---|---|---|
"""

ADDED = """
## Each telescope that is added

The table gives the mean error with one telescope more, relative to the mean error of the same
showers without it. A value below 1 means that the added telescope makes the events better. Errors
are standard deviations of a bootstrap over showers.

| telescopes | added | direction | energy |
|---|---|---|---|
"""


def estimates(trained, network, files, telescopes, wanted=None):
    """What the network says of the showers that all of some telescopes see.

    Parameters
    ----------
    trained : gammalearn.checkpoint.trained.TrainedNetwork
    network : torch.nn.Module
    files : list of Path
    telescopes : sequence of int
    wanted : set of tuple, optional
        Keys of the showers; by default all.

    Returns
    -------
    events : Table
    values : dict of str to ndarray, shape (n_events,)
        As `judge` gives them.
    """
    settings = trained.experiment.data.model_copy(
        update={"telescopes": list(telescopes), "min_multiplicity": len(telescopes)}
    )
    parameters = trained.experiment.network.parameters
    index = EventIndex.build(
        files, settings, cameras=trained.cameras, parameters=columns_of(parameters)
    )
    keys = list(zip(*(np.asarray(index.events[name]).tolist() for name in KEYS), strict=True))
    rows = np.array([row for row, key in enumerate(keys) if wanted is None or key in wanted])
    outputs, rows = reconstructed(
        network, EventDataset(index, settings, rows=rows, parameters=parameters)
    )
    order = np.lexsort([np.asarray(index.events[name])[rows] for name in reversed(KEYS)])
    events = index.events[rows[order]]
    outputs = {name: output[torch.from_numpy(order)] for name, output in outputs.items()}
    return events, judge(trained.tasks, outputs, events)


def judge(tasks, outputs, events) -> dict[str, np.ndarray]:
    """How outputs compare with the truth, event by event.

    Returns
    -------
    dict of str to ndarray, shape (n_events,)
        ``direction``, the angle to the truth (deg); ``energy``, the relative error; ``gammaness``.
    """
    true = {name: torch.from_numpy(tasks[name].truth(events)) for name in ("direction", "energy")}
    log_ratio = tasks["energy"].value(outputs["energy"]) - true["energy"]
    return {
        "direction": tasks["direction"].distance(outputs["direction"], true["direction"]).numpy(),
        "energy": 10 ** log_ratio[:, 0].numpy() - 1,
        "gammaness": outputs["particle_type"][:, 0].numpy(),
    }


def half_width(values: np.ndarray) -> float:
    """Half of the central 68 %."""
    low, high = np.quantile(values, [0.16, 0.84])
    return (high - low) / 2


def samples(events, n: int = 200) -> list[np.ndarray]:
    """Rows of bootstrap samples, whole showers at a time."""
    showers = np.stack([np.asarray(events[name]) for name in ("file", "obs_id", "shower_id")])
    _, number = np.unique(showers, axis=1, return_inverse=True)
    of_shower = [np.flatnonzero(number == i) for i in range(number.max() + 1)]
    rng = np.random.default_rng(1)
    return [
        np.concatenate([of_shower[i] for i in rng.integers(0, len(of_shower), len(of_shower))])
        for _ in range(n)
    ]


def with_error(statistic, rows) -> str:
    """A statistic of all rows and its standard deviation over the samples, rows[0] being all."""
    values = [statistic(sample) for sample in rows]
    return f"{values[0]:.3g} ± {np.std(values[1:]):.2g}"


def page(trained, files, command: str) -> str:
    """The page, in Markdown."""
    network = for_inference(trained.network)
    everything = EventIndex.build(
        files, trained.experiment.data.model_copy(update={"min_multiplicity": 1})
    )
    telescopes = sorted(set(np.asarray(everything.images["tel_id"]).tolist()))
    events, found = estimates(trained, network, files, telescopes)
    gamma = np.asarray(events["particle"]) == "gamma"
    wanted = set(zip(*(np.asarray(events[name]).tolist() for name in KEYS), strict=True))
    values = {tuple(telescopes): found}
    for n in range(len(telescopes) - 1, 1, -1):
        for subset in combinations(telescopes, n):
            print(f"telescopes {subset}", flush=True)
            values[subset] = estimates(trained, network, files, subset, wanted)[1]

    gammas = np.flatnonzero(gamma)
    of_gammas = [np.arange(len(gammas)), *samples(events[gammas])]
    of_all = [np.arange(len(events)), *samples(events)]
    text = HEAD.format(
        command=command,
        cpu=machine("cpu"),
        n_gammas=len(gammas),
        n_protons=int(np.sum(~gamma)),
        n_telescopes=len(telescopes),
    )
    for subset in sorted(values, key=lambda s: (len(s), s)):
        of = values[subset]
        angle, energy = of["direction"][gammas], of["energy"][gammas]
        columns = [
            with_error(lambda rows, angle=angle: np.quantile(angle[rows], 0.68), of_gammas),
            with_error(lambda rows, e=energy: 100 * half_width(e[rows]), of_gammas),
            with_error(lambda rows, g=of["gammaness"]: roc_auc_score(gamma[rows], g[rows]), of_all),
        ]
        text += f"| {', '.join(map(str, subset))} | {' | '.join(columns)} |\n"
    text += ADDED
    for subset in sorted(values, key=lambda s: (len(s), s)):
        for telescope in set(telescopes) - set(subset):
            more = values[tuple(sorted({*subset, telescope}))]
            columns = []
            for name in ("direction", "energy"):
                before, after = (np.abs(v[name][gammas]) for v in (values[subset], more))
                columns.append(
                    with_error(
                        lambda rows, a=after, b=before: a[rows].mean() / b[rows].mean(), of_gammas
                    )
                )
            text += f"| {', '.join(map(str, subset))} | {telescope} | {' | '.join(columns)} |\n"
    return text


def read_options(description: str) -> argparse.Namespace:
    """The command line: network, files and folder of the output; one thread from here on."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("network")
    parser.add_argument("files", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    torch.set_num_threads(1)
    return parser.parse_args()


def write_page(path: Path, text: str) -> None:
    """Write a page, and its folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def main() -> None:
    """Read the command line, reconstruct, write the page."""
    options = read_options(__doc__)
    trained = load_checkpoint(options.network)
    command = f"python benchmarks/telescopes.py {' '.join([options.network, *options.files])}"
    text = page(trained, find_files(options.files, "FILES"), f"{command} -o docs/results")
    write_page(options.output / "telescopes.md", text)
    print(text)


if __name__ == "__main__":
    main()
