"""Speed of a network on cut-outs: images a second, alone, with the reading of files, as ONNX.

    python benchmarks/cutouts.py runs/lenses/checkpoints/best.ckpt data/lenses/test.h5 -o DIR

"network" is the network alone on images in memory; "file" is a whole prediction, from the catalogue
to the table. "onnxruntime" is the exported network, if the packages for it are installed. On a
machine with a GPU, all but onnxruntime is measured there too. Prints the figures and writes
DIR/cutouts.json.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from engine import machine
from telescopes import write_page

from gammalearn.surveys.catalogue import Catalogue, read_catalogue
from gammalearn.surveys.checkpoint import TrainedSurveyNetwork, load_survey_network
from gammalearn.surveys.galaxies.export import export_onnx
from gammalearn.surveys.galaxies.views import VIEWS, Images
from gammalearn.surveys.kinds import survey_of

#: Images of a batch.
BATCHES = (1, 64, 512)

#: Seconds that each figure is measured for, after two runs to warm up.
SECONDS = 5.0


def per_second(run: Callable[[], object], n_images: int) -> float:
    """Images a second of a call that takes so many."""
    for _ in range(2):
        run()
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        run()
        count += 1
    return round(count * n_images / (time.perf_counter() - start), 1)


def of_network(trained: TrainedSurveyNetwork, catalogue: Catalogue, size: int) -> float:
    """Images a second of the network alone, in batches of a size."""
    rows = np.arange(size) % len(catalogue)
    images = Images.of(catalogue.cutouts.read(rows), np.asarray(catalogue.objects["ebv"])[rows])
    return per_second(lambda: trained.outputs({VIEWS: images}, size), size)


def of_file(trained: TrainedSurveyNetwork, catalogue: Catalogue) -> float:
    """Images a second of a prediction that reads its cut-outs from the file."""
    survey = survey_of(trained.experiment.survey)
    start = time.perf_counter()
    table = survey.predict(trained, catalogue, "CATALOGUE")
    return round(len(table) / (time.perf_counter() - start), 1)


def of_onnx(trained: TrainedSurveyNetwork, catalogue: Catalogue, size: int, threads: int) -> float:
    """Images a second of the exported network in onnxruntime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = export_onnx(trained, Path(folder) / "network.onnx")
        session = onnxruntime.InferenceSession(path, options)
    rows = np.arange(size) % len(catalogue)
    inputs = {
        "flux": catalogue.cutouts.read(rows),
        "dust": np.asarray(catalogue.objects["ebv"], dtype=np.float32)[rows],
    }
    return per_second(lambda: session.run(None, inputs), size)


def main() -> None:
    """Read the command line, make the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("catalogue", type=Path, help="with cut-outs that the network can predict")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, torch.get_num_threads()])
    options = parser.parse_args()
    catalogue = read_catalogue(options.catalogue)
    trained = load_survey_network(options.checkpoint)
    has_onnx = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
    figures = {}
    for device in ["cpu", *["cuda"] * torch.cuda.is_available()]:
        trained.network.to(device)
        for threads in options.threads if device == "cpu" else options.threads[-1:]:
            torch.set_num_threads(threads)
            found = {
                f"network, batches of {size}": of_network(trained, catalogue, size)
                for size in BATCHES
            }
            found["file"] = of_file(trained, catalogue)
            if device == "cpu" and has_onnx:
                found |= {
                    f"onnxruntime, batches of {size}": of_onnx(trained, catalogue, size, threads)
                    for size in BATCHES
                }
            name = machine(device) if device == "cuda" else f"{threads} threads of the CPU"
            figures[name] = found
            print(name, ", ".join(f"{k}: {v}" for k, v in found.items()), sep=": ", flush=True)
    results = {
        "unit": "images/s",
        "images": list(catalogue.cutouts.shape[1:]),
        "survey": trained.experiment.survey,
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "figures": figures,
        "machine": machine("cpu"),
        "torch": str(torch.__version__),
        "command": "python benchmarks/cutouts.py CHECKPOINT CATALOGUE -o docs/results",
    }
    options.output.mkdir(parents=True, exist_ok=True)
    write_page(options.output / "cutouts.json", json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
