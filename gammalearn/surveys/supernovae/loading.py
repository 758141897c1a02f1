"""Loading: which objects are in a batch, and which versions of their light curves."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from ...settings import TrainingSettings
from ...settings.surveys import LightCurveData
from ...training.loaders import ResumableLoaders
from ..catalogue import Catalogue
from .batch import Batch, LightCurves
from .curves import Curve, Nights, curve_of, into_nights, wavelengths
from .network import VIEWS
from .versions import SmoothCurve, redshifted

__all__ = ["CurveLoader", "CurveLoaders", "Curves", "ObjectOrder"]


class Curves:
    """The light curves of a catalogue, and their targets.

    Parameters
    ----------
    catalogue : Catalogue
    targets : mapping of str to ndarray of float32, shape (n_objects, n_targets)
        By task.
    settings : LightCurveData
    """

    def __init__(
        self, catalogue: Catalogue, targets: Mapping[str, np.ndarray], settings: LightCurveData
    ):
        self.catalogue, self.settings = catalogue, settings
        self.targets = {name: torch.from_numpy(values) for name, values in targets.items()}
        self.wavelength = wavelengths(catalogue.bands)
        self.curves = [self._curve(row) for row in range(len(catalogue))]
        self._nights: dict[int, Nights] = {}
        self._smooth: dict[int, SmoothCurve | None] = {}
        known = [c.redshift for c in self.curves if np.isfinite(c.redshift) and c.redshift > 0]
        self._any_redshift = float(np.median(known)) if known else 0.3

    def __len__(self) -> int:
        return len(self.curves)

    def _curve(self, row: int) -> Curve:
        curve = curve_of(self.catalogue, row)
        return curve if self.settings.host_redshift else curve.without_redshift()

    def nights(self, row: int) -> Nights:
        """A light curve as it was observed."""
        if row not in self._nights:
            self._nights[row] = into_nights(self.curves[row], len(self.catalogue.bands))
        return self._nights[row]

    def version(self, row: int, rng: np.random.Generator) -> Nights:
        """A light curve at another redshift, as it was observed where there is no such."""
        smooth = self._smooth_curve(row)
        if smooth is None:
            return self.nights(row)
        donors = [self._donor(int(number)) for number in rng.integers(len(self), size=4)]
        version = redshifted(smooth, donors, self.wavelength, rng)
        if version is None:
            return self.nights(row)
        if not self.settings.host_redshift:
            version = version.without_redshift()
        return into_nights(version, len(self.catalogue.bands))

    def _donor(self, row: int) -> Curve:
        return curve_of(self.catalogue, row)

    def _smooth_curve(self, row: int) -> SmoothCurve | None:
        """The light curve between its observations, of objects whose redshift is known."""
        if row not in self._smooth:
            curve = curve_of(self.catalogue, row)
            redshift = curve.redshift
            if not (np.isfinite(redshift) and redshift > 0.005) or len(curve.time) < 3:
                self._smooth[row] = None
            else:
                self._smooth[row] = SmoothCurve.of(curve, self.wavelength, redshift)
        return self._smooth[row]


@dataclass
class ObjectOrder:
    """Which objects each batch of an epoch has; it depends on the seed and the epoch alone.

    Attributes
    ----------
    labelled, others : ndarray of int
        Rows of the objects with a type, and of those without.
    n_labelled, n_others : int
        Of a batch.
    repeats : int
        How often each object with a type comes in an epoch.
    seed : int or None
        None keeps the order of the catalogue.
    rank, world_size : int
        This process, and how many there are: each takes every so many-th batch.
    """

    labelled: np.ndarray
    others: np.ndarray
    n_labelled: int
    n_others: int
    repeats: int = 1
    seed: int | None = None
    rank: int = 0
    world_size: int = 1
    epoch: int = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch; Lightning does."""
        self.epoch = epoch

    def __len__(self) -> int:
        n_all = -(-len(self.labelled) * self.repeats // self.n_labelled)
        return max(-(-n_all // self.world_size), 1)

    def batches(self) -> list[np.ndarray]:
        """Rows of the objects of each batch of this process."""
        rng = None if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        n_batches = len(self) * self.world_size
        items = np.tile(self.labelled, self.repeats)
        if rng is not None:
            items = np.concatenate([rng.permutation(self.labelled) for _ in range(self.repeats)])
        # Processes wait for each other: all have as many batches, the last ones some objects twice.
        whole = np.resize(items, max(len(items), n_batches))
        labelled = np.array_split(whole, n_batches)
        if not self.n_others or not len(self.others):
            return labelled[self.rank :: self.world_size]
        n_others = n_batches * self.n_others
        if rng is None:
            others = np.resize(self.others, n_others)
        else:
            turns = -(-n_others // len(self.others))
            others = np.concatenate([rng.permutation(self.others) for _ in range(turns)])
        parts = others[:n_others].reshape(n_batches, self.n_others)
        both = [np.concatenate(pair) for pair in zip(labelled, parts, strict=True)]
        return both[self.rank :: self.world_size]


class CurveLoader:
    """Batches of light curves, which can begin within an epoch.

    Parameters
    ----------
    curves : Curves
    order : ObjectOrder
    in_training : bool
        Make versions at other redshifts.
    n_versions : int
        Light curves of each object.
    """

    def __init__(self, curves: Curves, order: ObjectOrder, in_training: bool, n_versions: int = 1):
        self.curves = curves
        # Named as Lightning looks for them, to set the epoch.
        self.sampler = self.batch_sampler = order
        self.in_training, self.n_versions = in_training, n_versions
        self._next = {"epoch": 0, "batch": 0}
        self._start: dict[str, int] | None = None

    def __len__(self) -> int:
        return len(self.sampler)

    def close(self) -> None:
        """Nothing is open."""

    def state_dict(self) -> dict[str, int]:
        """Where the loader stands: the epoch, and the batches of it that are done."""
        return dict(self._next)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on where another loader of the same data stood, with the next iteration."""
        self.sampler.set_epoch(state["epoch"])
        self._next, self._start = dict(state), dict(state)

    def __iter__(self) -> Iterator[Batch]:
        start, resumed, self._start = 0, self._start, None
        epoch = self.sampler.epoch
        if resumed and resumed["epoch"] == epoch and resumed["batch"] < len(self):
            start = resumed["batch"]
        self._next = {"epoch": epoch, "batch": start}
        for number, rows in enumerate(self.sampler.batches()):
            if number < start:
                continue
            place = number * self.sampler.world_size + self.sampler.rank
            rng = np.random.default_rng([self.sampler.seed or 0, epoch, place, self.in_training])
            batch = self._batch(rows, rng)
            self._next["batch"] = number + 1
            yield batch

    def _batch(self, rows: np.ndarray, rng: np.random.Generator) -> Batch:
        settings = self.curves.settings
        event = np.repeat(np.arange(len(rows)), self.n_versions)
        chance = settings.redshifted_fraction if self.in_training else 0.0
        nights = []
        for number, row in enumerate(np.repeat(rows, self.n_versions)):
            # The second view of a pair is always another one.
            is_version = rng.random() < chance or (self.in_training and number % self.n_versions)
            row = int(row)
            nights.append(self.curves.version(row, rng) if is_version else self.curves.nights(row))
        curves = LightCurves.of(nights, event, settings.mask_fraction, rng)
        index = torch.from_numpy(np.asarray(rows, dtype=np.int64))
        targets = {name: values[index] for name, values in self.curves.targets.items()}
        return Batch({VIEWS: curves}, index, targets)


class CurveLoaders(ResumableLoaders):
    """Loaders of the training and the validation.

    Parameters
    ----------
    curves : Curves
    training, unlabelled, validation : ndarray of int
        Rows of objects with a type, without one, and of those with one that are kept.
    settings : TrainingSettings
    n_versions : int
        Light curves of each object in the training.
    """

    def __init__(
        self,
        curves: Curves,
        training: np.ndarray,
        unlabelled: np.ndarray,
        validation: np.ndarray,
        settings: TrainingSettings,
        n_versions: int,
    ):
        super().__init__()
        self.curves, self.settings, self.n_versions = curves, settings, n_versions
        self.training, self.unlabelled, self.validation = training, unlabelled, validation

    def _order(self, rows: np.ndarray, in_training: bool) -> ObjectOrder:
        size, data = self.settings.batch_size, self.curves.settings
        n_others = 0
        if in_training and len(self.unlabelled):
            n_others = min(round(size * data.unlabelled_fraction), size - 1)
        place = self.place
        return ObjectOrder(
            rows,
            self.unlabelled,
            size - n_others,
            n_others,
            data.repeats if in_training else 1,
            self.settings.seed if in_training else None,
            place.rank,
            place.world_size,
        )

    def training_loader(self) -> CurveLoader:
        order = self._order(self.training, in_training=True)
        return CurveLoader(self.curves, order, True, self.n_versions)

    def validation_loader(self) -> CurveLoader | None:
        if not len(self.validation):
            return None
        return CurveLoader(self.curves, self._order(self.validation, in_training=False), False)
