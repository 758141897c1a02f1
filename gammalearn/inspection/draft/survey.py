"""What files hold that an experiment is to be chosen for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from ctapipe.instrument import TelescopeDescription
from tqdm import tqdm

from ...camera import CameraType, LatticeError
from ...data.images.descriptors import ALL_DESCRIPTORS, columns_of
from ...data.readers.formats import open_reader
from ...data.readers.reader import Reader
from ...errors import EmptySelectionError, GammaLearnError, InputFileError
from ...io.isolated import isolated
from ...machine.cores import usable_cores

__all__ = ["INTENSITY", "FileSurvey", "survey_files"]

#: Parameter by which dim images are told from others (p.e.).
INTENSITY = "hillas_intensity"


# Each is itself: there is no sense in comparing columns.
@dataclass(eq=False)
class FileSurvey:
    """What a file holds.

    Attributes
    ----------
    path : Path
    format : str
    selectors : frozenset of str
        Types and descriptions of all its telescopes, as ``data.telescopes`` takes them.
    types : dict of str to str
        Type of each telescope that has images, by its description, such as ``LST_LST_LSTCam``.
    not_learnable : dict of str to str
        Why nothing can be learned from the images of a telescope, by its description.
    rotations : frozenset of float
        Angles (deg) by which the images of all its cameras can be turned.
    particles : ndarray of str, shape (n_events,)
        Of all events, empty if there is no truth.
    energies : tuple of float or None
        Lowest and highest true energy in TeV.
    pointings : tuple of float or None
        Lowest and highest altitude (deg) of the telescopes.
    event : ndarray of int, shape (n_images,)
        Event of each image.
    telescope : ndarray of str, shape (n_images,)
        Description of the telescope of each image.
    intensity : ndarray, shape (n_images,)
        In p.e., NaN where it is not known.
    has_intensity, has_parameters, has_peak_time : bool
        Whether the file has the intensity of images, all parameters that a network can see, and the
        peak times of pixels.
    """

    path: Path
    format: str
    selectors: frozenset[str] = frozenset()
    types: dict[str, str] = field(default_factory=dict)
    not_learnable: dict[str, str] = field(default_factory=dict)
    rotations: frozenset[float] = frozenset()
    particles: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))
    energies: tuple[float, float] | None = None
    pointings: tuple[float, float] | None = None
    event: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=int))
    telescope: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=str))
    intensity: np.ndarray = field(default_factory=lambda: np.zeros(0))
    has_intensity: bool = False
    has_parameters: bool = False
    has_peak_time: bool = False

    def counts(self) -> Counter[str]:
        """Number of events of each particle."""
        return Counter(map(str, self.particles))


def survey_files(paths: Sequence[Path], progress: bool = True) -> list[FileSurvey]:
    """Look into files of events.

    Parameters
    ----------
    paths : sequence of Path
    progress : bool
        Show a progress bar if there are several files.

    Raises
    ------
    GammaLearnError
        If a file cannot be used to learn from.
    """
    answers = isolated(_survey, paths, usable_cores())
    surveys = []
    hidden = not progress or len(paths) == 1
    for answer in tqdm(answers, "Looking into files", len(paths), unit="file", disable=hidden):
        if isinstance(answer, GammaLearnError):
            raise answer
        surveys.append(answer)
    return surveys


def _survey(path: Path) -> FileSurvey:
    with open_reader(path) as reader:
        return _survey_of(reader)


def _survey_of(reader: Reader) -> FileSurvey:
    path, tel_ids = reader.path, reader.telescopes_with_images()
    if not tel_ids:
        raise InputFileError(f"'{path}' holds no DL1 image of any telescope; leave it out.")
    if not reader.has_pixels:
        raise InputFileError(
            f"'{path}' holds no DL1 images, but image parameters only; make it again with images "
            "(ctapipe-process --write-images), or leave it out."
        )
    events, shower = reader.events, reader.is_shower()
    particles = np.where(shower, np.asarray(events["particle"], dtype=str), "")
    if not np.any(particles != ""):
        raise EmptySelectionError(
            f"'{path}' holds no simulated showers, so nothing can be learned from it; leave it out "
            "and reconstruct it with `gammalearn predict`."
        )
    names = set(reader.parameter_names())
    found = FileSurvey(
        Path(path),
        reader.format,
        particles=particles,
        energies=_range(np.asarray(events["true_energy"])[shower]),
        has_intensity=INTENSITY in names,
        has_parameters=set(columns_of(ALL_DESCRIPTORS)) <= names,
        has_peak_time=_has_peak_time(reader, tel_ids[0]),
    )
    _add_telescopes(found, reader, tel_ids)
    _add_images(found, reader, tel_ids, shower)
    return found


def _has_peak_time(reader: Reader, tel_id: int) -> bool:
    try:
        reader.pixels(tel_id, np.arange(1), ["peak_time"])
    except InputFileError:
        return False
    return True


def _add_telescopes(found: FileSurvey, reader: Reader, tel_ids: Sequence[int]) -> None:
    telescopes = reader.subarray.tel
    found.selectors = frozenset(
        name for telescope in telescopes.values() for name in (_type(telescope), str(telescope))
    )
    rotations = None
    for tel_id in tel_ids:
        telescope = telescopes[tel_id]
        found.types[str(telescope)] = _type(telescope)
        geometry, focal_length = telescope.camera.geometry, telescope.optics.equivalent_focal_length
        camera = CameraType.from_geometry(geometry, focal_length)
        try:
            mine = {float(s.turn) for s in camera.grid.symmetries if not s.mirrored}
        except LatticeError as error:
            found.not_learnable[str(telescope)] = str(error)
            continue
        rotations = mine if rotations is None else rotations & mine
    found.rotations = frozenset(rotations or ())


def _type(telescope: TelescopeDescription) -> str:
    """``LST``, ``MST``, …"""
    kind = telescope.type
    return str(kind.value) if isinstance(kind, Enum) else str(kind)


def _add_images(
    found: FileSurvey, reader: Reader, tel_ids: Sequence[int], shower: np.ndarray
) -> None:
    """Add the images of showers."""
    events, telescopes, intensities, altitudes = [], [], [], []
    for tel_id in tel_ids:
        images = reader.images(tel_id, [INTENSITY] if found.has_intensity else [])
        event = np.asarray(images["event"])
        mine = (event >= 0) & shower[event]
        events.append(event[mine])
        telescopes.append(np.full(mine.sum(), str(reader.subarray.tel[tel_id])))
        known = found.has_intensity and INTENSITY in images.colnames
        intensity = np.asarray(images[INTENSITY]) if known else np.full(len(images), np.nan)
        intensities.append(intensity[mine])
        altitudes.append(np.asarray(images["pointing_alt"])[mine])
    found.event, found.telescope = np.concatenate(events), np.concatenate(telescopes)
    found.intensity = np.concatenate(intensities)
    found.pointings = _range(np.concatenate(altitudes))


def _range(values: np.ndarray) -> tuple[float, float] | None:
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else None
