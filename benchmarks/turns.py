"""What it gains to reconstruct each event several times, turned about the axis of the telescopes.

    python benchmarks/turns.py lst4-stereo data/test/gamma.dl1.h5 data/test/proton.dl1.h5 \\
        -o docs/results

NETWORK is a checkpoint or the name of a shipped network, FILES are DL1 files of gammas and protons.
Each event is turned by all angles that its cameras allow (60 deg and its multiples for hexagonal
pixels). The results are turned back and averaged. DIR/turns.md compares the averages with the
results of the events as they are.
"""

from collections import defaultdict

import numpy as np
import torch
from engine import machine
from importance import FIGURES, figures
from telescopes import judge, read_options, samples, write_page

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventDataset, EventIndex, columns_of, event_loader
from gammalearn.data.images.rotations import EventRotations, Rotation
from gammalearn.io.finding import find_files
from gammalearn.nn import for_inference

HEAD = """\
# Averages over turned copies

`{command}`, {cpu}

The network gives nearly the same results for an event and for copies of it that are turned about
the axis of the telescopes. Here it reconstructs {n_gammas} gammas and {n_protons} protons at some
angles. The results are turned back and averaged. Each angle takes as much time as the event itself.
The ratios are relative to one angle. Their errors are standard deviations of a bootstrap over
showers.

| angles | {titles} |
|---|---|---|---|
"""


@torch.inference_mode()
def reconstruct(trained, dataset) -> tuple[list[dict[str, torch.Tensor]], np.ndarray]:
    """The outputs at each angle, turned back, and the rows of the events."""
    network = for_inference(trained.network)
    turns = EventRotations(trained.cameras, with_pixels=bool(trained.experiment.data.channels))
    outputs = [defaultdict(list) for _ in turns.angles]
    rows = []
    for batch in event_loader(dataset, 128):
        for number, at_angle in enumerate(outputs):
            of_events = torch.full((batch.n_events,), number)
            images = turns.turned(batch, of_events, trained.tasks).images
            back = Rotation(-turns.angles[of_events])
            for name, output in network(images, batch.n_events).items():
                at_angle[name].append(trained.tasks[name].turned(output.float(), back))
        rows.append(batch.index.numpy())
    together = [{name: torch.cat(parts) for name, parts in one.items()} for one in outputs]
    return together, np.concatenate(rows)


def page(trained, files, command: str) -> str:
    """The page, in Markdown."""
    parameters, data = trained.experiment.network.parameters, trained.experiment.data
    index = EventIndex.build(
        files, data, cameras=trained.cameras, parameters=columns_of(parameters)
    )
    outputs, rows = reconstruct(trained, EventDataset(index, data, parameters=parameters))
    events = index.events[rows]
    gamma = np.asarray(events["particle"]) == "gamma"
    drawn = [np.arange(len(events)), *samples(events)]
    text = HEAD.format(
        command=command,
        cpu=machine("cpu"),
        n_gammas=int(gamma.sum()),
        n_protons=int((~gamma).sum()),
        titles=" | ".join(FIGURES.values()),
    )
    alone = None
    for n in (n for n in range(1, len(outputs) + 1) if len(outputs) % n == 0):
        of_some = outputs[:: len(outputs) // n]
        mean = {
            name: torch.stack([output[name] for output in of_some]).mean(0) for name in outputs[0]
        }
        found = judge(trained.tasks, mean, events)
        values = np.array([figures(found, gamma, sample) for sample in drawn])
        alone = values if alone is None else alone
        ratios = values / alone
        cells = [
            f"{value:.3g}" if n == 1 else f"{value:.3g} ({ratio:.3f} ± {error:.3f})"
            for value, ratio, error in zip(values[0], ratios[0], ratios[1:].std(0), strict=True)
        ]
        text += f"| {n} | {' | '.join(cells)} |\n"
    return text


def main() -> None:
    """Read the command line, reconstruct, write the page."""
    options = read_options(__doc__)
    command = f"python benchmarks/turns.py {' '.join([options.network, *options.files])}"
    text = page(
        load_checkpoint(options.network),
        find_files(options.files, "FILES"),
        f"{command} -o docs/results",
    )
    write_page(options.output / "turns.md", text)
    print(text)


if __name__ == "__main__":
    main()
