"""What is compared: reconstructions of the same events, each by its label."""

import glob
from collections.abc import Sequence, Sized
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from astropy.table import QTable

from ..errors import EvaluationError, InputFileError
from .event_table import EventTable
from .events.combination import WEIGHTS, combine_telescopes
from .events.reading import read_events
from .statistics.matching import IMAGE, number_alike, rows_in_common

__all__ = [
    "Reconstruction",
    "GivenReconstruction",
    "check_number",
    "in_common",
    "limited",
    "line_up",
    "read_reconstruction",
    "read_reconstructions",
    "source_of",
]

#: What is added to the label of results of single telescopes.
MEAN, EACH = "mean of telescopes", "each image"


@dataclass(frozen=True)
class _Place:
    """DL2 files that a word of a command line stands for."""

    name: str
    """Of the folder or file."""

    paths: list[Path]
    algorithm: str | None


@dataclass
class GivenReconstruction:
    """One of the things to compare, as it was given."""

    word: str
    label: str
    paths: list[Path]
    algorithm: str | None
    events: QTable
    """One row an event: the mean of its telescopes where the files have results of each."""

    images: QTable | None
    """The results of each telescope, where the files have those."""


@dataclass
class Reconstruction:
    """Results under one label, of one run or of several that differ in their seed."""

    label: str
    of_images: bool
    """Whether each row is an image, not an event."""

    runs: list[QTable] = field(default_factory=list)
    """With ``event`` (and ``image``) numbers that are the same for all reconstructions."""

    def has(self, quantity: str) -> bool:
        """Whether all runs have the quantity."""
        return all(quantity in EventTable.of(run).algorithms for run in self.runs)


def read_reconstructions(
    words: Sequence[str],
    labels: Sequence[str] | None = None,
    algorithm: str | None = None,
    weights: str = "none",
    skip: bool = False,
) -> list[GivenReconstruction]:
    """Read what the words of a command line stand for.

    Parameters
    ----------
    words : sequence of str
        The folder of a run (its ``dl2`` is taken) or of DL2 files, a file or a glob, each with
        ``:ALGORITHM`` behind where the files hold several.
    labels : sequence of str, optional
        One for each; equal ones mark runs that differ in their seed. By default the name of the
        folder or file, or the algorithm where that is the same.
    algorithm : str, optional
        Where none is given.
    weights : str
        Of the telescopes in the mean of an event, see `combine_telescopes`.
    skip : bool
        Leave out files that cannot be used; ``events.meta`` of a source tells which.

    Raises
    ------
    InputFileError
        If there are no such files.
    EvaluationError
        If the number of labels is another, or the files cannot be evaluated.
    """
    check_number(words)
    if labels and len(labels) != len(words):
        raise EvaluationError(
            f"{len(words)} sets are compared but {len(labels)} labels were given; give one for "
            "each, the same for runs that differ in their seed."
        )
    labels = labels or _default_labels(words, [_find(word) for word in words])
    return [
        read_reconstruction(word, label, algorithm, weights, skip)
        for word, label in zip(words, labels, strict=True)
    ]


def check_number(sets: Sized) -> None:
    """Refuse what is no comparison.

    Raises
    ------
    EvaluationError
        If there are fewer than two sets.
    """
    if len(sets) < 2:
        raise EvaluationError(
            f"A comparison needs two sets of DL2 files or more, {len(sets)} was given."
        )


def read_reconstruction(
    word: str,
    label: str,
    algorithm: str | None = None,
    weights: str = "none",
    skip: bool = False,
) -> GivenReconstruction:
    """Read what one word stands for, see `read_reconstructions`."""
    place = _find(word)
    algorithm = place.algorithm or algorithm
    events = read_events(place.paths, algorithm, WEIGHTS[weights], skip=skip)
    return source_of(events, word, label, algorithm, weights)


def source_of(
    events: QTable, word: str, label: str, algorithm: str | None = None, weights: str = "none"
) -> GivenReconstruction:
    """The source that events are, with means where they are results of single telescopes.

    Parameters
    ----------
    events : astropy.table.QTable
        From `read_events`, with the parameters that the weights need.
    word, label : str
        What it is called in lists and in pictures.
    algorithm : str, optional
        That was asked for.
    weights : str
        Of the telescopes in the mean of an event, see `combine_telescopes`.
    """
    about, images = EventTable.of(events), None
    if about.is_of_images:
        events, images = combine_telescopes(events, weights), events
    return GivenReconstruction(word, label, list(about.paths), algorithm, events, images)


def _find(word: str) -> _Place:
    """What a word of a command line stands for."""
    place, algorithm = word, None
    if ":" in word and not Path(word).expanduser().exists():
        place, _, algorithm = word.rpartition(":")
    path = Path(place).expanduser()
    if path.is_dir():
        folder = path / "dl2" if (path / "dl2").is_dir() else path
        # Hidden ones are being written.
        paths = sorted(path for path in folder.glob("*.h5") if not path.name.startswith("."))
        if not paths:
            raise InputFileError(f"There are no DL2 files (*.h5) in '{folder}'.")
        return _Place(path.resolve().name, paths, algorithm)
    paths = [path]
    if glob.has_magic(place):
        paths = sorted(map(Path, glob.glob(str(path), recursive=True)))
        if not paths:
            raise InputFileError(f"No file matches '{place}'.")
    return _Place(path.name.split(".")[0], paths, algorithm)


def _default_labels(words: Sequence[str], found: Sequence[_Place]) -> list[str]:
    """The first of these that tells all apart: equal labels would make runs of one of them."""
    names = [place.name for place in found]
    algorithms = [place.algorithm or place.name for place in found]
    both = [f"{place.name} {place.algorithm or ''}".strip() for place in found]
    for labels in (names, algorithms, both):
        if len(set(labels)) == len(labels):
            return labels
    if len(set(words)) < len(words):
        raise EvaluationError(
            "The same set of DL2 files is given twice; to compare it with others, give it once."
        )
    return list(words)


def line_up(sources: Sequence[GivenReconstruction]) -> list[Reconstruction]:
    """The reconstructions, in the order of the sources, the images of a label after its events.

    Raises
    ------
    EvaluationError
        If a source has an event twice, or there is none that all have.
    """
    tables = [source.events for source in sources]
    images = [source.images for source in sources if source.images is not None]
    numbers = number_alike([*tables, *images])
    for source, mine in zip(sources, numbers[: len(tables)], strict=True):
        source.events["event"] = mine
        n_repeated = len(mine) - len(np.unique(mine))
        if n_repeated:
            raise EvaluationError(
                f"'{source.word}' has {n_repeated} event(s) twice, by obs_id, event_id, particle "
                "and true energy; give each of its files once."
            )
    if len(rows_in_common(numbers[: len(tables)])[0]) == 0:
        raise EvaluationError(
            f"{' and '.join(repr(source.word) for source in sources)} have no event in common "
            "(obs_id, event_id, particle and true energy); compare DL2 of the same simulated files."
        )
    if images:
        of_images = number_alike(images, IMAGE)
        for table, mine, image in zip(images, numbers[len(tables) :], of_images, strict=True):
            table["event"], table["image"] = mine, image

    reconstructions: dict[str, Reconstruction] = {}
    labels = list(dict.fromkeys(source.label for source in sources))
    for source in sorted(sources, key=lambda source: labels.index(source.label)):
        kinds = {source.label: source.events}
        if source.images is not None:
            kinds = {f"{source.label}, {MEAN}": source.events}
            kinds[f"{source.label}, {EACH}"] = source.images
        for label, table in kinds.items():
            reconstruction = reconstructions.setdefault(
                label, Reconstruction(label, table is source.images)
            )
            reconstruction.runs.append(table)
    return list(reconstructions.values())


def limited(reconstructions: Sequence[Reconstruction], events: np.ndarray) -> list[Reconstruction]:
    """The reconstructions with some events alone.

    Parameters
    ----------
    reconstructions : sequence of Reconstruction
    events : numpy.ndarray of int
        Numbers of the events, as in their column ``event``.
    """
    return [
        replace(
            reconstruction, runs=[run[np.isin(run["event"], events)] for run in reconstruction.runs]
        )
        for reconstruction in reconstructions
    ]


def in_common(reconstructions: Sequence[Reconstruction], quantity: str) -> list[list[QTable]]:
    """The runs of each reconstruction with identical events alone.

    An event is kept if all reconstructions reconstructed the quantity, an image if its event is and
    all reconstructions that go by images have it.

    Parameters
    ----------
    reconstructions : sequence of Reconstruction
        With the quantity; at least one that goes by events.
    quantity : str

    Returns
    -------
    runs : list of list of astropy.table.QTable
        Tables of events are row by row of the same events, tables of images of the same images;
        ``shower`` has the same numbers in all.
    """
    valid = [
        [run[np.asarray(run[f"{quantity}_is_valid"])] for run in reconstruction.runs]
        for reconstruction in reconstructions
    ]
    of_images = [reconstruction.of_images for reconstruction in reconstructions]
    events = _align([runs for runs, images in zip(valid, of_images, strict=True) if not images])
    # Numbers of events grow along tables in common.
    number = np.asarray(events[0][0]["event"])
    shower = np.asarray(events[0][0]["shower"])
    images = _align(
        [
            [run[np.isin(run["event"], number)] for run in runs]
            for runs, is_images in zip(valid, of_images, strict=True)
            if is_images
        ],
        "image",
    )
    next_events, next_images = iter(events), iter(images)
    common = [next(next_images if is_images else next_events) for is_images in of_images]
    for run in (run for runs in common for run in runs):
        run["shower"] = shower[np.searchsorted(number, run["event"])]
    return common


def _align(reconstructions: Sequence[Sequence[QTable]], key: str = "event") -> list[list[QTable]]:
    """The rows that all tables have, in the same order."""
    if not reconstructions:
        return []
    rows = iter(rows_in_common([np.asarray(run[key]) for runs in reconstructions for run in runs]))
    return [[run[next(rows)] for run in runs] for runs in reconstructions]
