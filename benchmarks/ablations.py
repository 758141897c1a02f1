"""What each choice of the shipped stereo experiment is worth, by its validation events.

    python benchmarks/ablations.py -o docs/results                        # hours
    python benchmarks/ablations.py -o DIR --variants likelihood --seeds 1 2

Each variant changes some settings of experiment_settings/lst_stereo.py, or of its network of
parameters alone (PARAMETERS, the default, which learns in two minutes). It is trained with each
seed; a seed has the same split of the events for all variants. The figures are of the validation
events alone: choices that are made with them leave the test events unseen. Results are added to
DIR/ablations.json as they come, and what is there is not trained again. Run where data/ is, or is
to be simulated.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
import torch
from engine import machine
from sklearn.metrics import roc_auc_score

from gammalearn.checkpoint.trained import load_checkpoint
from gammalearn.data import EventDataset, event_loader, split_by_shower
from gammalearn.io.finding import find_files
from gammalearn.nn import for_inference
from gammalearn.run.experiment import index_training
from gammalearn.settings.reading import load_experiment, override
from gammalearn.simulation.on_demand import make_missing
from gammalearn.tasks import build_tasks
from gammalearn.training import fit

SETTINGS = Path(__file__).parents[1] / "experiment_settings" / "lst_stereo.py"

#: The shipped experiment without images.
PARAMETERS = ("network.encoder=none", "data.channels=[]", "network.keypoints=0")

#: Settings of each variant of the network of parameters alone.
OF_PARAMETERS = {
    "parameters alone": [],
    "no geometry": ["network.geometry=false"],
    "two rounds": ["network.geometry_rounds=2"],
    "energy weight 1": ["tasks.energy.weight=1"],
    "energy weight 10": ["tasks.energy.weight=10"],
    "no average of weights": ["training.weight_averaging=0"],
    "losses of events alone": ["training.image_losses=0"],
    "likelihood of energy": ["tasks.energy.uncertainty=true"],
    "likelihood of direction": ["tasks.direction.uncertainty=true"],
    "distribution of energy": ["tasks.energy.distribution=true", "tasks.energy.weight=0.3"],
    "learnt balance": ["training.balancing=uncertainty"],
    "spectrum E^-1.5": ["data.weights.spectral_index=-1.5"],
    "batches of 32": ["training.batch_size=32"],
    "batches of 128": ["training.batch_size=128", "training.learning_rate=4e-3"],
    "twice the epochs": ["training.epochs=24"],
    "without rotations": ["data.augmentation.rotations=false"],
    "no time": ["network.parameters=[light, length, width, kurtosis, concentration, leakage, "
                "islands, centroid, axis, skewness]"],
}  # fmt: skip

#: Settings of each variant of the shipped experiment.
OF_IMAGES = {
    "shipped": [],
    "square root of charge": ["data.charge_scale=sqrt"],
    "log of charge": ["data.charge_scale=log"],
    "no keypoints": ["network.keypoints=0"],
    "gammaphysnet": ["network.encoder=gammaphysnet", "network.widths=[8, 16, 32]",
                     "network.blocks=1"],
    "images without parameters": ["network.parameters=[]", "network.geometry=false"],
    "no geometry, images": ["network.geometry=false"],
}  # fmt: skip


def reconstructed(
    network, dataset, shuffle_seed: int | None = None
) -> tuple[dict[str, torch.Tensor], np.ndarray]:
    """The network's outputs for all events of a dataset, by task, and the events' rows."""
    outputs, rows = defaultdict(list), []
    with torch.inference_mode():
        for batch in event_loader(dataset, 128, shuffle_seed=shuffle_seed):
            for name, output in network(batch.images, batch.n_events).items():
                outputs[name].append(output.float())
            rows.append(batch.index.numpy())
    return {name: torch.cat(parts) for name, parts in outputs.items()}, np.concatenate(rows)


def figures(network, tasks, dataset, events) -> dict[str, float]:
    """Energy resolution and bias, direction, impact, AUC and remaining protons of some events."""
    outputs, rows = reconstructed(network, dataset)
    events = events[rows]
    is_gamma = np.asarray(events["particle"]) == "gamma"
    found = {}
    for name in ("energy", "direction", "impact"):
        truth = torch.from_numpy(tasks[name].truth(events)[is_gamma])
        found |= tasks[name].metrics(outputs[name][torch.from_numpy(is_gamma)], truth)
        distance = tasks[name].distance(outputs[name][torch.from_numpy(is_gamma)], truth)
        if name == "direction":
            found["angle_95"] = float(distance.quantile(0.95))
    gammaness = outputs["particle_type"][:, 0].numpy()
    found["auc"] = float(roc_auc_score(is_gamma, gammaness))
    cut = np.quantile(gammaness[is_gamma], 0.2)
    found["protons_at_80"] = float(np.mean(gammaness[~is_gamma] >= cut))
    return {name: round(value, 4) for name, value in found.items()}


def trained(changes, seed: int) -> dict:
    """Train a variant; its figures, and how long that took."""
    experiment = override(load_experiment(SETTINGS), [*changes, f"training.seed={seed}"])
    make_missing(experiment.simulation, {"data.train": experiment.data.train}, progress=False)
    tasks = build_tasks(experiment.tasks)
    index = index_training(find_files(experiment.data.train, "data.train"), experiment, tasks)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        trained = fit(experiment, index, tasks, Path(folder), progress=False)
        network = for_inference(load_checkpoint(trained.checkpoint).network)
    seconds = time.process_time() - begun
    fraction, parameters = experiment.data.validation_fraction, experiment.network.parameters
    _, rows = split_by_shower(index.events, fraction, seed)
    dataset = EventDataset(index, experiment.data, rows=rows, parameters=parameters)
    return figures(network, tasks, dataset, index.events) | {"cpu_s": round(seconds)}


def main() -> None:
    """Read the command line, train what is not there yet."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument(
        "--variants", nargs="+", choices=[*OF_PARAMETERS, *OF_IMAGES], default=list(OF_PARAMETERS)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "ablations.json"
    for seed in options.seeds:
        for name in options.variants:
            results = json.loads(path.read_text()) if path.exists() else {}
            of_variant = results.setdefault(name, {"settings": [], "seeds": {}})
            if str(seed) in of_variant["seeds"]:
                continue
            own = OF_PARAMETERS.get(name, OF_IMAGES.get(name))
            base = PARAMETERS if name in OF_PARAMETERS else ()
            changes = [f"training.epochs={options.epochs}", *base, *own]
            found = trained(changes, seed)
            of_variant["settings"] = changes
            of_variant["machine"] = machine("cpu")
            of_variant["seeds"][str(seed)] = found
            path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
            print(f"{name}, seed {seed}: {found}", flush=True)


if __name__ == "__main__":
    main()
