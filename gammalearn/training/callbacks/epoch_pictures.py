"""Epoch pictures: what the network makes of the validation events, in TensorBoard."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import lightning
import matplotlib
import numpy as np
from astropy.table import Column
from ctapipe.visualization import CameraDisplay
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter
from torch import Tensor

from ...camera import CameraType
from ...data import Batch, EventIndex
from ...tasks import Task

if TYPE_CHECKING:
    from ..module import ReconstructionModule

__all__ = ["EpochPictures", "draw_direction_migration", "draw_energy_migration", "draw_events"]

#: Events that are drawn, and images of each at the most.
N_EVENTS, N_IMAGES = 3, 4

#: Inches of one telescope's picture.
PANEL = 2.6

#: Bins of the energy in each factor of ten.
BINS_PER_DECADE = 5

#: Factors of ten beyond the true energies that reconstructed ones are drawn to.
MARGIN = 1

#: Bins of each coordinate of the direction.
DIRECTION_BINS = 24


class EpochPictures(lightning.Callback):
    """Sends to TensorBoard, every few epochs, migration matrices of the validation's energies and
    directions, and some of its events with what the network says of them.

    Of several processes the first draws, from its share of the validation.

    Parameters
    ----------
    epochs : int
        So many from one picture to the next.
    index : EventIndex
    channels : sequence of str
        Of the images.
    """

    def __init__(self, epochs: int, index: EventIndex, channels: Sequence[str]) -> None:
        self.epochs, self.index = epochs, index
        self.channels = list(channels)
        self.channel = self.channels.index("charge") if "charge" in channels else 0

    def _is_due(self, trainer: lightning.Trainer) -> bool:
        return trainer.is_global_zero and (trainer.current_epoch + 1) % self.epochs == 0

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: "ReconstructionModule",  # type: ignore[override]  # it is always ours
        outputs: Mapping[str, Tensor],  # type: ignore[override]  # of our module
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        # The order of the validation is that of the index: the same events each time.
        if batch_idx == 0 and self.channels and self._is_due(trainer):
            outputs = {name: output.float().cpu() for name, output in outputs.items()}
            figure = draw_events(
                batch.to("cpu"),
                outputs,
                pl_module.tasks,
                self.index,
                self.channel,
                self.channels[self.channel].replace("_", " "),
            )
            self._send(trainer, "validation/events", figure)

    def on_validation_epoch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: "ReconstructionModule",  # type: ignore[override]  # it is always ours
    ) -> None:
        if not self._is_due(trainer):
            return
        if "energy" in pl_module.seen:
            true, reco = pl_module.seen["energy"].values()  # type: ignore[operator]  # a ModuleDict
            reco = pl_module.tasks["energy"].value(reco)  # type: ignore[attr-defined]  # as an Energy
            figure = draw_energy_migration(true[:, 0].numpy(), reco[:, 0].numpy())
            self._send(trainer, "validation/energy_migration", figure)
        for name, task in pl_module.tasks.items():
            if task.in_the_sky:
                true, reco = pl_module.seen[name].values()  # type: ignore[operator]  # a ModuleDict
                figure = draw_direction_migration(true.numpy(), reco[:, :2].numpy())
                self._send(trainer, f"validation/{name}_migration", figure)

    def _send(self, trainer: lightning.Trainer, name: str, figure: Figure) -> None:
        figure.suptitle(f"epoch {trainer.current_epoch + 1}", fontsize=9)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = np.asarray(canvas.buffer_rgba())[..., :3]
        trainer.logger.experiment.add_image(  # type: ignore[union-attr]  # it is the `Board`
            name, pixels, trainer.current_epoch + 1, dataformats="HWC"
        )


def draw_energy_migration(true: np.ndarray, reco: np.ndarray) -> Figure:
    """Numbers of events by true and reconstructed energy.

    Parameters
    ----------
    true, reco : ndarray, shape (n_events,)
        log10(E/TeV). What is reconstructed more than a decade beyond all true energies counts in
        the first or last bin.
    """
    figure = Figure(figsize=(4.4, 3.8), layout="constrained", dpi=100)
    axes = figure.add_subplot()
    if len(true):
        # A training that goes wrong gives any number: such events count at the edge.
        reco = np.clip(reco, true.min() - MARGIN, true.max() + MARGIN)
    both = np.concatenate([true, reco])
    both = both[np.isfinite(both)]
    low, high = (both.min(), both.max()) if len(both) else (-1, 1)
    first, last = np.floor(low * BINS_PER_DECADE), np.floor(high * BINS_PER_DECADE) + 1
    edges = np.arange(first, last + 1) / BINS_PER_DECADE
    counts, _, _ = np.histogram2d(true, reco, bins=[edges, edges])
    mesh = axes.pcolormesh(
        10**edges,
        10**edges,
        np.ma.masked_equal(counts, 0).T,
        cmap="YlGnBu",
        vmin=0,
    )
    figure.colorbar(mesh, label="events")
    axes.plot(10 ** edges[[0, -1]], 10 ** edges[[0, -1]], "--", color="0.35", linewidth=1)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="true energy (TeV)",
        ylabel="reconstructed energy (TeV)",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
    return figure


def draw_direction_migration(true: np.ndarray, reco: np.ndarray) -> Figure:
    """Numbers of events by each coordinate of the true and the reconstructed direction.

    Parameters
    ----------
    true, reco : ndarray, shape (n_events, 2)
        (fov_lon, fov_lat) in deg. What is reconstructed beyond all true directions counts in the
        first or last bin.
    """
    figure = Figure(figsize=(7.4, 3.6), layout="constrained", dpi=100)
    reach = max(float(np.abs(true).max(initial=0)), 0.1)
    edges = np.linspace(-reach, reach, DIRECTION_BINS + 1)
    counts = [
        np.histogram2d(of_true, np.clip(of_reco, -reach, reach), bins=[edges, edges])[0]
        for of_true, of_reco in zip(true.T, reco.T, strict=True)
    ]
    most = max(1, *(numbers.max() for numbers in counts))
    for axes, numbers, name in zip(
        figure.subplots(1, 2), counts, ("longitude", "latitude"), strict=True
    ):
        mesh = axes.pcolormesh(
            edges, edges, np.ma.masked_equal(numbers, 0).T, cmap="YlGnBu", vmin=0, vmax=most
        )
        axes.plot(edges[[0, -1]], edges[[0, -1]], "--", color="0.35", linewidth=1)
        axes.set(
            xlabel=f"true field-of-view {name} (deg)",
            ylabel=f"reconstructed field-of-view {name} (deg)",
            aspect="equal",
        )
    figure.colorbar(mesh, ax=figure.axes, label="events")
    return figure


def draw_events(
    batch: Batch,
    outputs: Mapping,
    tasks: Mapping[str, Task],
    index: EventIndex,
    channel: int = 0,
    label: str = "charge",
) -> Figure:
    """Images of some events of a batch, from all over it, with truth and prediction.

    A row an event, its telescopes side by side. A circle is where the shower comes from and a cross
    where the network has it, both where they lie within the camera.

    Parameters
    ----------
    batch : Batch
    outputs : mapping of str to Tensor, shape (n_events, n_outputs)
        By task.
    tasks : mapping of str to Task
    index : EventIndex
        Of the batch's events.
    channel : int
        Which of the images' channels to draw, as it enters the network.
    label : str
        What it is.
    """
    n_events = min(batch.n_events, N_EVENTS)
    chosen = np.linspace(0, batch.n_events - 1, n_events).astype(int).tolist()
    cameras = {camera.name: camera for camera in index.cameras}
    sky = next((name for name, task in tasks.items() if task.in_the_sky), None)
    images_of = {event: _images_of(batch, event)[:N_IMAGES] for event in chosen}
    n_columns = max(map(len, images_of.values()))
    figure = Figure(
        figsize=(PANEL * n_columns + 2.4, PANEL * n_events + 0.3), layout="constrained", dpi=80
    )
    grid = figure.add_gridspec(n_events, n_columns + 1)
    with matplotlib.rc_context({"font.size": 7}):
        for place, (event, images) in enumerate(images_of.items()):
            words = figure.add_subplot(grid[place, 0])
            words.axis("off")
            words.text(0, 0.5, _in_words(batch, outputs, tasks, index, event), va="center")
            for column, (name, row) in enumerate(images, 1):
                axes = figure.add_subplot(grid[place, column])
                camera, image = cameras[name], batch.images[name]
                display = CameraDisplay(
                    camera.geometry,
                    image=image.pixels[row, channel].numpy(),
                    ax=axes,
                    show_frame=False,
                )
                display.add_colorbar(label=label)
                axes.set_title(name)
                axes.set(xlabel="", ylabel="", xticks=[], yticks=[])
                if sky is not None:
                    pointing = image.pointing[row].numpy()
                    target, output = batch.targets[sky][event], outputs[sky][event]
                    _mark(axes, camera, target.numpy() - pointing, "o")
                    _mark(axes, camera, output[:2].numpy() - pointing, "x")
    return figure


def _images_of(batch: Batch, event: int) -> list[tuple[str, int]]:
    """Camera and row of each image of an event."""
    return [
        (name, row)
        for name, images in batch.images.items()
        for row in (images.event == event).nonzero().flatten().tolist()
    ]


def _in_words(
    batch: Batch,
    outputs: Mapping[str, Tensor],
    tasks: Mapping[str, Task],
    index: EventIndex,
    event: int,
) -> str:
    """Truth and prediction, as the columns of a DL2 file have them."""
    table = index.events[[int(batch.index[event])]]
    lines = [f"{table['particle'][0] or 'event'} {table['event_id'][0]} of {table['obs_id'][0]}"]
    for name, task in tasks.items():
        decoded = task.decode(outputs[name][event : event + 1].numpy(), table)
        for column, value in decoded.items():
            line = f"{column.replace('_', ' ')} {_number(value)}"
            if f"true_{column}" in table.colnames:
                line += f" (true {_number(table[f'true_{column}'])})"
            lines.append(line)
    return "\n".join(lines)


def _number(column: Column | np.ndarray) -> str:
    value = column[0]
    unit = getattr(value, "unit", None)
    return f"{getattr(value, 'value', value):.3g}" + (f" {unit}" if unit else "")


def _mark(axes: Axes, camera: CameraType, offset: np.ndarray, marker: str) -> None:
    """Mark an offset in the sky, (fov_lon, fov_lat) in deg from the telescope's pointing."""
    # ctapipe's camera frame has x along fov_lat and y along fov_lon.
    y, x = np.deg2rad(offset) * camera.effective_focal_length
    if np.hypot(x, y) <= np.hypot(camera.pix_x, camera.pix_y).max():
        style: dict[str, Any] = {"markerfacecolor": "none"} if marker == "o" else {}
        axes.plot(x, y, marker, color="#56B4E9", markersize=8, **style)
