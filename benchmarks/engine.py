"""Speed and memory of indexed convolutions, backend by backend, and of plain dense ones.

    python benchmarks/engine.py -o DIR                      # a quarter of an hour on two cores
    python benchmarks/engine.py --figures network latency   # some of the figures
    python benchmarks/engine.py --figures auto -o DIR       # what backend="auto" chooses by
    python benchmarks/engine.py --figures njit -o DIR       # native loops against plain numba
    python benchmarks/engine.py --device cuda -o DIR        # the same on a GPU

The network is GammaPhysNet on a round camera of 1855 pixels like LSTCam, two channels, blocks
16/32/64 x 3 with dual attention. "floor" is the same network of plain torch layers (Conv2d,
BatchNorm2d, AvgPool2d) on square images of as many pixels, 43 x 43. Each figure is measured in a
process of its own; "memory" is what a training step adds to the process at its peak. "Compiled" is
torch.compile, on a GPU with graphs of CUDA calls; convolutions in single precision take TF32 there,
as torch does by default. Prints a table and writes DIR/engine.json, on a GPU DIR/engine_cuda.json.
"""

import argparse
import itertools
import json
import math
import multiprocessing
import os
import platform
import resource
import statistics
import time
from pathlib import Path

import numba
import numpy as np
import torch
from torch import nn

from gammalearn.camera import PixelGrid
from gammalearn.machine.memory import keep_freed_memory
from gammalearn.nn import IndexedConv, for_inference, native
from gammalearn.nn.encoders.gammaphysnet import GammaPhysNet

#: Pixels on each side of a square image of about as many pixels as LSTCam has.
FLOOR_SIDE = 43

#: Seconds that a figure is measured for, after two runs to warm up.
SECONDS = 6.0

#: Images of a batch, where a figure is not of their number.
BATCH_SIZE = {"cpu": 64, "cuda": 1024}

#: Pixels, and features of the widest stage, that the choice of a backend is measured at.
AUTO_PIXELS, AUTO_WIDTHS = (64, 256, 1024, 4096), (32, 64, 256)

CASES = {
    # name: (backend, compiled, precision)
    "indexedconv": ("indexedconv", False, torch.float32),
    "floor": ("floor", False, torch.float32),
    "gather": ("gather", False, torch.float32),
    "dense": ("dense", False, torch.float32),
    "native": ("native", False, torch.float32),
    "native, compiled": ("native", True, torch.float32),
    "dense, compiled": ("dense", True, torch.float32),
    "dense, bfloat16": ("dense", False, torch.bfloat16),
    "dense, compiled, bfloat16": ("dense", True, torch.bfloat16),
    "floor, compiled": ("floor", True, torch.float32),
    "floor, compiled, bfloat16": ("floor", True, torch.bfloat16),
    "indexedconv, compiled, bfloat16": ("indexedconv", True, torch.bfloat16),
}

#: Cases and figures that a device has no use for: native computes as dense does on a GPU.
WITHOUT = {
    "cpu": ("floor, compiled, bfloat16", "indexedconv, compiled, bfloat16"),
    "cuda": ("native", "native, compiled", "njit"),
}


def round_camera(n_pixels):
    """The ``n_pixels`` of a hexagonal lattice that are nearest to its middle."""
    reach = int(np.sqrt(n_pixels)) + 2
    col, row = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1)
    z = col + row * np.exp(-2j * np.pi / 3)
    nearest = np.argsort(np.round(np.abs(z), 6), kind="stable")[:n_pixels]
    return PixelGrid.from_positions(z.real[nearest], z.imag[nearest])


def square_camera(n_pixels):
    """A square of at most ``n_pixels`` square pixels."""
    row, col = np.mgrid[: math.isqrt(n_pixels), : math.isqrt(n_pixels)].reshape(2, -1)
    return PixelGrid.from_positions(col, row, lattice="square")


CAMERAS = {"hexagonal": round_camera, "square": square_camera}


class Floor(nn.Module):
    """GammaPhysNet of plain torch layers on square images."""

    def __init__(self, side, embedding=256):
        super().__init__()
        layers, width = [nn.Conv2d(2, 16, 3, padding=1, bias=False)], 16
        for stage, channels in enumerate((16, 32, 64)):
            for number in range(3):
                stride = 2 if stage > 0 and number == 0 else 1
                layers.append(FloorBlock(width, channels, stride))
                width, side = channels, -(-side // stride)
            layers.append(FloorAttention(width))
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten())
        self.linear = nn.Linear(width * side**2, embedding)

    def forward(self, images):
        return self.linear(self.layers(images))


class FloorBlock(nn.Module):
    def __init__(self, width, channels, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, channels, 3, stride, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        )
        self.shortcut = nn.Sequential()
        if stride > 1:
            pool, project = nn.AvgPool2d(3, 2, 1), nn.Conv2d(width, channels, 1, bias=False)
            self.shortcut.extend([pool, project])

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class FloorAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(channels, channels // 4),
            nn.ReLU(),
            nn.Linear(channels // 4, channels),
            nn.Sigmoid(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(channels, channels // 2, 1),
            nn.ReLU(),
            nn.Conv2d(channels // 2, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return (1 + self.spatial(x)) * x * self.gate(x.mean((2, 3)))[..., None, None]


def build(backend, n_pixels, n_images, device, seed, lattice="hexagonal", **options):
    """A network and images for it; options are of GammaPhysNet."""
    torch.manual_seed(seed)
    if backend == "floor":
        side = round(n_pixels**0.5)
        images = torch.randn(n_images, 2, side, side)
        memory_format = torch.channels_last
        network = Floor(side).to(memory_format=memory_format)
        images = images.contiguous(memory_format=memory_format)
    else:
        grid = CAMERAS[lattice](n_pixels)
        network = GammaPhysNet(grid, 2, 256, backend=backend, **options)
        images = torch.randn(n_images, 2, grid.n_pixels)
    return network.to(device), images.to(device)


def timed(run, device, seconds):
    """Median of the times of ``run``, in seconds."""
    run(), run()
    times, start = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - start < seconds:
        if device == "cuda":
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            run()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end) / 1e3)
        else:
            begin = time.perf_counter()
            run()
            times.append(time.perf_counter() - begin)
    return statistics.median(times)


def peak(device):
    """Most memory that the process has had, in bytes."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(
    backend,
    compiled,
    precision,
    mode,
    n_images,
    n_pixels,
    device,
    threads,
    seed,
    seconds,
    **camera_and_network,
):
    """Images per second, and what memory it took (GB)."""
    torch.set_num_threads(threads)
    keep_freed_memory()  # as training and reconstruction do
    network, images = build(backend, n_pixels, n_images, device, seed, **camera_and_network)
    mixed = torch.autocast(device, torch.bfloat16, enabled=precision == torch.bfloat16)
    before = peak(device)
    # Graphs of CUDA calls where the sizes stay the same.
    options = {"mode": "reduce-overhead"} if device == "cuda" else {}
    if mode == "train":
        optimiser = torch.optim.Adam(network.parameters(), fused=True)
        model = torch.compile(network, **options) if compiled else network

        def run():
            with mixed:
                loss = model(images).float().square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    else:
        network = network.eval() if backend == "floor" else for_inference(network)
        model = torch.compile(network, **options) if compiled else network

        @torch.inference_mode()
        def run():
            with mixed:
                model(images)

    seconds_each = timed(run, device, seconds)
    return {
        "images_per_second": n_images / seconds_each,
        "milliseconds": 1e3 * seconds_each,
        "memory_gb": (peak(device) - before) / 1e9,
    }


class Benchmark:
    """What all figures share."""

    def __init__(self, device, threads, seed, seconds, cases):
        self.device, self.common = device, (device, threads, seed, seconds)
        self.cases = [name for name in cases or CASES if name not in WITHOUT[device]]

    def __call__(self, case, mode, n_images=None, n_pixels=1855, **camera_and_network):
        backend, compiled, precision = CASES[case]
        if backend == "floor":
            n_pixels = FLOOR_SIDE**2
        n_images = n_images or BATCH_SIZE[self.device]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            arguments = backend, compiled, precision, mode, n_images, n_pixels, *self.common
            return pool.apply(measure, arguments, camera_and_network)

    def compare(self, names, n_images, n_pixels, **camera_and_network):
        """Milliseconds of backends as they are, one after the other in one process."""
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            return {
                name: {
                    mode: pool.apply(
                        measure,
                        (name, False, torch.float32, mode, n_images, n_pixels, *self.common),
                        camera_and_network,
                    )["milliseconds"]
                    for mode in ("train", "inference")
                }
                for name in names
            }

    @property
    def backends(self):
        """Backends as they are, from the slowest to the fastest."""
        names = ("indexedconv", "gather", "dense", "native")
        return [name for name in names if name not in WITHOUT[self.device]]


def network(benchmark):
    """Training and inference of each backend."""
    figures = {}
    print(f"{'':32s}{'training':>18s}{'memory':>9s}{'inference':>19s}   (images/s, ratio)")
    for name in benchmark.cases:
        figures[name] = {mode: benchmark(name, mode) for mode in ("train", "inference")}
        for mode, figure in figures[name].items():
            for base in ("indexedconv", "floor"):
                if base in figures:
                    figure[f"over_{base}"] = (
                        figure["images_per_second"] / figures[base][mode]["images_per_second"]
                    )
        train, inference = figures[name]["train"], figures[name]["inference"]
        print(
            f"{name:32s}{train['images_per_second']:9.0f} x "
            f"{train.get('over_indexedconv', math.nan):6.2f}"
            f"{train['memory_gb']:6.2f} GB{inference['images_per_second']:10.0f} x "
            f"{inference.get('over_indexedconv', math.nan):6.2f}",
            flush=True,
        )
    return figures


def pixels(benchmark):
    """Milliseconds of a training step of 16 images against the number of pixels."""
    figures = {}
    for n_pixels in (7, 61, 271, 960, 1855, 4000, 8000):
        figures[n_pixels] = {
            backend: benchmark(backend, "train", 16, n_pixels)["milliseconds"]
            for backend in benchmark.backends
        }
        row = "  ".join(f"{name} {value:7.1f} ms" for name, value in figures[n_pixels].items())
        print(f"{n_pixels:5d} pixels: {row}", flush=True)
    return figures


def batch(benchmark):
    """Images per second of the fastest backend, not compiled, against the size of the batch."""
    figures = {}
    for n_images in (1, 4, 16, 64, 256, 1024):
        figures[n_images] = {
            mode: benchmark(benchmark.backends[-1], mode, n_images)["images_per_second"]
            for mode in ("train", "inference")
        }
        train, inference = figures[n_images].values()
        print(f"batches of {n_images:4d}: {train:6.0f} / {inference:6.0f} images/s", flush=True)
    return figures


def latency(benchmark):
    """Milliseconds from one event of four images to its features."""
    names = [*benchmark.backends, *(["dense, compiled"] if benchmark.device == "cuda" else [])]
    figures = {name: benchmark(name, "inference", 4)["milliseconds"] for name in names}
    print("one event of 4 images: " + ", ".join(f"{k} {v:.1f} ms" for k, v in figures.items()))
    return figures


def auto(benchmark):
    """Milliseconds of a training step and of inference of 32 images, for networks of one block a
    stage: by lattice, number of pixels, and features of the widest stage."""
    figures = {}
    names = benchmark.backends[1:]  # without the reference
    print(f"{'training / inference (ms)':36s}{''.join(f'{name:>20s}' for name in names)}")
    for lattice, n_pixels, width in itertools.product(CAMERAS, AUTO_PIXELS, AUTO_WIDTHS):
        options = {"lattice": lattice, "widths": (width // 4, width // 2, width), "blocks": 1}
        figure = benchmark.compare(names, 32, n_pixels, **options)
        figures.setdefault(lattice, {}).setdefault(n_pixels, {})[width] = figure
        times = "".join(f"{f['train']:11.1f} /{f['inference']:7.1f}" for f in figure.values())
        print(f"{lattice:9s} {n_pixels:4d} pixels, {width:3d} features{times}", flush=True)
    return figures


@numba.njit(parallel=True, fastmath=True)
def plain_convolve(x, weight, neighbours, out):
    """What `native.convolve` computes, as one writes it in numba, of the same arrays."""
    n_outputs, n_members = neighbours.shape
    _, n_in, n_out = weight.shape
    for image in numba.prange(len(x)):
        out[image] = 0
        for output in range(n_outputs):
            for member in range(n_members):
                seen = neighbours[output, member]
                for i in range(n_in):
                    for o in range(n_out):
                        out[image, output, o] += x[image, seen, i] * weight[member, i, o]


def compare_with_njit(n_channels, n_images, n_pixels, device, threads, seed, seconds):
    """Milliseconds of a convolution by the native loop and by `plain_convolve`, in turn."""
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    numba.set_num_threads(threads)
    keep_freed_memory()
    conv = IndexedConv(n_channels, n_channels, round_camera(n_pixels), backend="native")
    tables = conv.backend.seen, conv.backend.seen_by, conv.backend.neighbours
    weight = conv.weight.detach().permute(2, 1, 0).contiguous()
    x = torch.nn.functional.pad(torch.randn(n_images, n_pixels, n_channels), (0, 0, 0, 1))
    arrays = [tensor.numpy() for tensor in (x, weight, conv.backend.neighbours)]

    def run_native():
        return native.convolve(x, weight, None, None, False, *tables)

    def run_njit():
        out = torch.empty_like(x)
        plain_convolve(*arrays, out.numpy())
        return out

    torch.testing.assert_close(run_native(), run_njit(), rtol=0, atol=1e-4)
    rounds = 5
    times = [
        [timed(run, device, seconds / rounds) for run in (run_native, run_njit)]
        for _ in range(rounds)
    ]
    milliseconds = 1e3 * np.median(times, axis=0)
    ratios = [by_njit / by_native for by_native, by_njit in times]
    return {
        "native_ms": milliseconds[0],
        "njit_ms": milliseconds[1],
        "njit_over_native": statistics.median(ratios),
        "njit_over_native_range": [min(ratios), max(ratios)],
    }


def njit(benchmark):
    """A convolution of 64 images of 1855 hexagonal pixels: the native loop and plain numba."""
    figures = {}
    for n_channels in (16, 32, 64):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            arguments = n_channels, 64, 1855, *benchmark.common
            figures[n_channels] = figure = pool.apply(compare_with_njit, arguments)
        least, most = figure["njit_over_native_range"]
        print(
            f"{n_channels:3d} channels: native {figure['native_ms']:6.1f} ms, "
            f"njit {figure['njit_ms']:6.1f} ms, ratio {figure['njit_over_native']:.1f} "
            f"({least:.1f} to {most:.1f})",
            flush=True,
        )
    return figures


FIGURES = {f.__name__: f for f in (network, pixels, batch, latency, auto, njit)}


def machine(device):
    """What the figures were measured on."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    model = Path("/proc/cpuinfo")
    names = [
        line.split(":", 1)[1].strip()
        for line in (model.read_text().splitlines() if model.exists() else [])
        if line.startswith("model name")
    ]
    return f"{(names or [platform.machine()])[0]}, {os.cpu_count()} cores"


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("."))
    parser.add_argument("--figures", nargs="+", choices=FIGURES)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--cases", nargs="+", choices=CASES, help="of the figure network")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures = [name for name in options.figures or FIGURES if name not in WITHOUT[options.device]]

    benchmark = Benchmark(
        options.device, options.threads, options.seed, options.seconds, options.cases
    )
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / ("engine.json" if options.device == "cpu" else "engine_cuda.json")
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in figures:
        print(f"--- {FIGURES[name].__doc__}")
        results[name] = {
            "figures": FIGURES[name](benchmark),
            "command": f"benchmarks/engine.py --device {options.device} --figures {name} "
            f"--threads {options.threads} --seconds {options.seconds:g} --seed {options.seed}",
            "machine": machine(options.device),
            "torch": str(torch.__version__),
        }
        path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
