"""What a network looks at: how much worse it gets when one of its inputs tells nothing.

    python benchmarks/importance.py lst4-stereo "data/test/*.dl1.h5" -o docs/results

NETWORK is a checkpoint or the name of a shipped network, FILES are DL1 files of gammas and protons.
One input after the other is exchanged among the images of a batch, at random (permutation
importance: Breiman 2001, Machine Learning 45, 5). A batch has gammas and protons of all files. The
values of the input stay as they are on the whole, but say nothing of their image any more. The
other inputs stay. DIR/importance.md has the figures, DIR/importance.png shows them.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import torch
from ablations import reconstructed
from engine import machine
from sklearn.metrics import roc_auc_score
from telescopes import half_width, judge, read_options, samples, write_page

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import CameraImages, EventDataset, EventIndex, columns_of
from gammalearn.data.images.descriptors import SCALARS, VECTORS
from gammalearn.io.finding import find_files
from gammalearn.io.writing import write_whole
from gammalearn.nn import for_inference
from gammalearn.plotting.style import PALETTE, picture_style

FIGURES = {
    "direction": "direction, 68 % within",
    "energy": "energy resolution",
    "separation": "1 − AUC",
}

#: Seed of the order of the events: in that of the files, images would be exchanged among gammas
#: alone and among protons alone, and still tell one from the other.
SHUFFLE = 1

HEAD = """\
# What the network looks at

`{command}`, {cpu}

{n_gammas} gammas and {n_protons} protons. Each row exchanges one input among images at random, and
leaves all others as they are. A value is the figure with this exchange, relative to that without:
1 means that the network does not need this input, as others tell the same. The errors are standard
deviations of a bootstrap over showers.

![What each input is worth](importance.png)

| input | {titles} |
|---|---|---|---|
"""

Exchange = Callable[[CameraImages, torch.Tensor], CameraImages]


class Exchanged(torch.nn.Module):
    """A network that sees one input of other images than their own.

    Parameters
    ----------
    network : torch.nn.Module
    exchange : callable
        Called with the images of one camera and a permutation of them.
    """

    def __init__(self, network: torch.nn.Module, exchange: Exchange):
        super().__init__()
        self.network, self.exchange = network, exchange
        self.generator = torch.Generator().manual_seed(1)

    def forward(self, images: Mapping[str, CameraImages], n_events: int):
        """The outputs, by task."""
        others = {
            name: self.exchange(of_one, torch.randperm(len(of_one.event), generator=self.generator))
            for name, of_one in images.items()
        }
        return self.network(others, n_events)


def _part(field: str, columns: list[int] | slice) -> Exchange:
    """Exchange some columns (the second dimension) of a tensor of the images."""

    def exchange(images: CameraImages, order: torch.Tensor) -> CameraImages:
        tensor = getattr(images, field).clone()
        tensor[:, columns] = tensor[order][:, columns]
        return replace(images, **{field: tensor})

    return exchange


def inputs(experiment) -> dict[str, Exchange]:
    """All inputs of a network, by name."""
    names = experiment.network.parameters
    found: dict[str, Exchange] = {}
    for number, channel in enumerate(experiment.data.channels):
        found[f"pixels: {channel.replace('_', ' ')}"] = _part("pixels", [number])
    if len(experiment.data.channels) > 1:
        found["pixels: all"] = _part("pixels", slice(None))
    first = 0
    for name in (name for name in SCALARS if name in names):
        columns = list(range(first, first + len(SCALARS[name].columns)))
        found[f"parameters: {name}"] = _part("scalars", columns)
        first += len(columns)
    for number, name in enumerate(name for name in VECTORS if name in names):
        found[f"parameters: {name.replace('_', ' ')}"] = _part("vectors", [number])
    if names:

        def exchange(images, order):
            return replace(images, scalars=images.scalars[order], vectors=images.vectors[order])

        found["parameters: all"] = exchange
    found["places of the telescopes"] = _part("position", slice(None))
    return found


def figures(found, gamma: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The three figures for some rows of the events, shape (3,)."""
    gammas = rows[gamma[rows]]
    return np.array(
        [
            np.quantile(found["direction"][gammas], 0.68),
            half_width(found["energy"][gammas]),
            1 - roc_auc_score(gamma[rows], found["gammaness"][rows]),
        ]
    )


def draw(table: dict[str, tuple[np.ndarray, np.ndarray]]) -> plt.Figure:
    """Bars of all inputs, one panel a figure."""
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 0.33 * len(table) + 1.4), sharey=True, layout="constrained"
    )
    places = np.arange(len(table))[::-1]
    for i, (axis, title) in enumerate(zip(axes, FIGURES.values(), strict=True)):
        values = np.array([value[i] for value, _ in table.values()])
        errors = np.array([error[i] for _, error in table.values()])
        axis.barh(places, values - 1, left=1, xerr=errors, color=PALETTE[i], height=0.7)
        axis.axvline(1, color="0.3", linewidth=1)
        axis.set_xscale("log")
        axis.set_xlabel(f"{title}, relative")
        axis.set_xlim(0.9, 1.15 * (values + errors).max())
        close = (1.2, 1.5) if values.max() < 5 else ()
        ticks = [t for t in (1, *close, 2, 3, 5, 10, 20) if t < 1.15 * values.max()]
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axis.minorticks_off()
        axis.grid(axis="y", visible=False)
    axes[0].set_yticks(places, list(table))
    return figure


def main() -> None:
    """Read the command line, exchange each input, write page and picture."""
    options = read_options(__doc__)
    trained = load_checkpoint(options.network)
    parameters, data = trained.experiment.network.parameters, trained.experiment.data
    index = EventIndex.build(
        find_files(options.files, "FILES"),
        data,
        cameras=trained.cameras,
        parameters=columns_of(parameters),
    )
    dataset = EventDataset(index, data, parameters=parameters)
    network = for_inference(trained.network)
    outputs, rows = reconstructed(network, dataset, SHUFFLE)
    events = index.events[rows]
    intact = judge(trained.tasks, outputs, events)
    gamma = np.asarray(events["particle"]) == "gamma"
    everything, boot = np.arange(len(events)), samples(events)
    before = [figures(intact, gamma, sample) for sample in (everything, *boot)]
    table = {}
    for name, exchange in inputs(trained.experiment).items():
        outputs, _ = reconstructed(Exchanged(network, exchange), dataset, SHUFFLE)
        found = judge(trained.tasks, outputs, events)
        ratios = np.array(
            [
                figures(found, gamma, sample) / of_intact
                for sample, of_intact in zip((everything, *boot), before, strict=True)
            ]
        )
        table[name] = ratios[0], ratios[1:].std(axis=0)
        print(name, ratios[0].round(3), flush=True)
    names = " ".join([options.network, *(f'"{file}"' for file in options.files)])
    text = HEAD.format(
        command=f"python benchmarks/importance.py {names} -o docs/results",
        cpu=machine("cpu"),
        n_gammas=int(gamma.sum()),
        n_protons=int((~gamma).sum()),
        titles=" | ".join(FIGURES.values()),
    )
    for name, (value, error) in table.items():
        cells = [f"{v:.2f} ± {e:.2f}" for v, e in zip(value, error, strict=True)]
        text += f"| {name} | {' | '.join(cells)} |\n"
    write_page(options.output / "importance.md", text)
    with picture_style():
        figure = draw(table)
        write_whole(
            options.output / "importance.png", lambda part: figure.savefig(part, format="png")
        )


if __name__ == "__main__":
    main()
