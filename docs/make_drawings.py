"""Draw the schematic pictures of the site: pipeline, network, native tile, DL2 layout and shuffle.

    python docs/make_drawings.py

writes docs/pictures/{pipeline,network,native_tile,dl2_layout,shuffle}.png.
"""

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from PIL import Image

from gammalearn.plotting.style import PALETTE, picture_style

PICTURES = Path(__file__).parent / "pictures"

BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, _ = PALETTE
GREY = "0.5"

#: Pixels per inch: 7 inches are 1050 pixels, sharp at the 700 that a page gives them.
DPI = 150

#: Of a picture, which has few: the files are a quarter as large.
COLOURS = 64


def new_axes(width: float, height: float) -> tuple[Figure, Axes]:
    """Empty axes whose units are inches."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return figure, axes


def box(axes, x, y, width, height, text, color, **style):
    """A coloured box with its text, around its middle (x, y)."""
    corner = (x - width / 2, y - height / 2)
    rounded = "round,pad=0,rounding_size=0.08"
    pale = FancyBboxPatch(corner, width, height, rounded, fc=color, ec="none", alpha=0.18)
    edge = FancyBboxPatch(corner, width, height, rounded, fc="none", ec=color, lw=1.5)
    axes.add_patch(pale)
    axes.add_patch(edge)
    axes.text(x, y, text, ha="center", va="center", **{"fontsize": 10, **style})


def arrow(axes, start, end, color=GREY, curve=0.0):
    """An arrow from start to end."""
    look = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "mutation_scale": 12}
    look["connectionstyle"] = f"arc3,rad={curve}"
    axes.annotate("", end, start, arrowprops={**look, "shrinkA": 0, "shrinkB": 0})


def pipeline() -> Figure:
    """From files to the report, in one direction."""
    figure, axes = new_axes(7.2, 3.0)
    steps = [
        (0.85, "files", "ctapipe DL1\nlstchain DL1\nsim_telarray", ORANGE),
        (2.25, "events", "index, cuts,\nsplit by shower", BLUE),
        (3.65, "batches", "shuffled,\naugmented", BLUE),
        (5.05, "network", "encoders, fusion,\none head per task", GREEN),
        (6.4, "DL2 files", "ctapipe's\ndata model", ORANGE),
    ]
    for x, title, words, color in steps:
        box(axes, x, 2.15, 1.16, 1.15, "", color)
        axes.text(x, 2.53, title, ha="center", va="center", fontsize=11, weight="bold")
        axes.text(x, 2.02, words, ha="center", va="center", fontsize=9)
    for (left, *_), (right, *_) in zip(steps, steps[1:], strict=False):
        arrow(axes, (left + 0.6, 2.15), (right - 0.6, 2.15))
    box(axes, 0.85, 0.6, 1.16, 0.6, "gammalearn\nsimulate", PINK, fontsize=9)
    arrow(axes, (0.85, 0.92), (0.85, 1.55))
    others = "DL2 of other software\n(Hillas, random forests)"
    box(axes, 2.95, 0.6, 1.9, 0.6, others, PINK, fontsize=9)
    box(axes, 5.72, 0.6, 2.5, 0.6, "evaluation, comparison, report", GREEN)
    arrow(axes, (6.4, 1.55), (6.4, 0.92))
    arrow(axes, (3.92, 0.6), (4.45, 0.6))
    return figure


def network() -> Figure:
    """Encoders, geometry, fusion and heads, for an event of three images."""
    figure, axes = new_axes(7.2, 4.1)
    rows = [3.45, 2.75, 2.05]
    for number, y in enumerate(rows, 1):
        box(axes, 0.75, y, 1.1, 0.48, f"image {number}", ORANGE)
        box(axes, 2.25, y, 1.1, 0.48, "encoder", BLUE)
        arrow(axes, (1.32, y), (1.68, y))
        arrow(axes, (2.82, y), (3.28, y))
    axes.text(0.75, 3.82, "telescopes", ha="center", fontsize=9, color=GREY)
    axes.text(2.25, 3.82, "one per camera type", ha="center", fontsize=9, color=GREY)
    box(axes, 3.95, 2.75, 1.3, 1.9, "fusion\n\nattention among\nthe telescopes", BLUE)
    box(axes, 0.75, 0.75, 1.1, 0.8, "DL1\nparameters", ORANGE)
    words = (
        "geometry: fits of direction and core,\ndistance of each telescope\nfrom the shower axis"
    )
    box(axes, 3.0, 0.75, 2.6, 0.8, words, PINK)
    arrow(axes, (1.32, 0.75), (1.68, 0.75))
    arrow(axes, (3.75, 1.17), (3.75, 1.78), PINK)
    arrow(axes, (4.15, 1.78), (4.15, 1.17), PINK)
    axes.text(3.66, 1.45, "distances", fontsize=9, color=GREY, ha="right", va="center")
    axes.text(4.24, 1.45, "new weights", fontsize=9, color=GREY, va="center")
    heads = [("particle type", 3.45), ("energy", 2.75), ("direction", 1.25), ("impact", 0.55)]
    for name, y in heads:
        box(axes, 6.35, y, 1.3, 0.48, name, GREEN)
    for y in (3.45, 2.75):
        arrow(axes, (4.62, y), (5.68, y))
    for y in (1.25, 0.55):
        arrow(axes, (4.32, 0.75 + 0.3 * (y > 1) - 0.1 * (y < 1)), (5.68, y), PINK)
    axes.text(5.15, 3.55, "head", fontsize=9, color=GREY, ha="center")
    axes.text(5.15, 2.85, "head", fontsize=9, color=GREY, ha="center")
    axes.text(5.3, 0.3, "last fits", fontsize=9, color=GREY, ha="center")
    return figure


def native_tile() -> Figure:
    """A tile of the native convolution: six pixels and one member of the kernel."""
    figure, axes = new_axes(7.2, 3.7)
    seen = [(8, 3, 2), (9, 4, 3), (10, 5, 4), (11, 6, 5), (12, 7, 6), (13, None, 7)]
    n_pixels, top, step = 9, 2.65, 0.25

    def cell(x, y, width, text="", color=GREY, alpha=0.25):
        axes.add_patch(Rectangle((x, y), width, 0.2, fc=color, alpha=alpha, ec="none"))
        axes.text(x + width / 2, y + 0.09, text, ha="center", va="center", fontsize=8)

    for pixel in range(n_pixels + 1):
        y, last = top - step * pixel, pixel == n_pixels
        label = "n, absent" if last else f"pixel {pixel}" if pixel < n_pixels - 1 else "..."
        axes.text(0.72, y + 0.09, label, ha="right", va="center", fontsize=8)
        for channel in range(5):
            read = channel == 1 and (last or 3 <= pixel <= 7)
            text = "0" if last else ""
            cell(
                0.8 + 0.2 * channel, y, 0.17, text, ORANGE if read else GREY, 0.9 if read else 0.25
            )
    for p, (output, member, other) in enumerate(seen):
        y, absent = top - 0.5 - step * p, member is None
        axes.text(2.92, y + 0.09, f"output {output}", ha="right", va="center", fontsize=8)
        cell(3.0, y, 0.32, "n" if absent else member, ORANGE, 0.6)
        cell(3.36, y, 0.32, other)
        cell(3.72, y, 0.32, "...")
        source = n_pixels if absent else member
        arrow(axes, (2.2, y + 0.1), (1.85, top - step * source + 0.1), ORANGE)
        for vector in range(2):
            cell(5.1 + 0.95 * vector, y, 0.9, f"sum {output}, {'ab'[vector]}", BLUE)
        arrow(axes, (4.15, y + 0.1), (4.98, y + 0.1))
    for vector in range(2):
        x = 5.1 + 0.95 * vector
        cell(x, top + 0.02, 0.9, f"weights {'ab'[vector]}", GREEN, 0.4)
        arrow(axes, (x + 0.45, top - 0.02), (x + 0.45, top - 0.26), GREEN)
    for x, words in (
        (1.2, "features of an image:\none row per pixel,\nchannels next to each other"),
        (3.45, "table: for each output,\nthe pixels that it sees"),
        (6.0, "registers: two vectors of\nchannels for each output"),
    ):
        axes.text(x, 3.3, words, ha="center", va="center", fontsize=9)
    words = "one value is multiplied with both vectors\nof weights, and added to two sums"
    axes.text(5.6, 0.55, words, ha="center", va="center", fontsize=9, color=GREY)
    return figure


def dl2_layout() -> Figure:
    """Groups of a DL2 file, those of the DL1 file and those that are new."""
    figure, axes = new_axes(7.2, 3.7)
    lines = [
        (0, "events.dl2.h5", None, ""),
        (1, "configuration", ORANGE, "instrument, simulation"),
        (1, "simulation", ORANGE, "truth (copy, or link with --link-truth)"),
        (1, "dl1", ORANGE, "triggers, parameters, images on request"),
        (1, "dl2 / event", GREEN, "new"),
        (2, "subarray", GREEN, "stereo: one row for each event"),
        (3, "energy / GammaLearn", GREEN, "energy, energy_uncert"),
        (3, "geometry / GammaLearn", GREEN, "alt, az, core_x, core_y"),
        (3, "particle_type / GammaLearn", GREEN, "prediction (gammaness)"),
        (2, "telescope", GREEN, "mono: one row for each image"),
        (3, "energy / GammaLearn / tel_001", GREEN, "the same kinds of tables"),
    ]
    step, top = 0.31, 3.42
    for number, (depth, name, color, words) in enumerate(lines):
        x, y = 0.25 + 0.42 * depth, top - step * number
        if depth:
            parent = max(i for i in range(number) if lines[i][0] == depth - 1)
            left = x - 0.24
            axes.plot([left, left, x - 0.04], [top - step * parent - 0.12, y, y], color="0.7", lw=1)
        face = {"facecolor": color or "0.5", "alpha": 0.18, "edgecolor": "none", "pad": 2.5}
        axes.text(x, y, name, va="center", fontsize=10, bbox=face)
        axes.text(3.85, y, words, va="center", fontsize=9, color="0.3")
    return figure


def shuffle() -> Figure:
    """Blocks dealt to lanes, events that wait, batches of all lanes."""
    figure, axes = new_axes(7.2, 3.3)
    colors = [BLUE, ORANGE, GREEN, PINK, YELLOW, SKY]
    side, per_block = 0.17, 4
    rng = np.random.default_rng(5)

    def event(x, y, color):
        axes.add_patch(Rectangle((x, y), side * 0.82, side * 0.82, fc=color, ec="none"))

    for number, color in enumerate(colors):
        y = 2.55 - 0.42 * number
        for place in range(per_block):
            event(0.35 + side * place, y, color)
    lanes = [2.25, 1.45, 0.65]
    order = rng.permutation(len(colors))
    for lane, y in enumerate(lanes):
        mine = order[lane :: len(lanes)]
        waiting = rng.permutation([colors[block] for block in mine for _ in range(per_block)])
        box(axes, 3.2, y, 1.9, 0.55, "", GREY)
        for place, color in enumerate(waiting):
            event(2.45 + 0.19 * place, y - 0.07, color)
        for block in mine:
            start = (0.35 + side * per_block + 0.05, 2.62 - 0.42 * block)
            arrow(axes, start, (2.2, y), colors[block])
        for batch in range(3):
            event(5.7 + side * 1.2 * lane, 2.2 - 0.8 * batch, waiting[batch])
        arrow(axes, (4.2, y), (5.3, 1.5 + 0.1 * (1 - lane)))
    for batch in range(3):
        box(axes, 5.95, 2.27 - 0.8 * batch, 0.9, 0.42, "", GREY)
    for x, words in (
        (0.7, "files: blocks of\nneighbouring events"),
        (3.2, "lanes: each event waits\nfor a random time"),
        (5.95, "batches: events\nof all lanes in turn"),
    ):
        axes.text(x, 3.02, words, ha="center", va="center", fontsize=9)
    return figure


def main():
    """Draw all pictures."""
    with picture_style():
        for draw in (pipeline, network, native_tile, dl2_layout, shuffle):
            drawn = io.BytesIO()
            draw().savefig(drawn, dpi=DPI, facecolor="white")
            picture = Image.open(drawn).convert("RGB").quantize(COLOURS)
            picture.save(PICTURES / f"{draw.__name__}.png", optimize=True)


if __name__ == "__main__":
    main()
