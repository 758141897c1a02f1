"""What an experiment is.

All settings with their defaults and what they may be; :meth:`Experiment.to_yaml` writes them
resolved, defaults included. :mod:`gammalearn.settings_reading` reads them.
"""

import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Literal, get_args

import pydantic
import yaml
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WrapValidator,
    field_validator,
    model_validator,
)

__all__ = [
    "AugmentationSettings",
    "CleaningSettings",
    "CutSettings",
    "DataSettings",
    "EvaluationSettings",
    "Experiment",
    "NetworkSettings",
    "OutputSettings",
    "Settings",
    "SimulationSettings",
    "TaskSettings",
    "TrainingSettings",
    "WeightSettings",
    "named_tasks",
]

Particle = Literal["gamma", "electron", "proton"]
Reference = Literal["lst1_mono", "lst4_requirement", "ctao_north"]

#: Energies (TeV) of simulated showers: those below give no light, those above take a day each.
LOWEST_ENERGY, HIGHEST_ENERGY = 0.001, 1000

#: Largest angle from the zenith (deg) of simulated showers; beyond, the Earth's curvature counts.
LARGEST_ZENITH = 75


def _as_path(value):
    return str(Path(value).expanduser()) if isinstance(value, str | Path) else value


def _as_list(value):
    return [value] if isinstance(value, str | int | Path) else value


def _as_str_list(value):
    value = _as_list(value)
    if not isinstance(value, list | tuple):
        return value
    return [str(v) if isinstance(v, Path) else v for v in value]


#: One file, glob or expression may stand for a list of one.
Strings = Annotated[list[str], BeforeValidator(_as_str_list)]


def _number_in(name: str):
    """A validator that turns a quantity, such as ``"20 GeV"``, into a number in a unit."""

    def convert(value):
        if isinstance(value, int | float):
            return value
        if isinstance(value, str):
            with suppress(ValueError):
                return float(value)
        # Slow to import, and few settings are quantities.
        import astropy.units as u

        unit = u.Unit(name)
        if isinstance(value, str):
            try:
                value = u.Quantity(value.strip())
            except (TypeError, ValueError):
                raise ValueError(
                    f"expected a number ({unit}) or a number with a unit, got {value!r}"
                ) from None
        if isinstance(value, u.Quantity):
            if not value.unit.is_equivalent(unit):
                raise ValueError(f"expected a number ({unit}) or a unit like it, got '{value}'")
            value = value.to_value(unit)
        return value

    return BeforeValidator(convert)


#: Numbers in these units; text and astropy quantities of other units are converted.
TeV = Annotated[float, _number_in("TeV"), Field(allow_inf_nan=False)]
Degrees = Annotated[float, _number_in("deg"), Field(allow_inf_nan=False)]
Metres = Annotated[float, _number_in("m"), Field(allow_inf_nan=False)]
Nanoseconds = Annotated[float, _number_in("ns"), Field(allow_inf_nan=False)]
Minutes = Annotated[float, _number_in("min"), Field(allow_inf_nan=False)]


#: A value of a parameter that another package defines; true and false stay what they are.
Number = bool | int | float | None


class Settings(pydantic.BaseModel):
    """What all settings share: unknown keys are refused, defaults are checked, and none changes."""

    model_config = ConfigDict(
        extra="forbid", validate_default=True, use_attribute_docstrings=True, frozen=True
    )


class CutSettings(Settings):
    """Which images and events enter, as expressions of DL1 parameters and truth."""

    image: Strings = []
    """Conditions each image must meet, e.g. ``hillas_intensity > 50``; names are DL1 image
    parameters and columns of the event table."""

    telescope: dict[str, Strings] = {}
    """The same for telescopes of one type (``LST``) or name (``LSTCam``) only, e.g.
    ``{"LST": "hillas_intensity > 50", "MST": "hillas_intensity > 80"}``."""

    event: Strings = []
    """Conditions each event must meet, e.g. ``true_energy > 0.05`` (TeV), ``multiplicity >= 3``
    or ``multiplicity_LST >= 2``; multiplicity counts the images left by the image cuts."""


class CleaningSettings(Settings):
    """Which pixels hold light of the shower: the channel ``cleaning_mask``, which may also be
    applied to charge and time."""

    method: Literal[
        "file",
        "tailcuts_clean",
        "mars_cleaning_1st_pass",
        "fact_image_cleaning",
        "time_constrained_clean",
        "nsb_image_cleaning",
    ] = "file"
    """Where the mask comes from: the DL1 file, or ctapipe's function of this name, which cleans the
    images as they are read, augmented ones after their augmentation."""

    parameters: dict[str, Number | dict[str, Number]] = {}
    """Arguments of ctapipe's function by their names there, ctapipe's defaults for others, e.g.
    ``{"picture_thresh": 8, "boundary_thresh": 4, "min_number_picture_neighbors": 2}``; a value may
    be one for each camera, ``{"LSTCam": 8, "*": 6}``."""

    applied_to: list[Literal["charge", "peak_time"]] = []
    """What the mask is applied to: pixels outside have no charge (0), or no time of their own."""


class AugmentationSettings(Settings):
    """Random changes of the training images, others in each epoch; those of validation and
    prediction stay as they are."""

    turns: bool = False
    """Turn each training event at random by a multiple of 60 degrees (90 for square pixels) about
    its pointing, images, telescopes, direction and impact together: six events for one."""

    nsb: float = Field(0.0, ge=0, le=100)
    """Photoelectrons of night-sky background to add to each pixel's integration window on average,
    Poisson-distributed and their mean subtracted, as a pedestal is: the difference between the
    level that is aimed at and that of the simulation, about that of the noise (p.e.²) that
    ``gammalearn info`` tells of the files."""

    gain_jitter: float = Field(0.0, ge=0, lt=1)
    """Standard deviation of each pixel's relative gain."""

    time_jitter: Nanoseconds = Field(0.0, ge=0, le=100)
    """Standard deviation (ns, or text with another unit) of each pixel's peak time."""

    pixel_dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the pixels that are missing, as broken ones are."""

    telescope_dropout: float = Field(0.0, ge=0, lt=1)
    """Probability of each image to be left out of its event, as if its telescope had not triggered;
    as many images as ``data.min_multiplicity`` asks for are always kept."""


#: Exponent of a falling power law of energies.
SpectralIndex = Annotated[float, Field(ge=-6, le=0)]


class WeightSettings(Settings):
    """How much each training event counts in the losses. The weights of the events that a task
    learns from have the mean 1; figures of validation and evaluation know none."""

    balance_particles: bool = False
    """Let the events of each particle count as much in total as those of any other."""

    spectral_index: SpectralIndex | dict[Particle, SpectralIndex] | None = None
    """Exponent of the energy spectrum that events are weighed to, such as -2.6 (pyirf's weights,
    from the power law that the file says they were simulated with), or one for each particle; by
    default they count as simulated."""


class SimulationSettings(Settings):
    """One file of simulated events; a number may be text with another unit, such as `20 GeV`."""

    output: Annotated[str, BeforeValidator(_as_path)]
    """DL1 file to make; a relative name starts from the working directory."""

    particle: Particle
    """What hits the atmosphere."""

    array: str = "lst4"
    """Telescopes: ``lst1``, ``lst4``, ``lst4_mst9`` or a YAML file of a layout."""

    n_showers: int = Field(ge=1)
    """Number of showers, most of which no telescope may see."""

    energy: tuple[TeV, TeV]
    """Lowest and highest energy (TeV)."""

    index: float = Field(-2.0, ge=-5, le=0)
    """Exponent of the energy spectrum: -2 gives each decade a tenth of the showers of the one
    below."""

    viewcone: Degrees = Field(0.0, ge=0, le=20)
    """Radius (deg) of the disc in the sky, around the pointing, that the showers come from; 0 is
    a point source."""

    offset: Degrees = Field(0.0, ge=0, lt=10)
    """Angle (deg) between a point source and the pointing; each shower draws on which side."""

    scatter: Metres = Field(300.0, gt=0, le=10_000)
    """Radius (m) of the circle, perpendicular to the shower, that its impact points fall in."""

    reuse: int = Field(10, ge=1, le=100)
    """Impact points of each shower: so many events may come of it."""

    zenith: Degrees = Field(20.0, ge=0, le=70)
    """Angle (deg) between the pointing and the zenith."""

    azimuth: Degrees = Field(180.0, ge=-360, le=360)
    """Azimuth (deg) of the pointing, from North to East."""

    min_telescopes: int | None = Field(None, ge=1)
    """Fewest telescopes that must trigger; by default 2, or 1 where there is one only."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Of all random numbers, with the run's; another one gives other events."""

    run: int = Field(1, ge=1, lt=2**31)
    """Number of the run, the obs_id of its events."""

    @field_validator("output")
    @classmethod
    def _hdf5(cls, output):
        if not output.endswith(".h5"):
            raise ValueError(f"expected a name that ends in .h5, got {output!r}")
        return output

    @field_validator("energy")
    @classmethod
    def _range(cls, energy):
        low, high = energy
        if not LOWEST_ENERGY <= low < high <= HIGHEST_ENERGY:
            raise ValueError(
                f"expected two increasing energies between {LOWEST_ENERGY} and {HIGHEST_ENERGY} "
                f"TeV, got {low:g} and {high:g} TeV"
            )
        return energy

    @model_validator(mode="after")
    def _directions(self):
        if self.viewcone and self.offset:
            raise ValueError(
                "offset is of a point source: set either offset or viewcone, and the other to 0"
            )
        if self.zenith + self.viewcone + self.offset > LARGEST_ZENITH:
            raise ValueError(
                f"zenith={self.zenith:g} deg with viewcone or offset lets showers come from more "
                f"than {LARGEST_ZENITH} deg from the zenith"
            )
        return self

    def shower_settings(self) -> dict:
        """All that decides what is simulated: everything but where it goes."""
        return self.model_dump(mode="json", exclude={"output"})


class DataSettings(Settings):
    """Files, telescopes, grouping, cuts and channels."""

    train: Strings = []
    """Files or globs to learn from (also the source of the validation events)."""

    test: Strings = []
    """Files or globs to reconstruct and evaluate."""

    validation_fraction: float = Field(0.2, ge=0, lt=1)
    """Fraction of the training showers, per particle type, kept to watch the training."""

    telescopes: Annotated[list[int | str] | None, BeforeValidator(_as_list)] = None
    """Telescope ids, types (``LST``) or names (``LSTCam``); none given: all of each file."""

    grouping: Literal["mono", "stereo"] = "stereo"
    """An event is one telescope's image (mono) or all images of a shower (stereo)."""

    min_multiplicity: int = Field(1, ge=1)
    """Fewest images an event must have after the image cuts."""

    cuts: CutSettings = CutSettings()
    """Which images and events enter, by their parameters."""

    events_per_particle: int | None = Field(None, ge=1)
    """Most events of each particle to learn from, whole showers drawn at random; by default all."""

    weights: WeightSettings = WeightSettings()
    """How much each training event counts."""

    on_error: Literal["raise", "skip"] = "raise"
    """What a file that cannot be used does: it stops the run, or is left out, with a warning and
    its name in the report. Of a file that ends too early, ``skip`` leaves out single events."""

    channels: list[
        Literal["charge", "peak_time", "absolute_peak_time", "cleaning_mask", "has_charge"]
    ] = ["charge", "peak_time"]
    """What each pixel carries into the network, in this order: ``peak_time`` is relative to the
    image's own time, ``absolute_peak_time`` the file's, both in units of 10 ns; ``has_charge`` is 0
    for missing pixels and 1 for others. None for a network of parameters alone."""

    charge_scale: Literal["linear", "asinh", "log", "sqrt"] = "asinh"
    """How charge (p.e.) enters: as it is; as asinh(charge), linear for noise and logarithmic for
    light; as log(1 + charge); or as its square root; the last two with the sign of the charge where
    that is negative."""

    peak_time_threshold: float | None = Field(None, allow_inf_nan=False)
    """Least charge (p.e.) of pixels whose peak time counts, as that of darker ones is the noise's:
    these have the image's own time, 0 in ``peak_time``. By default the times of all count."""

    cleaning: CleaningSettings = CleaningSettings()
    """Which pixels hold light of the shower."""

    augmentation: AugmentationSettings = AugmentationSettings()
    """Random changes of the training images."""

    shuffle_window: int = Field(8192, ge=1)
    """Images kept in memory by all processes to shuffle the training events among (15 kB for two
    channels of an LST image). Where there are no more than these, the shuffle is complete."""

    packed_cache: bool = False
    """Unpack the training images once into the cache, as half-precision numbers (0.05 %) without
    compression (7.4 kB for two channels of an LST image), which all later epochs read."""

    cache_directory: Annotated[str | None, BeforeValidator(_as_path)] = None
    """Where the cache is; by default ``~/.cache/gammalearn``."""

    @field_validator("channels")
    @classmethod
    def _channels(cls, channels):
        if len(set(channels)) < len(channels):
            raise ValueError("expected different channels")
        return channels

    @model_validator(mode="after")
    def _mono_has_one_image(self):
        if self.grouping == "mono" and self.min_multiplicity > 1:
            raise ValueError(
                f"min_multiplicity={self.min_multiplicity} leaves no event when "
                "grouping='mono', where every event has one image"
            )
        return self


#: What DL1 parameters tell of an image, see :mod:`gammalearn.data.descriptors`.
Descriptor = Literal[
    "light",
    "length",
    "width",
    "kurtosis",
    "concentration",
    "leakage",
    "time",
    "islands",
    "centroid",
    "axis",
    "skewness",
    "time_slope",
]


def _as_descriptors(value):
    return list(get_args(Descriptor)) if value in ("all", ["all"]) else value


def _or_own_class(value, validate):
    """A name of ours, or a class as ``module:Class``."""
    is_own = isinstance(value, str) and re.fullmatch(r"[\w.-]+:\w+", value)
    return value if is_own else validate(value)


#: An encoder of ours, or ``module:Class`` of the user's own.
Backbone = Annotated[
    Literal[
        "none",
        "gammaphysnet",
        "gammaphysnet_light",
        "gammaphysnet_deep",
        "conv4",
        "conv5",
        "convnext",
        "transformer",
    ],
    WrapValidator(_or_own_class),
    PlainSerializer(str),
]


class NetworkSettings(Settings):
    """The network: one encoder a camera type, telescope fusion, one head a task."""

    backbone: Backbone = "gammaphysnet"
    """Encoder of an image: residual blocks with attention, few and narrow or many; 4 or 5 plain
    layers; wide convolutions of each channel by itself; or patches that look at each other. none is
    a network of ``parameters`` alone, with ``data.channels=[]``. ``module:Class`` is one of your
    own, of a module in ``imports``."""

    parameters: Annotated[list[Descriptor], BeforeValidator(_as_descriptors)] = []
    """What DL1 parameters tell of each image beside its pixels: scalars and, in the sky, vectors
    (``centroid``, ``axis``, ``skewness``, ``time_slope``), or ``all``. They come from the file, or
    ctapipe computes them where it has none; the network is told which are missing."""

    geometry: bool = False
    """Let the network reconstruct the shower's axis: direction and core by weighted least squares
    of the images' axes in the sky and on the ground, and from these each telescope's distance
    from the axis, which all tasks see. It needs the ``parameters`` centroid and axis."""

    geometry_rounds: int = Field(1, ge=1, le=8)
    """How often telescopes attend to each other and direction and core are refined (geometry)."""

    channels: list[Annotated[int, Field(ge=1)]] | None = None
    """Features of each stage; by default 16, 32, 64 for gammaphysnet and _deep, 8, 16, 32 for
    _light, 32, 64 for convnext, and 64 for the patches of the transformer."""

    blocks: int | None = Field(None, ge=1)
    """Blocks a stage; by default 3 for gammaphysnet and convnext, 2 for gammaphysnet_light, 6 for
    gammaphysnet_deep, and 4 for the transformer."""

    attention: Literal["dual", "spatial", "squeeze_excitation", "none"] = "dual"
    """Attention after each stage (gammaphysnet): weights of pixels (spatial), of features
    (squeeze_excitation), of both or none."""

    keypoints: int = Field(0, ge=0)
    """Places in the camera that each encoder looks for, beside the flattened feature map of the
    published networks. Each image then gives a direction with a precision of its own, and the
    network starts from their mean: it learns directions from far fewer events."""

    backend: Literal["auto", "native", "dense", "gather", "indexedconv"] = "auto"
    """How convolutions are computed, all with the same result: on pixels and their neighbours alone
    by code compiled for the CPU, as dense ones on the pixels' square matrix, on gathered
    neighbours, or by the IndexedConv package. auto is the fastest."""

    embedding: int = Field(256, ge=8, multiple_of=8)
    """Features that describe an image, and an event after fusion."""

    fusion: Literal["attention", "mean", "concatenation"] = "attention"
    """How the images of an event are joined: as a set of any telescopes, by attention or mean; or
    side by side, for comparison with what came before, each in the slot of its telescope."""

    telescopes: list[int] | None = Field(None, min_length=1)
    """Ids of all telescopes that there may be, each with its slot (fusion='concatenation')."""

    fusion_layers: int = Field(1, ge=1)
    """Transformer layers among telescopes (fusion='attention')."""

    head: int = Field(128, ge=1)
    """Hidden features of each task's head."""

    dropout: float = Field(0.0, ge=0, lt=1)
    """Share of the features left out at random in training, in fusion and heads."""

    @model_validator(mode="after")
    def _stages(self):
        n_stages = {"conv4": 4, "conv5": 5, "transformer": 1}.get(self.backbone)
        if self.channels is not None and n_stages and len(self.channels) != n_stages:
            raise ValueError(
                f"backbone={self.backbone!r} needs {n_stages} "
                f"value{'s' * (n_stages > 1)} in channels, got {len(self.channels)}"
            )
        if self.channels is not None and not self.channels:
            raise ValueError("channels needs at least one value")
        if self.channels is not None and self.backbone == "transformer" and self.channels[0] % 8:
            raise ValueError(
                f"backbone='transformer' needs a multiple of 8 in channels, got {self.channels[0]}"
            )
        if (self.fusion == "concatenation") != (self.telescopes is not None):
            raise ValueError(
                f"fusion={self.fusion!r} "
                + ("has no slots; leave out" if self.telescopes else "needs the ids of")
                + " telescopes"
            )
        if self.telescopes is not None and len(set(self.telescopes)) < len(self.telescopes):
            raise ValueError("expected different ids in telescopes")
        if self.geometry and not {"centroid", "axis"} <= set(self.parameters):
            raise ValueError(
                "geometry=true needs the axes of the images; add centroid and axis to parameters, "
                "or set parameters to all"
            )
        if self.backbone == "none" and not self.parameters:
            raise ValueError(
                "backbone='none' leaves the network nothing to see; set parameters to all"
            )
        if self.backbone == "none" and self.keypoints:
            raise ValueError("backbone='none' has no images to find keypoints in; set them to 0")
        if ":" in self.backbone and (self.keypoints or self.channels or self.blocks):
            raise ValueError(
                f"backbone={self.backbone!r} is an encoder of your own, which decides on its "
                "layers; leave out channels, blocks and keypoints"
            )
        if self.backbone == "convnext" and self.backend == "indexedconv":
            raise ValueError(
                "backbone='convnext' has convolutions of single channels, which "
                "backend='indexedconv' does not compute; set another backend"
            )
        return self


class TaskSettings(Settings):
    """One physical quantity to learn."""

    weight: float = Field(1.0, gt=0)
    """Weight of the task's loss, where ``training.balancing`` starts from."""

    particles: list[Particle] | None = None
    """Particles the task learns from; by default gammas for regressions, all for the type."""

    uncertainty: bool = False
    """Learn the estimate's uncertainty too, by the likelihood of the truth, and write it to the
    DL2 file (energy, direction, impact, depth_of_maximum)."""

    distribution: bool = False
    """Learn the whole distribution of the quantity, in bins, and write its median, mean and width
    (energy). It goes without ``uncertainty``, which it has in itself."""

    classes: Literal[2, 3] = 2
    """Gamma against all other particles, or gamma, proton and electron each for itself
    (particle_type); gammaness is the probability of gamma in both."""

    @model_validator(mode="after")
    def _one_uncertainty(self):
        if self.distribution and self.uncertainty:
            raise ValueError("set distribution or uncertainty, not both: a distribution has one")
        return self


class TrainingSettings(Settings):
    """Optimiser and machine."""

    initial: Annotated[str | None, BeforeValidator(_as_path)] = None
    """Checkpoint of another run, or the name of a shipped network, whose weights to begin with,
    part by part where they fit: encoders by camera, heads by task. What it does not have begins
    anew."""

    frozen: Strings = []
    """Parts that stay as ``training.initial`` has them, e.g. ``encoders``, ``encoders.LSTCam``,
    ``fusion`` or ``heads.energy``."""

    epochs: int = Field(20, ge=1)
    """How often each training event is seen."""

    batch_size: int = Field(64, ge=1)
    """Events a batch (and a device)."""

    accumulation: int = Field(1, ge=1)
    """Batches whose gradients are averaged for one step: the mean of so many times the events in
    the memory of one batch."""

    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), or stochastic gradient descent with momentum."""

    momentum: float = Field(0.9, ge=0, lt=1)
    """What a step keeps of the one before (sgd)."""

    learning_rate: float = Field(1e-3, gt=0)
    """Step size, the largest of the schedule."""

    schedule: Literal["constant", "one_cycle", "cosine", "step", "plateau"] = "constant"
    """How the step size goes: constant; up in the first third and down to nothing at the end
    (one_cycle, Smith & Topin 2018) or up in the warm-up and down as a cosine, which both learn more
    in few epochs but not beyond those planned; down each ``decay_epochs`` (step), or after so many
    without a lower validation loss (plateau)."""

    warm_up: float = Field(0.05, ge=0, lt=1)
    """Share of the training in which the step size goes up (cosine)."""

    decay_epochs: int = Field(5, ge=1)
    """Epochs between two reductions of the step size (step), or without a lower validation loss
    before one (plateau)."""

    decay_factor: float = Field(0.3, gt=0, lt=1)
    """What each reduction leaves of the step size (step and plateau)."""

    weight_decay: float = Field(0.0, ge=0)
    """Pull of the weights towards zero at each step, over the step size."""

    gradient_clipping: float | None = Field(None, gt=0)
    """Largest norm of the gradient of all weights; longer ones are shortened to it."""

    weight_averaging: float = Field(0.0, ge=0, lt=1)
    """Validate, save and use a moving average of the weights in place of the last ones. Each step
    leaves this part of the average before: 0.999 for one of about a thousand steps, 0 for none."""

    early_stopping: int | None = Field(None, ge=1)
    """Epochs without a lower validation loss that end the training; by default none do."""

    checkpoint_minutes: Minutes = Field(10.0, gt=0, le=1e6)
    """Time (minutes, or text with another unit) between two checkpoints within an epoch, from which
    a run that was cut off goes on. There is one after each epoch too."""

    picture_epochs: int = Field(5, ge=1)
    """Epochs from one picture of the validation in TensorBoard to the next: some events with what
    the network makes of them, and migration matrices of energy and direction."""

    image_losses: float = Field(1.0, ge=0, allow_inf_nan=False)
    """What the losses of each image's own estimates count beside those of its event (stereo): that
    each telescope learns by itself makes many of them better, in few epochs more than in many. The
    same for the earlier fits of the geometry."""

    balancing: Literal["fixed", "uncertainty", "dwa", "gradnorm", "pcgrad"] = "fixed"
    """How the tasks' losses are weighed: by their settings (fixed), by learnt uncertainties, by how
    fast each falls (dwa), by learnt weights that let all train at like rates (gradnorm), or so that
    no gradient undoes another's work (pcgrad). The last two take a backward pass for each task."""

    seed: int = Field(1, ge=0, lt=2**32)
    """Of the split, the order of the events, the first weights and dropout."""

    workers: int = Field(0, ge=0)
    """Processes that load data; 0 loads in the training process."""

    accelerator: str = "auto"
    """``cpu``, ``gpu`` or ``auto``, as Lightning has it."""

    devices: int | list[int] | Literal["auto"] = 1
    """Number of devices (or which) on each node."""

    nodes: int = Field(1, ge=1)
    """Number of nodes."""

    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = "32-true"
    """Numbers that the training computes with, as Lightning calls them."""

    compile: bool = False
    """Let torch compile the encoders: the first steps take a minute longer, all later ones are
    faster, those of the native backend on a CPU by a tenth at the most. Where there is no compiler
    for it, training goes on without."""

    @model_validator(mode="after")
    def _frozen_parts_have_learnt(self):
        if self.frozen and self.initial is None:
            raise ValueError(
                f"frozen={self.frozen} would keep weights that have learnt nothing; set initial to "
                "a checkpoint to begin with"
            )
        return self


class EvaluationSettings(Settings):
    """Binning and choices of the evaluation."""

    energy_range: tuple[TeV, TeV] = (0.01, 100.0)
    """Edges of the energy axis (TeV, or text with another unit, such as `50 GeV`)."""

    bins_per_decade: int = Field(5, ge=1)
    """Energy bins in each factor of ten."""

    signal: Particle = "gamma"
    """Particle whose migration and resolution are drawn."""

    algorithm: str | None = None
    """Name of the DL2 algorithm, or several between commas (for ctapipe's, one a quantity); needed
    where a file has one quantity of several."""

    references: list[Reference] = []
    """Published resolutions to draw beside the results: ``lst1_mono`` (LST-1, random forests),
    ``lst4_requirement`` (four LSTs; its sensitivity too), ``ctao_north`` (four LSTs and nine MSTs,
    prod5)."""

    on_error: Literal["raise", "skip"] = "raise"
    """What a DL2 file that cannot be used does: it stops the evaluation or comparison, or is left
    out, with a warning and its name in the report."""

    @field_validator("energy_range")
    @classmethod
    def _ordered(cls, value):
        if not 0 < value[0] < value[1]:
            raise ValueError("expected two increasing positive energies (TeV)")
        return value


class OutputSettings(Settings):
    """Where results go and how they are called."""

    directory: str | None = None
    """Output folder; by default ``runs/`` and the name of the settings file."""

    algorithm: str = Field("GammaLearn", pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Name of the DL2 algorithm, the prefix of its columns."""

    dl1_images: bool = False
    """Copy the DL1 images into the DL2 files."""

    truth: Literal["copy", "link"] = "copy"
    """Have the truth of simulated events in the DL2 files, or a link to the DL1 file that has it:
    they are smaller, and need it where it is."""

    dl2_format: Literal["ctapipe", "lstchain"] = "ctapipe"
    """Layout of the DL2 files: ctapipe's data model, or of lstchain DL1, by networks of single
    telescopes, lstchain's."""


def named_tasks(value):
    """Tasks with their settings, of a list of names or of a dictionary."""
    if isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if task is None else task for name, task in value.items()}
    return value


class Experiment(Settings):
    """All settings of an experiment."""

    imports: Strings = []
    """Names of Python modules of your own with tasks and encoders, beside the experiment's file or
    where Python looks. Where an experiment in Python lists them, they are imported; where a YAML
    file or a checkpoint does, the command needs ``--imports`` with their names or files."""

    simulation: list[SimulationSettings] = []
    """Files to simulate first where ``data.train`` or ``data.test`` asks for them and they are
    missing."""

    data: DataSettings = DataSettings()
    """Files, telescopes, grouping, cuts and channels."""

    network: NetworkSettings = NetworkSettings()
    """The network."""

    tasks: Annotated[dict[str, TaskSettings], BeforeValidator(named_tasks)] = {
        "particle_type": TaskSettings(),
        "energy": TaskSettings(),
        "direction": TaskSettings(),
        "impact": TaskSettings(),
    }
    """Quantities to learn: a list of names, or names with their settings."""

    training: TrainingSettings = TrainingSettings()
    """Optimiser and machine."""

    evaluation: EvaluationSettings = EvaluationSettings()
    """Binning and choices of the evaluation."""

    output: OutputSettings = OutputSettings()
    """Where results go and how they are called."""

    @field_validator("imports")
    @classmethod
    def _modules(cls, imports):
        for name in imports:
            if name.endswith(".py") or not re.fullmatch(r"[^\W.][^/\\:]*", name):
                raise ValueError(f"expected names of modules, such as my_task, got {name!r}")
        return imports

    @field_validator("simulation")
    @classmethod
    def _different_files(cls, simulation):
        outputs, sources = {}, {}
        for number, made in enumerate(simulation):
            other = outputs.setdefault(Path(made.output).resolve(), number)
            if other != number:
                raise ValueError(
                    f"{other} and {number} would both become '{made.output}'; give each another "
                    "output"
                )
            other = sources.setdefault((made.particle, made.seed, made.run), number)
            if other != number:
                raise ValueError(
                    f"{other} and {number} are both {made.particle} with seed={made.seed} and "
                    f"run={made.run}, which gives the same showers; give each another seed or run"
                )
        return simulation

    @field_validator("tasks")
    @classmethod
    def _some_task(cls, tasks):
        if not tasks:
            raise ValueError("expected at least one task")
        return tasks

    @model_validator(mode="after")
    def _own_encoder_is_imported(self):
        module, colon, _ = self.network.backbone.partition(":")
        if colon and module not in self.imports:
            raise ValueError(
                f"network.backbone={self.network.backbone!r} is of the module {module!r}: set "
                f"imports to [{module}]"
            )
        return self

    @model_validator(mode="after")
    def _pixels_or_none(self):
        if (self.network.backbone == "none") != (not self.data.channels):
            raise ValueError(
                f"network.backbone={self.network.backbone!r} does not go with "
                f"data.channels={self.data.channels}: a network of parameters alone has "
                "network.backbone='none' and data.channels=[], all others have channels"
            )
        return self

    @model_validator(mode="after")
    def _something_to_validate(self):
        training = self.training
        if self.data.validation_fraction == 0 and (
            training.schedule == "plateau" or training.early_stopping is not None
        ):
            setting = "schedule='plateau'" if training.schedule == "plateau" else "early_stopping"
            raise ValueError(
                f"training.{setting} follows the validation loss, and data.validation_fraction=0 "
                "leaves none"
            )
        return self

    @model_validator(mode="after")
    def _something_to_balance(self):
        balancing = self.training.balancing
        if balancing in ("dwa", "gradnorm", "pcgrad") and len(self.tasks) == 1:
            raise ValueError(
                f"training.balancing={balancing!r} weighs tasks against each other, and there is "
                f"one only ({', '.join(self.tasks)}): set it to 'fixed'"
            )
        if balancing in ("gradnorm", "pcgrad") and self.training.precision == "16-mixed":
            raise ValueError(
                f"training.balancing={balancing!r} takes the gradient of each task as it is, which "
                "training.precision='16-mixed' has only as a multiple: set it to 'bf16-mixed'"
            )
        return self

    def to_yaml(self) -> str:
        """The resolved settings, defaults included, as YAML."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False)
