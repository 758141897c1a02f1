"""The cost of image parameters that a file lacks: microseconds for each image.

    python benchmarks/image_parameters.py -o docs/results     # simulates some events first
    python benchmarks/image_parameters.py -o docs/results --file my.dl1.h5

For each type of telescope, the same images are cleaned and described by ctapipe's ImageProcessor,
one after the other, and by GammaLearn, all at once, as a cut on a missing parameter does. Both have
the same settings and one thread, and take turns. A cut also reads the images: the time for this
is measured too. Times are those of the processor, without other programs. Prints the medians over
the rounds and writes them to image_parameters.json; the error of a ratio is its standard deviation
over the rounds.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from ctapipe import __version__ as ctapipe_version
from ctapipe.containers import ArrayEventContainer, DL1CameraContainer
from ctapipe.image import ImageProcessor
from ctapipe.instrument import SubarrayDescription
from engine import machine
from traitlets.config import Config

from gammalearn.data.readers.ctapipe_dl1 import CtapipeDL1Reader
from gammalearn.data.readers.parameters import ROWS_AT_A_TIME, compute_parameters
from gammalearn.image.parameters import IMAGE_PARAMETERS, ImageParametrizer
from gammalearn.image.processing import image_processing
from gammalearn.settings import SimulationSettings

#: LSTs with LSTCam and MSTs with NectarCam.
SIMULATION = {
    "particle": "gamma",
    "array": "lst4_mst9",
    "n_showers": 60,
    "energy": (0.1, 5.0),
    "viewcone": 2.5,
    "scatter": 250.0,
    "seed": 1,
}

ROUNDS = 7


def simulated(folder: Path) -> Path:
    """The file to describe the images of, simulated where it is missing."""
    path = folder / "image_parameters.dl1.h5"
    if not path.exists():
        from gammalearn.simulation import simulate

        simulate(SimulationSettings(output=path, **SIMULATION))
    return path


def by_ctapipe(processor: ImageProcessor, tel_id: int, pixels: dict) -> None:
    """Describe images one after the other."""
    for image, peak_time in zip(pixels["charge"], pixels["peak_time"], strict=True):
        event = ArrayEventContainer()
        event.dl1.tel[tel_id] = DL1CameraContainer(image=image, peak_time=peak_time)
        processor(event)


def microseconds(describe, n_images: int) -> float:
    """Time of the processor for each image: other programs do not count."""
    start = time.process_time()
    describe()
    return 1e6 * (time.process_time() - start) / n_images


def measured(reader: CtapipeDL1Reader, subarray: SubarrayDescription, tel_id: int) -> dict:
    """The figures of one telescope."""
    processor = ImageProcessor(subarray, config=Config(image_processing(subarray)))
    parametrizer, columns = ImageParametrizer(subarray), ["charge", "peak_time"]
    rows = np.arange(min(reader.n_images(tel_id), ROWS_AT_A_TIME))
    pixels = reader.pixels(tel_id, rows, columns)
    work = {
        "reading": lambda: reader.pixels(tel_id, rows, columns),
        "gammalearn": lambda: compute_parameters(
            parametrizer, tel_id, pixels, IMAGE_PARAMETERS.names
        ),
        "ctapipe": lambda: by_ctapipe(processor, tel_id, pixels),
    }
    for describe in work.values():
        describe()  # compiled, and in the page cache
    times = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, describe in work.items():
            times[name].append(microseconds(describe, len(rows)))
    times = {name: np.array(values) for name, values in times.items()}
    ratio = times["ctapipe"] / times["gammalearn"]
    of_cut = (times["reading"] + times["ctapipe"]) / (times["reading"] + times["gammalearn"])
    return {
        "images": len(rows),
        "us_per_image": {name: round(float(np.median(t)), 1) for name, t in times.items()},
        "ratio": round(float(np.median(ratio)), 1),
        "ratio_error": round(float(ratio.std(ddof=1)), 1),
        "ratio_with_reading": round(float(np.median(of_cut)), 1),
        "ratio_with_reading_error": round(float(of_cut.std(ddof=1)), 1),
    }


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of simulated files")
    parser.add_argument("--file", type=Path, help="ctapipe DL1 file with images")
    options = parser.parse_args()
    path = options.file or simulated(options.data)
    subarray = SubarrayDescription.from_hdf(path)
    figures = {}
    with CtapipeDL1Reader(path) as reader:
        for telescope in sorted(subarray.telescope_types, key=str):
            ids = set(subarray.get_tel_ids_for_type(telescope)) & {*reader.telescopes_with_images()}
            tel_id = max(ids, key=reader.n_images)
            figures[str(telescope)] = measured(reader, subarray, int(tel_id))
            print(f"{telescope}: {figures[str(telescope)]}", flush=True)
    results = {
        "figures": figures,
        "command": "benchmarks/image_parameters.py -o docs/results"
        + (f" --file {path.name}" if options.file else ""),
        "seed": SIMULATION["seed"],
        "machine": machine("cpu"),
        "ctapipe": ctapipe_version,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    target = options.output / "image_parameters.json"
    target.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
