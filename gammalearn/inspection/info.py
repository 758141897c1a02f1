"""What files hold: events, reconstructed events or checkpoint, in a few lines."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tables
from astropy.table import Table, vstack
from ctapipe.containers import EventType
from ctapipe.io import read_table
from pyirf.benchmarks.energy_bias_resolution import NORM_LOWER_SIGMA, NORM_UPPER_SIGMA

from ..camera import CameraType, LatticeError
from ..data.images.channels import without_impossible
from ..data.readers.faults import faults_of
from ..data.readers.formats import is_ctapipe, open_reader
from ..data.readers.reader import Reader, described, event_keys
from ..errors import EmptySelectionError, GammaLearnError, InputFileError
from ..io import lstchain_tables
from ..io.ctapipe_tables import (
    DL2,
    DL2_EVENTS,
    IMAGES,
    PARAMETERS,
    SHOWER,
    TRIGGER,
    WAVEFORMS,
)
from ..io.data_model import check_is_readable, check_is_table
from ..io.files import open_hdf5, reading
from ..io.isolated import read_isolated
from ..io.particles import CALIBRATION, are_showers, particle_names
from ..models import card_of, is_shipped, names_network
from .lines import number_ranges, titled_lines
from .networks import describe_card, describe_checkpoint

__all__ = ["describe", "describe_file", "describe_files"]

#: Images of each telescope that tell the noise.
IMAGES_OF_NOISE = 100

#: Of a normal distribution, one standard deviation to either side of its mean.
ONE_SIGMA = (NORM_LOWER_SIGMA, NORM_UPPER_SIGMA)

#: Columns of the table of files.
COLUMNS = (
    "file", "format", "telescopes", "cameras", "noise (p.e.²)", "events", "energies (TeV)",
    "pointing",
)  # fmt: skip


def describe(paths: Sequence[Path]) -> tuple[str, list[GammaLearnError]]:
    """Say what files hold: a table where there are several of events, else each by itself.

    Returns
    -------
    text : str
        Of the files that can be described.
    errors : list of GammaLearnError
        What is wrong with others: missing, damaged or of another kind.
    """
    errors: list[GammaLearnError] = []

    def each(function: Callable[[Path], Any], paths: Sequence[Path]) -> list[tuple[Path, Any]]:
        found = []
        for path in paths:
            try:
                found.append((path, function(path)))
            except GammaLearnError as error:
                errors.append(error)
        return found

    if len(paths) == 1:
        return "\n".join(text for _, text in each(describe_file, paths)), errors
    each(_check_exists, paths)
    there = [path for path in paths if path.exists() or is_shipped(path)]
    kinds = each(partial(read_isolated, _holds_images), there)
    usable = [path for path, _ in kinds]
    if usable and all(holds_images for _, holds_images in kinds):
        summaries = [summary for _, summary in each(partial(read_isolated, _summary), usable)]
        return (_table(summaries) if summaries else ""), errors
    return "\n".join(text for _, text in each(describe_file, usable)), errors


def _check_exists(path: Path) -> None:
    if not path.exists() and not is_shipped(path):
        describe_file(path)


def _holds_images(path: Path) -> bool:
    """Whether a file is one of events to learn from, as far as can be told from a look at it."""
    if not path.is_file() or _is_zip(path):
        return False
    if not tables.is_hdf5_file(str(path)):
        return True
    with open_hdf5(path) as file, reading(path, "the table of contents"):
        tables_of_images = file.walk_nodes(IMAGES, "Table") if IMAGES in file else ()
        return lstchain_tables.IMAGES in file or any(table.nrows for table in tables_of_images)


def describe_file(path: Path) -> str:
    """Say what a file of events, DL2 file, checkpoint or shipped network holds.

    Raises
    ------
    GammaLearnError
        If the file is missing, damaged or of another kind.
    """
    path = Path(path)
    if is_shipped(path):
        return f"{describe_card(str(path), card_of(str(path)))}\n{describe_checkpoint(path)}"
    if names_network(path) or _is_zip(path):
        return describe_checkpoint(path)
    return read_isolated(_describe_events, path)


def _describe_events(path: Path) -> str:
    if not path.is_file() or is_ctapipe(path):
        return _describe_hdf5(path)
    return _table([_summary(path)])


def describe_files(paths: Sequence[Path]) -> str:
    """A table of files of events, and what can be learnt from all of them.

    Raises
    ------
    GammaLearnError
        If a file is missing, damaged or of another kind.
    """
    return _table([read_isolated(_summary, path) for path in paths])


@dataclass(frozen=True)
class _Images:
    """The images of one telescope."""

    camera: CameraType
    n_images: int

    noise: np.ndarray
    """Variance (p.e.²) of the dark pixels of each of the first ones, see `_noise`."""


@dataclass(frozen=True)
class _Summary:
    """What a file holds, as far as it can be learned from."""

    row: dict[str, str]
    """Of the table, by column."""

    particles: Counter[str]
    images: list[_Images]
    several: int
    """Events of two or more images."""

    faults: list[str]


def _table(summaries: Sequence[_Summary]) -> str:
    rows: list[tuple[str, ...]] = [COLUMNS]
    faults: dict[str, object] = {}
    particles: Counter[str] = Counter()
    cameras: list[CameraType] = []
    images: Counter[str] = Counter()
    several = 0
    for summary in summaries:
        noise: dict[str, list[float]] = {}
        for found in summary.images:
            camera = found.camera
            known = next((other for other in cameras if other.order_of(camera) is not None), None)
            if known is None:
                cameras.append(known := camera)
            noise.setdefault(known.name, []).extend(found.noise)
            images[known.name] += found.n_images
        row = summary.row | {
            "cameras": ", ".join(sorted(noise)),
            # The median image: of bright showers there are few.
            "noise": ", ".join(f"{np.median(noise[name]):.2g}" for name in sorted(noise)),
        }
        rows.append(tuple(row.values()))
        particles.update(summary.particles)
        several += summary.several
        if summary.faults:
            faults[summary.row["file"]] = "; ".join(summary.faults)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    learnable = _learnable(particles, cameras, images, several)
    lines += ["", *titled_lines("Can be learned", learnable)]
    if faults:
        lines += ["", *titled_lines("Faults, whose events or images do not count", faults)]
    return "\n".join(lines)


def _summary(path: Path) -> _Summary:
    """A file's row of the table, and what it has of cameras, images and particles."""
    with open_reader(path) as reader:
        return _summary_of(reader)


def _summary_of(reader: Reader) -> _Summary:
    events, tel_ids = reader.events, reader.telescopes_with_images()
    if not tel_ids:
        raise InputFileError(f"'{reader.path}' holds no DL1 image of any telescope.")
    found: list[_Images] = []
    tables_of_images: dict[int, Table] = {}
    impossible: list[str] = []
    for tel_id in tel_ids:
        telescope = reader.subarray.tel[tel_id]
        geometry, focal_length = telescope.camera.geometry, telescope.optics.equivalent_focal_length
        camera = CameraType.from_geometry(geometry, focal_length)
        n_images = reader.n_images(tel_id)
        # These say what is wrong with columns of pixels.
        tables_of_images[tel_id] = reader.images(tel_id)
        rows = np.arange(min(n_images, IMAGES_OF_NOISE))
        pixels, counts = without_impossible(reader.pixels(tel_id, rows, ["charge", "peak_time"]))
        if counts:
            impossible.append(
                f"{sum(counts.values())} charges and peak times of the first {len(rows)} images of "
                f"telescope {tel_id} are infinite or impossible (these pixels count as missing)"
            )
        found.append(_Images(camera, n_images, _noise(pixels["charge"])))
    images = vstack(list(tables_of_images.values()), metadata_conflicts="silent")
    images = images[images["event"] >= 0]
    multiplicity = np.bincount(images["event"])
    particles = Counter(str(name) or "unknown" for name in np.asarray(events["particle"]))
    energy = np.asarray(events["true_energy"])
    energy = energy[np.isfinite(energy)]
    alt, az = (np.asarray(images[f"pointing_{name}"]) for name in ("alt", "az"))
    known = np.isfinite(alt) & np.isfinite(az)
    types = Counter(reader.subarray.tel[tel_id].type for tel_id in tel_ids)
    row = {
        "file": Path(reader.path).name,
        "format": reader.format,
        "telescopes": ", ".join(f"{count} {name}" for name, count in sorted(types.items())),
        "cameras": "",
        "noise": "",
        "events": ", ".join(f"{count} {name}" for name, count in particles.most_common()),
        "energies": _range(energy, "{:.3g}".format) if len(energy) else "-",
        "pointing": f"alt {_range(alt[known])}, az {_range(az[known], _azimuth)} deg"
        if known.any()
        else "-",
    }
    faults = faults_of(reader, sorted(map(int, reader.subarray.tel)), tables_of_images)
    return _Summary(
        row,
        particles,
        found,
        several=int((multiplicity > 1).sum()),
        faults=[*(fault.what for fault in faults), *impossible],
    )


def _noise(charge: np.ndarray) -> np.ndarray:
    """Variance (p.e.²) of the charges of each image's dark pixels, shape (n_images,).

    From what the middle two thirds of the pixels span: few hold light, and that a Poisson
    distribution is skewed does not count.
    """
    charge = charge[np.isfinite(charge).any(axis=1)].astype(np.float32)
    charge[~np.isfinite(charge)] = np.nan
    low, high = np.nanquantile(charge, ONE_SIGMA, axis=1)
    return ((high - low) / 2) ** 2


def _range(values: np.ndarray, form: Callable[[float], str] = "{:.1f}".format) -> str:
    low, high = (form(value) for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"


def _azimuth(angle: float) -> str:
    """What is rounded to 360 is 0."""
    return f"{round(angle, 1) % 360:.1f}"


def _learnable(
    particles: Counter[str], cameras: Sequence[CameraType], images: Counter[str], several: int
) -> dict[str, object]:
    gammas = particles["gamma"]
    others = sum(particles.values()) - gammas - particles["unknown"] - particles[CALIBRATION]
    faults = {camera.name: _not_learnable(camera) for camera in cameras}
    usable = ", ".join(f"{images[name]} images of {name}" for name in faults if not faults[name])
    return {
        "mono": usable or "no: no camera can be used",
        **{f"not {name}": fault for name, fault in faults.items() if fault},
        "stereo": f"{several} events of two or more images"
        if several
        else "no: all events have one image",
        "energy, direction, impact": f"{gammas} gammas" if gammas else "no: there are no gammas",
        "particle type": f"{gammas} gammas, {others} others"
        if gammas and others
        else "no: it needs gammas and others",
    }


def _not_learnable(camera: CameraType) -> str:
    """Why nothing can be learnt from images of a camera, an empty text if it can."""
    try:
        camera.grid  # noqa: B018  it is made where it is asked for
    except LatticeError as error:
        return str(error)
    return ""


def _is_zip(path: Path) -> bool:
    """Whether the file begins as PyTorch's checkpoints do."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == b"PK"


def _describe_hdf5(path: Path) -> str:
    with open_hdf5(path) as file, reading(path, "its contents"):
        check_is_table(file, path, lstchain_tables.DL2_EVENTS)
        if lstchain_tables.DL2_EVENTS in file:
            return "\n".join(titled_lines(f"{path}: lstchain DL2", _lstchain_events(file)))
        check_is_readable(file, path, "DL1 or DL2")
        if TRIGGER not in file:
            raise EmptySelectionError(f"'{path}' holds no events; leave it out.")
        attributes = file.root._v_attrs
        levels = str(attributes["CTA PRODUCT DATA LEVELS"])
        version = str(attributes["CTA PRODUCT DATA MODEL VERSION"])
        values = {**_telescopes(file), **_events(file), **_algorithms(file)}
        is_dl1 = DL2 not in file and (IMAGES in file or PARAMETERS in file)
    if is_dl1:
        values |= {f"fault {n}": fault for n, fault in enumerate(_faults(path), 1)}
    return "\n".join(titled_lines(f"{path}: {levels}, data model {version}", values))


def _faults(path: Path) -> list[str]:
    """What is wrong with the events or images of a DL1 file, or with all of it."""
    try:
        with open_reader(path) as reader:
            images = {tel_id: reader.images(tel_id) for tel_id in reader.telescopes_with_images()}
            found = faults_of(reader, sorted(map(int, reader.subarray.tel)), images)
            return [fault.what for fault in found]
    except EmptySelectionError:
        return []
    except InputFileError as error:
        return [str(error)]


def _lstchain_events(file: tables.File) -> dict[str, object]:
    table = file.get_node(lstchain_tables.DL2_EVENTS)
    tel_ids = sorted(set(table.col("tel_id").tolist())) if "tel_id" in table.colnames else []
    values: dict[str, object] = {"telescopes": number_ranges(tel_ids), "images": len(table)}
    if "mc_type" not in table.colnames:
        values["  truth"] = "none (observation)"
    else:
        names = particle_names(table.col("mc_type"))
        if {"event_type", "mc_energy"} <= set(table.colnames):
            names[~are_showers(table.col("event_type"), table.col("mc_energy"))] = CALIBRATION
        values |= {f"  {name}": f"{n} images" for name, n in Counter(names.tolist()).most_common()}
    for name in ("reco_energy", "reco_alt", "gammaness"):
        if name in table.colnames:
            values[f"DL2 {name}"] = f"{np.isfinite(table.col(name)).sum()} images"
    return values


def _telescopes(file: tables.File) -> dict[str, object]:
    subarray = described(file)
    values: dict[str, object] = {"subarray": f"{subarray.name}, {len(subarray.tel)} telescopes"}
    images = _rows(file, IMAGES)
    parameters = _rows(file, PARAMETERS)
    waveforms = _rows(file, WAVEFORMS)
    for telescope in subarray.telescope_types:
        ids = [int(i) for i in subarray.get_tel_ids_for_type(telescope)]
        # Different types may have one name; their telescopes tell them apart.
        values[f"  {telescope} {number_ranges(ids)}"] = (
            f"{len(ids)} telescope{'s' if len(ids) > 1 else ''}, "
            f"{telescope.camera.geometry.n_pixels} pixels, "
            f"{sum(images[i] for i in ids)} images, "
            f"{sum(parameters[i] for i in ids)} parameter rows"
            + (f", {sum(waveforms[i] for i in ids)} waveforms" if waveforms else "")
        )
        focal_length = telescope.optics.equivalent_focal_length
        fault = _not_learnable(CameraType.from_geometry(telescope.camera.geometry, focal_length))
        if fault:
            values[f"  {telescope} cannot be used"] = fault
    return values


def _events(file: tables.File) -> dict[str, object]:
    trigger = read_table(file, TRIGGER)
    values: dict[str, object] = {"events": len(trigger)}
    if len(trigger):
        values["observations"] = ", ".join(map(str, np.unique(trigger["obs_id"])[:10]))
    n_pedestals = np.sum(trigger["event_type"] == EventType.SKY_PEDESTAL.value)
    if n_pedestals:
        values["  interleaved pedestals"] = (
            f"{n_pedestals} events (network.condition=[nsb] takes the noise of the night sky from "
            "them)"
        )
    if SHOWER not in file:
        return {**values, "  truth": "none (observation)"}
    shower = read_table(file, SHOWER)
    energies = shower["true_energy"].quantity.to_value("TeV")
    names = particle_names(shower["true_shower_primary_id"])
    type_of = dict(zip(map(tuple, event_keys(trigger)), trigger["event_type"], strict=True))
    kinds = [type_of.get(tuple(key), EventType.UNKNOWN.value) for key in event_keys(shower)]
    names[~are_showers(np.array(kinds), energies)] = CALIBRATION
    for name, count in Counter(names.tolist()).most_common():
        energy = energies[names == name]
        values[f"  {name}"] = f"{count} events, {energy.min():.3g} to {energy.max():.3g} TeV"
    return values


def _algorithms(file: tables.File) -> dict[str, object]:
    values: dict[str, object] = {}
    for level, group in DL2_EVENTS.items():
        for kind in file.root[group]._v_groups if group in file else ():
            values[f"DL2 {level} {kind}"] = ", ".join(file.root[f"{group}/{kind}"]._v_children)
    return values


def _rows(file: tables.File, group: str) -> Counter[int]:
    """Rows of each telescope's table."""
    if group not in file:
        return Counter()
    found = {
        re.fullmatch(r"tel_(\d+)", t._v_name): t.nrows for t in file.iter_nodes(group, "Table")
    }
    return Counter({int(name[1]): int(n_rows) for name, n_rows in found.items() if name})
