"""Draw docs/pictures/engine_grid.png: a hexagonal camera and its index matrix.

python docs/make_engine_picture.py
"""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle, RegularPolygon

RADIUS = 3
LIGHT, KERNEL, CENTRE, ROW = "#e8e8e8", "#f5b971", "#d9622b", "#b8d4ea"


def colour(row, col):
    """Of the pixel at a step (row, col) from the middle, with a kernel to its right."""
    d_row, d_col = row - 1, col - 1
    if (d_row, d_col) == (0, 0):
        return CENTRE
    if max(abs(d_row), abs(d_col), abs(d_row - d_col)) <= 1:
        return KERNEL
    return ROW if row == -1 else LIGHT


def main():
    row, col = np.mgrid[-RADIUS : RADIUS + 1, -RADIUS : RADIUS + 1].reshape(2, -1)
    inside = np.abs(row - col) <= RADIUS
    number = np.full(len(row), -1)
    number[inside] = np.arange(inside.sum())
    figure, (camera, matrix) = plt.subplots(1, 2, figsize=(9, 4.9))

    for r, c, n in zip(row[inside], col[inside], number[inside], strict=True):
        x, y = c - r / 2, -np.sqrt(0.75) * r
        hexagon = RegularPolygon(
            (x, y), 6, radius=1 / np.sqrt(3), fc=colour(r, c), ec="white", lw=2
        )
        camera.add_patch(hexagon)
        camera.text(x, y, n, ha="center", va="center", fontsize=8)
    arrow = dict(arrowstyle="-|>", lw=1.5)
    start = (-4.6, -2.2)
    for step, name in (((1.2, 0), "$e_{col}$"), ((-0.6, -1.04), "$e_{row}$")):
        end = (start[0] + step[0], start[1] + step[1])
        camera.annotate("", end, start, arrowprops=arrow)
        camera.text(end[0] + 0.1, end[1] - 0.35, name)
    camera.set(xlim=(-5.6, 3.8), ylim=(-3.9, 3.4), title="camera: 37 pixels")

    for r, c, n in zip(row, col, number, strict=True):
        face = colour(r, c) if n >= 0 else "white"
        cell = Rectangle(
            (c - 0.5, r - 0.5), 1, 1, fc=face, ec="#999999" if n < 0 else "white", lw=1
        )
        if n < 0:
            cell.set_linestyle(":")
        matrix.add_patch(cell)
        matrix.text(c, r, n if n >= 0 else "0", ha="center", va="center", fontsize=8,
                    color="black" if n >= 0 else "#999999")  # fmt: skip
    matrix.add_patch(Rectangle((-0.5, -0.5), 3, 3, fill=False, ec="black", lw=2))
    matrix.set(xlim=(-4, 4), ylim=(3.8, -3.8), title="index matrix: 7 x 7 cells")
    for r, c in ((0, 2), (2, 0)):  # corners of the square that are no neighbours
        matrix.text(c, r + 0.33, "weight 0", ha="center", va="center", fontsize=7, color=CENTRE)
    for axes in (camera, matrix):
        axes.set_aspect("equal")
        axes.axis("off")
    figure.tight_layout()
    figure.savefig(Path(__file__).parent / "pictures" / "engine_grid.png", dpi=110)


if __name__ == "__main__":
    main()
