"""What goes with files of events: telescopes, grouping, cuts, tasks, network, training."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

import numpy as np

from ...errors import CameraError, EmptySelectionError
from ...io.particles import plural
from ...settings import Particle
from .survey import FileSurvey

__all__ = ["Draft", "Selection", "choose", "simulated_draft"]

#: Particles that a network can learn from.
KNOWN_PARTICLES = get_args(Particle)

#: Intensity (p.e.) from which an image shows a shower.
ENOUGH_LIGHT = 50

#: Fraction of the events that a selection has to leave.
ENOUGH_EVENTS = 0.2

#: Fraction of the files of a kind that are kept for the test.
TEST_FRACTION = 0.2

#: Ratio of the numbers of events of two particles from which they are given the same weight.
UNBALANCED = 3

#: Number of training events, and from there on the number of epochs and the batch size.
TRAINING = ((0, 20, 8), (500, 20, 32), (2000, 20, 64), (10_000, 14, 64), (100_000, 8, 64))

#: Steps from which the mean of the weights of the last steps is better than the last weights.
ENOUGH_STEPS = 1000


@dataclass(frozen=True)
class Selection:
    """A choice of images and events.

    Attributes
    ----------
    stereo : bool
        Whether events are showers with two or more images, or single images.
    light : bool
        Whether dim images are left out.
    """

    stereo: bool
    light: bool


#: What is tried, one after the other.
SELECTIONS = tuple(itertools.starmap(Selection, itertools.product((True, False), (True, False))))


@dataclass
class Draft:
    """What an experiment is to be.

    Attributes
    ----------
    train, test : list of Path
    tested_on_training : list of Path
        Files that are in both lists, because there is no other of their particles.
    telescopes : list of str
    left_out : dict of str to str
        Telescopes with images that are not used, and why.
    selection : Selection
    events : Counter of str
        Selected training events, the validation's among them, by particle.
    n_several : int
        Showers with two or more images of these telescopes, before the cuts.
    n_showers : int
        Showers with an image of these telescopes.
    peak_time, parameters : bool
        Whether all files have them.
    rotations : bool
        Whether images can be turned.
    energies, pointings : tuple of float or None
        Ranges in TeV, and of the altitude in deg.
    simulated : bool
        Whether the files are those that the experiment simulates.
    """

    train: list[Path]
    test: list[Path]
    tested_on_training: list[Path] = field(default_factory=list)
    telescopes: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    selection: Selection = Selection(stereo=True, light=True)
    events: Counter[str] = field(default_factory=Counter)
    n_several: int = 0
    n_showers: int = 0
    peak_time: bool = True
    parameters: bool = True
    rotations: bool = True
    energies: tuple[float, float] | None = None
    pointings: tuple[float, float] | None = None
    simulated: bool = False

    @property
    def regressions_learn_from(self) -> list[str] | None:
        """Particles of energy, direction and impact; None for the default, gammas."""
        return None if self.events["gamma"] else sorted(self.events)

    @property
    def separates(self) -> bool:
        """Whether gammas can be told from others."""
        return bool(self.events["gamma"]) and len(self.events) > 1

    @property
    def unbalanced(self) -> bool:
        """Whether there are many more events of one particle than of another."""
        counts = self.events.values()
        return self.separates and max(counts) > UNBALANCED * min(counts)

    @property
    def epochs(self) -> int:
        """Number of epochs that goes with the number of events."""
        return self._training[1]

    @property
    def batch_size(self) -> int:
        """Batch size that goes with the number of events."""
        return self._training[2]

    @property
    def averages(self) -> bool:
        """Whether there are enough steps to average their weights."""
        return self.epochs * self.events.total() / self.batch_size > ENOUGH_STEPS

    @property
    def _training(self) -> tuple[int, int, int]:
        return [row for row in TRAINING if row[0] <= self.events.total()][-1]


def choose(surveys: Sequence[FileSurvey]) -> Draft:
    """Choose what goes with some files.

    Parameters
    ----------
    surveys : sequence of FileSurvey
        At least one.

    Raises
    ------
    CameraError
        If there is no telescope that can be learned from in all files.
    EmptySelectionError
        If the files hold no particles that a network can learn from, or no usable images.
    """
    if not any(survey.counts()[name] for survey in surveys for name in KNOWN_PARTICLES):
        others = sorted(set().union(*(survey.counts() for survey in surveys)) - {""})
        raise EmptySelectionError(
            f"The files hold {', '.join(map(plural, others))}, and networks learn from "
            f"{', '.join(map(plural, KNOWN_PARTICLES))}; add files of these."
        )
    train, test = _train_and_test(surveys)
    telescopes, left_out = _telescopes(surveys)
    selection = _selection(train, test, telescopes)
    usable = [_multiplicities(survey, telescopes, Selection(True, False)) for survey in surveys]
    multiplicity = np.concatenate([counts[counts > 0] for counts in usable])
    rotations = frozenset.intersection(*(survey.rotations for survey in surveys))
    return Draft(
        [survey.path for survey in train],
        [survey.path for survey in test],
        [survey.path for survey in test if survey in train],
        telescopes,
        left_out,
        selection,
        _events(train, telescopes, selection),
        int((multiplicity > 1).sum()),
        len(multiplicity),
        all(survey.has_peak_time for survey in surveys),
        all(survey.has_parameters for survey in surveys),
        len(rotations) > 1,
        _joined([survey.energies for survey in surveys]),
        _joined([survey.pointings for survey in surveys]),
    )


def simulated_draft() -> Draft:
    """What goes with showers over the four LSTs at La Palma, which the experiment simulates."""
    return Draft(
        [Path("data/train/*.dl1.h5")],
        [Path("data/test/*.dl1.h5")],
        telescopes=["LST"],
        # About as many as the simulation gives.
        events=Counter(gamma=9000, proton=4000),
        simulated=True,
    )


def _train_and_test(
    surveys: Sequence[FileSurvey],
) -> tuple[list[FileSurvey], list[FileSurvey]]:
    """Files to learn from and to test with: by their names, or some files of each kind."""
    named = [survey for survey in surveys if _is_named_test(survey.path)]
    if 0 < len(named) < len(surveys):
        return [survey for survey in surveys if survey not in named], named
    kinds: dict[frozenset[str], list[FileSurvey]] = {}
    for survey in surveys:
        kinds.setdefault(frozenset(survey.counts()) - {""}, []).append(survey)
    train, test = [], []
    for files in kinds.values():
        n_test = max(round(TEST_FRACTION * len(files)), 1)
        test += files[-n_test:]
        train += files[:-n_test] or files
    return train, test


def _is_named_test(path: Path) -> bool:
    return any(re.search(r"(?<![a-z])test(?![a-z])", part.lower()) for part in path.parts)


def _telescopes(surveys: Sequence[FileSurvey]) -> tuple[list[str], dict[str, str]]:
    """Types of telescopes to use, or their descriptions; and which are left out, with the reason.

    All files have to have each of them.
    """
    types = {name: kind for survey in surveys for name, kind in survey.types.items()}
    reasons = {name: why for survey in surveys for name, why in survey.not_learnable.items()}
    wrong = {types[name] for name in reasons}
    everywhere = frozenset.intersection(*(survey.selectors for survey in surveys))
    chosen = sorted({kind for kind in types.values() if kind not in wrong} & everywhere)
    if not chosen:
        chosen = sorted((set(types) - set(reasons)) & everywhere)
    if not chosen:
        why = next(iter(reasons.values()), "no type of telescope is in all of them")
        raise CameraError(
            f"The files have no telescopes that a network can learn from together ({why}); "
            "give fewer files, which have the same telescopes."
        )
    for name, kind in types.items():
        if name not in chosen and kind not in chosen:
            reasons.setdefault(name, "not all files have it")
    return chosen, {name: why for name, why in reasons.items() if name not in chosen}


def _selection(
    train: Sequence[FileSurvey], test: Sequence[FileSurvey], telescopes: Sequence[str]
) -> Selection:
    """The first selection that leaves enough events of each particle."""
    files = [*train, *test]
    for selection in SELECTIONS:
        if selection.light and not all(survey.has_intensity for survey in files):
            continue
        enough = []
        for part in (train, test):
            all_events = _events(part, telescopes, Selection(selection.stereo, light=False), 1)
            left = _events(part, telescopes, selection)
            enough += [left[name] >= max(ENOUGH_EVENTS * n, 1) for name, n in all_events.items()]
        if enough and all(enough):
            return selection
    raise EmptySelectionError(
        f"No file holds usable images of {', '.join(telescopes)}; give files with more events."
    )


def _events(
    surveys: Sequence[FileSurvey],
    telescopes: Sequence[str],
    selection: Selection,
    least: int | None = None,
) -> Counter[str]:
    """Selected events of each particle; in stereo those of so many images, by default two."""
    events: Counter[str] = Counter()
    for survey in surveys:
        multiplicity = _multiplicities(survey, telescopes, selection)
        if selection.stereo:
            multiplicity = (multiplicity >= (least or 2)).astype(int)
        for name in KNOWN_PARTICLES:
            events[name] += int(multiplicity[survey.particles == name].sum())
    return +events


def _multiplicities(
    survey: FileSurvey, telescopes: Sequence[str], selection: Selection
) -> np.ndarray:
    """Number of selected images of each event, shape (n_events,)."""
    mine = [name for name, kind in survey.types.items() if name in telescopes or kind in telescopes]
    selected = np.isin(survey.telescope, mine)
    if selection.light:
        selected &= survey.intensity > ENOUGH_LIGHT
    return np.bincount(survey.event[selected], minlength=len(survey.particles))


def _joined(
    ranges: Sequence[tuple[float, float] | None],
) -> tuple[float, float] | None:
    known = [values for values in ranges if values is not None]
    if not known:
        return None
    return min(low for low, _ in known), max(high for _, high in known)
